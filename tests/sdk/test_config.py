"""The config: hyperparameters in whatever form a script has them."""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import sys
import types
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import besom
from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.names import flatten
from besom.sdk.config import Config, plain, select
from besom.testing import values


@dataclass
class Optim:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass
class Model:
    depth: int = 3
    optim: Optim = field(default_factory=Optim)


class Pair(NamedTuple):
    a: int
    b: int


class Flags:
    """What absl's FLAGS look like from outside."""

    def flag_values_dict(self) -> dict[str, Any]:
        return {"lr": 0.1}


@pytest.mark.parametrize(
    ("given", "as_plain"),
    [
        (None, {}),
        ({"lr": 0.1, "net": {"depth": 3}}, {"lr": 0.1, "net": {"depth": 3}}),
        (argparse.Namespace(lr=0.1, layers=[1, 2]), {"lr": 0.1, "layers": [1, 2]}),
        (OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Model(), {"depth": 3, "optim": {"lr": 0.1, "betas": [0.9, 0.99]}}),
        (Pair(1, 2), {"a": 1, "b": 2}),
        (Flags(), {"lr": 0.1}),
        ([("a", 1), ("b", 2)], {"a": 1, "b": 2}),
        ({"args": argparse.Namespace(x=1), 3: "three"}, {"args": {"x": 1}, "3": "three"}),
    ],
)
def test_a_config_may_come_in_many_forms(given: Any, as_plain: dict[str, Any]) -> None:
    assert plain(given) == as_plain


def test_an_omegaconf_config_is_known_by_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    class DictConfig:
        pass

    DictConfig.__module__ = "omegaconf.dictconfig"
    seen = {}

    def to_container(config: Any, resolve: bool) -> dict[str, Any]:
        seen["resolve"] = resolve
        return {"db": {"user": "me"}}

    monkeypatch.setitem(
        sys.modules, "omegaconf", types.SimpleNamespace(OmegaConf=types.SimpleNamespace(to_container=to_container))
    )
    assert plain(DictConfig()) == {"db": {"user": "me"}}
    assert seen == {"resolve": True}, "interpolations are resolved"


@pytest.mark.parametrize(
    "text", ["lr: 0.1\nnet: {depth: 3}\n", "lr: {value: 0.1, desc: rate}\nnet: {value: {depth: 3}}\n"]
)
def test_a_config_may_be_the_name_of_a_yaml_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert plain(str(path)) == plain(path) == {"lr": 0.1, "net": {"depth": 3}}


@pytest.mark.parametrize("wrong", [3, "no-such-file.yaml", ["a", "b"], object()])
def test_what_holds_no_names_is_refused_with_the_way_out(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"a config .* is|a config is"):
        plain(wrong)


def test_keys_can_be_chosen() -> None:
    data = {"a": 1, "b": 2, "c": 3}
    assert select(data, ["a", "z"], None) == {"a": 1}
    assert select(data, None, ["a"]) == {"b": 2, "c": 3}
    with pytest.raises(UsageError, match="give one"):
        select(data, ["a"], ["b"])


def test_items_attributes_and_the_rest_of_a_dictionary() -> None:
    records: list[Any] = []
    config = Config(records.append)
    config["lr"] = 0.1
    config.depth = 3
    config.update({"net": {"width": 8}}, seed=1)
    config.update(argparse.Namespace(lr=0.2), allow_val_change=True)
    assert config.setdefaults({"lr": 9, "new": 1}) == {"lr": 0.2, "depth": 3, "net": {"width": 8}, "seed": 1, "new": 1}
    del config["seed"]
    del config.new
    assert config.lr == config["lr"] == config.get("lr") == 0.2
    assert config.net["width"] == 8
    assert (config.get("none"), getattr(config, "none", 5), "lr" in config, hasattr(config, "x")) == (
        None,
        5,
        True,
        False,
    )
    assert dict(config) == {**config} == config.as_dict() == {"lr": 0.2, "depth": 3, "net": {"width": 8}}
    assert list(config.keys()) == ["lr", "depth", "net"] and len(config) == 3
    assert records == [
        rec.Config({"lr": 0.1}),
        rec.Config({"depth": 3}),
        rec.Config({"net": {"width": 8}, "seed": 1}),
        rec.Config({"lr": 0.2}),
        rec.Config({"new": 1}),
        rec.Config({}, ("seed",)),
        rec.Config({}, ("new",)),
    ]
    with pytest.raises(AttributeError, match="no 'lrr'; it has lr, depth, net"):
        _ = config.lrr
    with pytest.raises(KeyError):
        _ = config["lrr"]


