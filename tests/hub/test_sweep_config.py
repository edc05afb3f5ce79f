"""A sweep.yaml is read as its author meant it, or refused with the place and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from besom.core.errors import ConfigError
from besom.hub.sweep.config import KNOWN_KEYS, metric_of, metrics_of, parse, retries_of, seconds

ROOT = Path(__file__).resolve().parents[2]
GRID: dict[str, Any] = {"method": "grid", "parameters": {"lr": {"values": [1, 2]}}}


def sweep(**changes: Any) -> dict[str, Any]:
    return {**GRID, **changes}


def text(body: str) -> str:
    return dedent(body).lstrip()


def test_the_tutorials_file_is_taken_as_it_is() -> None:
    spec = parse(
        text(
            """
            program: train.py
            method: random
            metric:
              name: val_loss
              goal: minimize
            parameters:
              lr:
                values: [1e-2, 1e-3, 1e-4]
              drop_out:
                min: 0.0
                max: 0.5
            """
        )
    )
    assert spec.warnings == ()
    assert spec.config["parameters"]["lr"]["values"] == [0.01, 0.001, 0.0001]
    assert metric_of(spec.config) == ("val_loss", "minimize", "best")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-5", 1e-5),
        ("-1e5", -1e5),
        ("1E+3", 1e3),
        ("1.e-3", 1e-3),
        (".5", 0.5),
        (".5e1", 5.0),
        ("1.5", 1.5),
        ("7", 7),
        ("1_000", 1000),
        ("0x10", 16),
        ("'1e-5'", "1e-5"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("2024-01-02", "2024-01-02"),
        ("v1.2.3", "v1.2.3"),
        ("true", True),
        ("~", None),
    ],
)
def test_numbers_are_those_of_yaml_1_2(written: str, read: Any) -> None:
    spec = parse(f"method: grid\nparameters:\n  x:\n    values: [{written}]\n")
    value = spec.config["parameters"]["x"]["values"][0]
    assert (value, type(value)) == (read, type(read))


@pytest.mark.parametrize(
    ("wrong", "place", "says"),
    [
        ("method: grid\n  parameters: [", "sweep.yaml, line 2, column 13", "mapping values are not allowed"),
        ("method: grid\nparameters:\n\tlr: 1\n", "sweep.yaml, line 3, column 1", "tab"),
        ("method: 'grid\n", "sweep.yaml, line 2, column 1", "unexpected end of stream"),
        ("", "sweep.yaml", "a mapping of keys"),
        ("- grid\n", "sweep.yaml", "a list"),
        ("method: grid\n---\nmethod: random\n", "sweep.yaml, line 2, column 1", "another document"),
        ("a: !!python/object:os.system x\n", "sweep.yaml, line 1, column 4", "could not determine a constructor"),
        ("a: &a [*a]\n", "a", "alias"),
        ("method: \x00", "sweep.yaml", "not YAML"),
    ],
)
def test_a_syntax_error_names_line_and_column(wrong: str, place: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        parse(wrong)
    assert str(error.value).startswith(place)


@pytest.mark.parametrize(
    ("config", "where", "says"),
    [
        ({"parameters": {"lr": {"values": [1]}}}, "method", "auto, bayes or grid"),
        (sweep(method="grd"), "method", "grid"),
        (sweep(parameters={"lr": {"min": 2.0, "max": 1.0}}, method="random"), "parameters.lr.min", "max"),
        (sweep(parameters={"lr": {"values": []}}), "parameters.lr.values", "empty"),
        (sweep(parameters={"lr": {"distribution": "unifrom", "min": 0, "max": 1}}), "parameters.lr.distribution", "uniform"),
        (sweep(parameters={"lr": {"vales": [1]}}), "parameters.lr.vales", "values"),
        (sweep(run_cap=0), "run_cap", "from 1 on"),
        (sweep(run_cap=5.1), "run_cap", "whole number"),
        (sweep(run_cap=True), "run_cap", "whole number"),
        (sweep(retry=-1), "retry", "from 0 on"),
        (sweep(retry="often"), "retry", "whole number"),
        (sweep(command=[]), "command", "list of words"),
        (sweep(command={"run": 1}), "command", "list of words"),
        (sweep(command=["python", ["train.py"]]), "command[1]", "a list"),
        (sweep(command="python 'train.py"), "command", "cannot be split"),
        (sweep(program=["train.py"]), "program", "a list is none"),
        (sweep(metric={"goal": "minimize"}), "metric.name", "name"),
        (sweep(metric={"name": "loss", "target": "low"}), "metric.target", "number"),
        (sweep(early_terminate={"type": "hyperband", "min_iter": 3}), "metric", "early_terminate"),
        (sweep(parameters={"lr": {"values": [object()]}}), "parameters.lr.values[0]", "a object"),
        (sweep(parameters={"lr": {"values": [1], "condition": "lrr"}}), "parameters.lr.condition", 'did you mean "lr"'),
        (sweep(constraints=["lr <"]), "constraints[0]", "cannot be read"),
        (sweep(metrics=[{"name": "a", "max": "low"}]), "metrics[0].max", "'low'"),
        (sweep(enqueue=[{"lrr": 1}]), "enqueue[0].lrr", 'did you mean "lr"'),
        (sweep(terminate="never"), "terminate", "auto"),
        (sweep(budget=3), "budget", "time: 2h"),
        (sweep(budget={"tme": 3}), "budget.tme", 'Did you mean "time"?'),
        (sweep(budget={"time": "2 weeks"}), "budget.time", "90m"),
        (sweep(budget={"cost": 0}), "budget.cost", "above 0"),
        (sweep(warm_start=3), "warm_start", "list of sweep ids"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_and_the_key_is_named(config: dict[str, Any], where: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(config)
    assert error.value.where == where
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (sweep(metod="grid"), 'Did you mean "method"?'),
        (sweep(constraint=["lr < 1"]), 'Did you mean "constraints"?'),
        (sweep(aggregate="mean"), "repeats"),
        (sweep(early_terminat={"type": "hyperband"}), 'Did you mean "early_terminate"?'),
        (sweep(run_cap="300"), "read as 300"),
        (sweep(run_cap=3.0), "read as 3"),
        (sweep(command="python train.py ${args}"), "it was split into"),
        (sweep(metric="loss"), "loss"),
        (sweep(metric={"name": "loss", "goal": "Maximise"}), "maximize"),
        (sweep(metric={"name": "loss", "gaol": "maximize"}), "goal"),
        (sweep(scheduler={"engine": "optuna"}), "scheduler"),
        (sweep(job="x"), "job"),
    ],
)
def test_what_can_be_read_kindly_is_a_warning_and_with_strict_an_error(config: dict[str, Any], says: str) -> None:
    assert any(says in warning for warning in parse(config).warnings)
    with pytest.raises(ConfigError, match="sweep.yaml"):
        parse(config, strict=True)


def test_a_key_that_stands_twice_is_told() -> None:
    spec = parse("method: grid\nmethod: random\nparameters: {lr: {values: [1]}}\n")
    assert 'the key "method" stands twice (line 2)' in spec.warnings[0]


def test_what_was_read_kindly_is_written_plainly() -> None:
    spec = parse(
        sweep(metric={"name": "acc", "goal": "max"}, run_cap="7", command="python train.py", name=3, retry={"max": 2})
    )
    assert spec.config["metric"] == {"name": "acc", "goal": "maximize"}
    assert spec.config["run_cap"] == 7
    assert spec.config["command"] == ["python", "train.py"]
    assert spec.config["name"] == "3"
    assert retries_of(spec.config) == 2


def test_a_parsed_config_parses_again_to_itself() -> None:
    once = parse(sweep(metric="loss", run_cap="7", command="python train.py"))
    again = parse(once.config)
    assert (again.config, again.warnings) == (once.config, ())


@pytest.mark.parametrize(
    ("config", "retries"),
    [(GRID, 1), (sweep(method="random"), 0), (sweep(retry=0), 0), (sweep(method="random", retry=3), 3)],
)
def test_a_failed_run_is_tried_again_once_in_a_grid_and_as_often_as_the_file_says(
    config: dict[str, Any], retries: int
) -> None:
    assert retries_of(parse(config).config) == retries


def test_values_of_numpy_and_tuples_become_plain_data() -> None:
    numpy = pytest.importorskip("numpy")
    spec = parse(sweep(parameters={"lr": {"values": numpy.array([0.1, 0.2])}, "n": {"values": (numpy.int64(3), 4)}}))
    assert spec.config["parameters"] == {"lr": {"values": [0.1, 0.2]}, "n": {"values": [3, 4]}}


def test_several_metrics_are_kept_with_plain_goals() -> None:
    metrics = [{"name": "acc", "goal": "Max"}, "loss", {"name": "ms", "max": 20}]
    config = parse(sweep(metrics=metrics)).config
    assert config["metrics"] == [{"name": "acc", "goal": "maximize"}, {"name": "loss", "goal": "minimize"}, metrics[2]]
    assert metric_of(config) == ("acc", "maximize", "best")
    assert metrics_of(config) == {"acc": "best", "loss": "best", "ms": "last"}


@pytest.mark.parametrize(
    ("text", "found"), [(90, 90), ("90m", 5400), (" 1.5 h ", 5400), ("2d", 172800), ("2", None), (True, None)]
)
def test_lengths_of_time(text: Any, found: float | None) -> None:
    assert seconds(text) == found


def test_every_key_has_its_line_in_the_docs() -> None:
    page = (ROOT / "docs" / "sweep-yaml.md").read_text(encoding="utf-8")
    assert [key for key in KNOWN_KEYS if f"`{key}`" not in page] == []


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "sweep-yaml.md").read_text(), re.S))
def test_every_example_of_the_docs_can_run(block: str) -> None:
    rest = {
        "method:": "method: bayes",
        "metric": "metric: loss",
        "parameters:": "parameters: {x: {min: 0.0, max: 1.0}}",
    }
    text = "\n".join([block, *(line for key, line in rest.items() if key not in block)])
    assert all("metric" in warning for warning in parse(text).warnings)


@pytest.mark.parametrize(
    ("text", "where", "meant"),
    [
        ("methd: grid\nparameters: {a: {values: [1]}}", "method", 'Did you mean "method"?'),
        ("method: grid\nparamters: {a: {values: [1]}}", "parameters", 'Did you mean "parameters"?'),
    ],
)
def test_a_key_that_is_missing_because_of_a_slip_is_found_in_its_spelling(text: str, where: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=where) as caught:
        parse(text)
    assert meant in str(caught.value)
