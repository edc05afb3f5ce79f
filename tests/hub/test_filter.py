"""The filter language: what people write, and what they are told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from besom.core.errors import FilterError, UsageError
from besom.hub.filter import parse, to_text


@pytest.fixture
def zoo(lab: Any) -> Any:
    """Four runs: a and b good, c diverged, d crashed early without a summary."""
    lab.add("a", {"lr": 1e-2, "arch": "cnn", "seed": 1, "opt": {"name": "adam"}, "amp": True, "a b": 1}, [{"acc": 0.5}, {"acc": 0.9}, {"acc": 0.8}], name="resnet-50", tags=("base", "paper"), began=1_700_000_000)  # fmt: skip
    lab.add("b", {"lr": 1e-3, "arch": "vit", "seed": "1", "opt": {"name": "sgd"}, "amp": False}, [{"acc": 0.7}], name="vit-base", tags=("base",), began=1_700_086_400)  # fmt: skip
    lab.add("c", {"lr": 1e-4, "arch": "vit", "seed": 2, "layers": [64, 64]}, [{"acc": float("nan")}], name='odd "name"', group="g", began=1_700_172_800)  # fmt: skip
    lab.add("d", {"lr": 1, "arch": "cnn", "seed": None}, state="failed", name="RES", began=1_700_259_200)
    return lab


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", "abcd"),
        ("config.lr = 0.001", "b"),
        ("lr = 1e-3", "b"),
        ("lr == .001", "b"),
        ("lr=1", "d"),
        ("lr < 1e-2", "bc"),
        ("1e-4 <= lr <= 1e-3", "bc"),
        ("1e-3 > lr", "c"),
        ("lr != 0.001", "acd"),
        ("not lr = 0.001", "acd"),
        ("arch in (cnn, vit) and lr in (1, 0.01)", "ad"),
        ("arch not in (cnn)", "bc"),
        ("not arch in [cnn, none]", "bc"),
        ("state = finished", "abc"),
        ("state != finished", "d"),
        ("state = finished and (arch = cnn or lr < 5e-4)", "ac"),
        ("state = finished and arch = cnn or lr = 1", "ad"),
        ("name ~ res", "a"),
        ('name ~ "(?i)^res"', "ad"),
        ('name !~ "(?i)res"', "bc"),
        ('name = "odd \\"name\\""', "c"),
        ("name = 'odd \"name\"'", "c"),
        ("tags = base", "ab"),
        ("tags = paper", "a"),
        ("tags in (paper, other)", "a"),
        ("not tags in (paper, other)", "bcd"),
        ("tags is set", "ab"),
        ("tags ~ ^pa", "a"),
        ("seed = 1", "a"),
        ('seed = "1"', "b"),
        ("seed is set", "abc"),
        ("seed is not set", "d"),
        ("seed = null", "d"),
        ("seed != null", "abc"),
        ("seed in (2, null)", "cd"),
        ("amp = true", "a"),
        ("amp = false", "b"),
        ("amp = 1", ""),
        ("opt.name = adam", "a"),
        ("config.opt.name ~ sg", "b"),
        ("`a b` = 1", "a"),
        ("config.`a b` = 1", None),
        ('layers = "[64,64]"', "c"),
        ("acc > 0.75", "a"),
        ("summary.acc = nan", "c"),
        ("acc < 1", "ab"),
        ("metrics.acc.best > 0.85", "a"),
        ("metrics.acc.last > 0.85", ""),
        ("metrics.acc.min >= 0.5", "ab"),
        ("metrics.acc.mean < 0.72", "b"),
        ("metrics.acc.count = 3", "a"),
        ("metrics.acc.best is set", "abc"),
        ("metrics.acc.best is not set", "d"),
        ("group = g", "c"),
        ("run.name ~ vit", "b"),
        ("exit_code = 1", "d"),
        ("created >= 2023-11-16", "cd"),
        ("created < 2023-11-15T22:13:20", "a"),
        ("created <= 1700000000", "a"),
        ("id in (a, b) AND NOT (arch = vit)", "a"),
        ("lr <= inf and lr > -inf", "abcd"),
        ("lr > nan", ""),
    ],
)
def test_a_filter_keeps_the_runs_it_says(zoo: Any, text: str, ids: str | None) -> None:
    if ids is None:
        with pytest.raises(FilterError):
            zoo.ids(text)
        return
    page = zoo.runs(text)
    assert "".join(sorted(run.id for run in page.runs)) == ids
    assert (page.total, page.matched) == (4, len(ids))


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("lrr < 1", 0, "no run here has 'lrr'. Did you mean \"lr\"?"),
        ("state = finished and config.archh = cnn", 21, 'Did you mean "config.arch"?'),
        ("metrics.ac.best > 1", 0, 'Did you mean "metrics.acc.best"?'),
        ("metrics.acc > 1", 0, "metrics.acc.best, metrics.acc.last"),
        ("lr <", 4, "a name or a value is missing (the filter ends)"),
        ("lr < 1 and", 10, "missing"),
        ("lr < 1 arch = cnn", 7, 'joined by and or or ("arch" stands here)'),
        ("(lr < 1", 7, '")" is missing to close the bracket'),
        ("lr < 1)", 6, "joined"),
        ("lr", 2, 'after "lr" comes'),
        ("1 < 2", 4, "'2' is a value, and here a name is needed"),
        ('"lr" is set', 0, "write `lr`"),
        ("lr = `acc`", 5, "not with the key 'acc'"),
        ("1 < lr < 2 < 3", 11, "a chain has one name between two values"),
        ("arch in cnn", 8, '"(" is missing before the values'),
        ("arch in (cnn", 12, '")" is missing or a comma'),
        ("arch in ()", 9, "missing"),
        ("arch is cnn", 8, "is set"),
        ("name ~ (", 7, "missing"),
        ('name ~ "("', 7, "missing )"),
        ("res ~ name ~ x", 0, "pattern stands right"),
        ("amp < true", 6, "compares by = and != only"),
        ("amp > null", 6, "compares by = and != only"),
        ("name = 'open", 7, "it has no end"),
        ("! lr = 1", 0, "to say not, write not"),
        ("lr & 1", 3, "comes ="),
        ("lr = and", 5, "quote a word"),
        ("created > yesterday", 10, "2026-01-31"),
        ("(" * 60 + "lr = 1" + ")" * 60, 50, "at most 50 deep"),
        ("lr = 1 or " * 300 + "lr = 1", 2000, "at most 200 comparisons"),
        ("lr = 1 " + " " * 10_000, 10_000, "at most 10000 characters"),
    ],
)
def test_a_wrong_filter_says_where_and_what_to_do(zoo: Any, text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        zoo.ids(text)
    assert says in str(caught.value)
    assert caught.value.position == position


def test_any_key_may_stand_in_a_filter_while_a_project_has_no_runs(lab: Any) -> None:
    assert lab.runs("config.lr < 1 and val_loss < 2 and metrics.a.best > 1", sort="anything").runs == ()


def test_the_config_comes_before_the_summary_and_before_the_field(lab: Any) -> None:
    lab.add("a", {"name": "x", "acc": 1}, [{"acc": 2.0}], name="y")
    for text in ("name = x", "run.name = y", "acc = 1", "summary.acc = 2"):
        assert lab.ids(text) == ["a"], text


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("", "dcba"),
        ("created", "abcd"),
        ("-created", "dcba"),
        ("lr", "cbad"),
        ("-config.lr", "dabc"),
        ("arch,lr", "adcb"),
        ("-arch,-lr", "bcda"),
        ("acc", "badc"),  # d has none, and c's is NaN: both last, the newer first
        ("-acc", "abdc"),
        ("-metrics.acc.best", "abdc"),
        ("metrics.acc.last", "badc"),
        ("seed", "acbd"),  # numbers, then texts, then nothing
        ("state,-name", "dbac"),
        ("tags,created", "abcd"),
        ("-`a b`,created", "abcd"),
        (" lr , ", "cbad"),
    ],
)
def test_runs_come_in_the_order_asked_for_and_missing_values_last(zoo: Any, sort: str, ids: str) -> None:
    assert "".join(zoo.ids("", sort)) == ids


@pytest.mark.parametrize(("sort", "position"), [("lr,archh", 3), ("-archh", 1), ("`a", 0)])
def test_a_wrong_sort_key_says_where(zoo: Any, sort: str, position: int) -> None:
    with pytest.raises(FilterError) as caught:
        zoo.runs("", sort)
    assert caught.value.position == position


def test_a_sort_has_few_keys(lab: Any) -> None:
    """SQLite 3.40 dies, and a server with it, of sixteen; besom says no before."""
    lab.add("r", {f"k{i}": i for i in range(16)})
    assert lab.ids("", ",".join(f"k{i}" for i in range(8))) == ["r"]
    with pytest.raises(FilterError, match="at most 8 keys") as caught:
        lab.runs("", ",".join(f"k{i}" for i in range(16)))
    assert caught.value.position == len("k0,k1,k2,k3,k4,k5,k6,k7,")


def test_pages_cover_all_runs_once(lab: Any) -> None:
    for i in range(7):
        lab.add(f"r{i}", {"same": 1})
    seen, offset = [], 0
    while offset is not None:
        page = lab.runs(sort="same", limit=3, offset=offset)
        assert (page.total, page.matched) == (7, 7)
        seen += [run.id for run in page.runs]
        offset = page.next
    assert sorted(seen) == [f"r{i}" for i in range(7)]
    assert lab.runs(limit=0).runs == ()
    assert lab.runs(offset=100).next is None
    with pytest.raises(UsageError):
        lab.runs(limit=-1)


@pytest.mark.parametrize(
    "text",
    [
        "a = 1", "a != b", "a ~ `b`", "`a b` is not set", "not (a = 1 and b = 2)", "(a = 1 or b = 2) and c = 3",
        "a not in (1, x, \"y z\", true, null)", "1 <= a < 2", "`1` = 1", "`and` = \"and\"", "a = \"1\"", "`a``b` = -0.0",
    ],
)  # fmt: skip
def test_a_filter_survives_being_spelled_out(text: str) -> None:
    if "~ `" in text:
        with pytest.raises(FilterError):
            parse(text)
        return
    node = parse(text)
    assert node is not None
    assert parse(to_text(node)) == node