def test_it_travels_to_other_processes_as_plain_data() -> None:
    config = Config()
    config.update({"a": {"b": 1}})
    assert pickle.loads(pickle.dumps(config)) == {"a": {"b": 1}}  # noqa: S301
    assert copy.deepcopy(config) == {"a": {"b": 1}}
    assert json.loads(json.dumps(dict(config))) == {"a": {"b": 1}}


def test_what_a_sweep_chose_is_locked(capsys: pytest.CaptureFixture[str], store: Any) -> None:
    config = Config()
    config.begin({"lr": 0.5, "seed": 1}, {"lr": 0.1})
    assert capsys.readouterr().err == "", "a default of the script gives way silently"
    config.update({"lr": 0.1, "seed": 2})
    assert capsys.readouterr().err == "", "the same value is no contradiction"
    config.lr = 7
    config["lr"] = 8
    config.update(argparse.Namespace(lr=9, seed=3))
    del config["lr"]
    assert config.as_dict() == {"lr": 0.1, "seed": 3}
    assert capsys.readouterr().err.count("config.lr was chosen by the sweep") == 1


def test_the_config_of_a_run_is_kept(store: Any) -> None:
    with besom.init(config=argparse.Namespace(lr=0.1), config_exclude_keys=["secret"]) as run:
        run.config.update({"net": Model()})
        besom.config.seed = 1
        besom.config = {"more": 2}  # type: ignore[assignment]
        run.config = {"last": 3}
        assert besom.config.lr == 0.1 and besom.config["net"]["optim"]["lr"] == 0.1
    assert store.folded().state.config == {
        "lr": 0.1, "net": {"depth": 3, "optim": {"lr": 0.1, "betas": [0.9, 0.99]}}, "seed": 1, "more": 2, "last": 3,
    }  # fmt: skip


def test_what_is_set_before_init_is_what_the_run_begins_with(store: Any) -> None:
    from besom import config

    config.lr = 0.1
    besom.config.update({"depth": 3})
    with besom.init(config={"depth": 4}) as run:
        assert dict(config) == dict(run.config) == {"lr": 0.1, "depth": 4}
        config.later = True
    assert store.folded().state.config == {"lr": 0.1, "depth": 4, "later": True}
    with besom.init() as second:
        assert dict(second.config) == {}


def test_an_odd_value_in_the_config_is_kept_as_text(store: Any) -> None:
    with besom.init(config={"model": object, "path": Path("a/b"), "fn": print}) as run:
        assert run.config.fn is print, "the script reads back what it set"
    assert store.folded().state.config == {
        "model": "<class 'object'>", "path": "a/b", "fn": "<built-in function print>"
    }  # fmt: skip


def test_secrets_in_the_config_are_not_kept(store: Any) -> None:
    key = "sk-" + "a" * 30
    with besom.init(config={"api": {"keys": [key]}, "max_tokens": 100, "token": "bpe"}) as run:
        run.config.url = "https://me:word@host/x"
        assert run.config["api"]["keys"] == [key], "the script itself reads what it set"
    assert store.folded().state.config == {
        "api": {"keys": ["[redacted]"]}, "max_tokens": 100, "token": "bpe", "url": "https://host/x"
    }  # fmt: skip


def test_a_config_of_any_values_is_taken(own_home: Path):
    """Deep, circular and unknown values are kept as far as they can be, and never stop a training."""
    both: dict[str, Any] = {"x": 1}
    both["a"] = both["b"] = both
    odd = {what: value for what, value, _ in values.ODD}
    run = besom.init(project="p", config={"deep": values.nest(1000), "both": both, "list": [both, both], **odd})
    run.config["deeper"] = values.nest(2000)
    besom.finish()
    config = dict(flatten(besom.Api().runs("p")[0].config))
    assert config["deep" + ".d" * 1000] == config["deeper" + ".d" * 2000] == 1.5
    assert config["both.x"] == 1
    assert config["a function"] == "<built-in function len>"
