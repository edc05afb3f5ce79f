"""Sweep files as people write them: each is accepted, or refused with a message that names the key.

A few of our own are always read. A folder of real ones is read too, when the environment names it (BESOM_CORPUS) or a
`shared/corpus` lies beside the checkout; none of them is part of this repository.
"""

import os
from pathlib import Path

import pytest

from besom import search
from besom.core.errors import ConfigError
from besom.hub.sweep import config

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "corpus"
FOLDER = Path(os.environ.get("BESOM_CORPUS", BESIDE))
FILES = sorted(FOLDER.glob("*.yaml")) if FOLDER.is_dir() else []

STORY = """
program: train.py
method: bayes
metric: {name: val_loss, goal: minimize}
parameters:
  lr: {values: [1e-2, 1e-3, 1e-4]}
  drop_out: {min: 0.0, max: 0.5}
"""
OWN = {
    "story": STORY,
    "floats without a point": STORY.replace("{min: 0.0, max: 0.5}", "{min: 1e-5, max: 1}"),
    "falsy values": STORY.replace("[1e-2, 1e-3, 1e-4]", "[0, false, null, '', no]"),
    "grid": "method: grid\nparameters:\n  z: {values: [1, 2]}\n  a.b: {value: [1, {c: 0}]}\n  n: {min: 1, max: 3}\n",
    "nested": "method: random\nparameters:\n  opt: {parameters: {lr: {min: 0.0, max: 1}, x: {parameters: {y: {values: [a]}}}}}\n",
    "deprecated": STORY.replace("{min: 0.0, max: 0.5}", "{distribution: log_uniform, min: -9.2, max: -2}"),
    "early": STORY + "early_terminate: {type: hyperband, min_iter: 3, s: 2}\n",
}


def three_points(text: str, name: str) -> None:
    """Read a file, ask for three points, and find each inside the space."""
    spec = config.parse(text, name)
    space = search.parse(spec.config)
    found = search.suggest(spec.config, [], 3, seed=0)
    assert len(found) == min(3, space.size or 3)
    for suggestion in found:
        assert space.contains(suggestion.params), suggestion.params


@pytest.mark.parametrize("name", OWN)
def test_our_own_examples_give_three_points_inside_their_space(name):
    three_points(OWN[name], name)


def test_of_the_real_files_no_more_than_three_in_two_hundred_are_refused_and_those_by_key():
    refused = []
    for path in FILES:
        try:
            three_points(path.read_text(encoding="utf-8"), path.name)
        except ConfigError as error:
            assert error.where, path.name
            assert error.where.split(".")[-1] in str(error)
            refused.append(f"{path.name}: {error}")
    assert len(refused) <= len(FILES) * 3 // 200, refused


def test_a_number_written_without_a_point_is_a_number():
    spec = config.parse(STORY.replace("0.0", "1e-5"))
    assert spec.config["parameters"]["drop_out"]["min"] == 1e-5
    values = {s.params["lr"] for s in search.suggest(spec.config, [], 3, seed=0)}
    assert values <= {1e-2, 1e-3, 1e-4}
