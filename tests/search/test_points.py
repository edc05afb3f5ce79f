"""Lists that move together, beliefs, points to try first, and points tried several times."""

import pytest

from besom.search import SpaceError, Trial, check, parse, size, suggest

SPACE = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "batch": {"values": [16, 32, 64]},
    "epochs": {"values": [5, 10, 10]},
    "opt": {"values": ["sgd", "adam"]},
    "momentum": {"min": 0.0, "max": 1.0, "condition": 'opt == "sgd"'},
    "net": {"parameters": {"width": {"min": 8, "max": 512}}},
}
ZIP = [["batch", "epochs"]]


def sweep(parameters=SPACE, method="random", **more):
    return {"method": method, "metric": {"name": "loss"}, "parameters": parameters, **more}


def told(suggestions, start=0, state="finished", loss=None):
    return [
        Trial(f"{start + i:04}", s.params, state, {"loss": [loss if loss is not None else float(i)]}, s.info)
        for i, s in enumerate(suggestions)
    ]


def test_the_lists_of_a_zip_group_move_together():
    found = [s.params for s in suggest(sweep(zip=ZIP), [], 40, 1)]
    assert {(p["batch"], p["epochs"]) for p in found} == {(16, 5), (32, 10), (64, 10)}
    grid = sweep({k: SPACE[k] for k in ("batch", "epochs", "opt")}, "grid", zip=["batch", "epochs"])
    assert size(grid) == 6
    points = [s.params for s in suggest(grid, [], 99)]
    assert points[:3] == [
        {"batch": 16, "epochs": 5, "opt": "sgd"},
        {"batch": 16, "epochs": 5, "opt": "adam"},
        {"batch": 32, "epochs": 10, "opt": "sgd"},
    ]
    assert suggest(grid, [Trial(str(i), p) for i, p in enumerate(points)], 9) == []


def test_a_zip_group_is_one_ordered_column_that_rules_can_mention():
    nested = {"a": {"parameters": {"x": {"values": [1, 2, 3]}}}, "y": {"values": ["s", "m", "l"], "ordered": True}}
    spec = sweep(
        {**nested, "z": {"values": [0, 1], "condition": "a.x > 1"}},
        "grid",
        zip=[["y", "a.x"]],
        constraints=["y != 'm'"],
    )
    space = parse(spec)
    (group, z) = space.free
    assert (group.name, group.domain.ordered, z.name) == ("a.x+y", True, "z")
    assert [s.params for s in suggest(spec, [], 9)] == [
        {"a": {"x": 1}, "y": "s"},
        {"a": {"x": 3}, "y": "l", "z": 0},
        {"a": {"x": 3}, "y": "l", "z": 1},
    ]
    assert space.encode([{"a": {"x": 2}, "y": "l"}, {"a": {"x": 2}}]).tolist()[0][0] != 0.5


@pytest.mark.parametrize(
    ("given", "where", "says"),
    [
        ("batch", "zip", "list of groups.*batch"),
        ([["batch"]], "zip", "list of groups"),
        ([["batch", "epoch"]], "zip[0]", '"epochs"'),
        ([["batch", ["epochs"]]], "zip[0]", r"no parameter \['epochs'\]"),
        ([["batch", "batch"]], "zip[0]", "twice"),
        ([["batch", "epochs"], ["epochs", "opt"]], "zip[1]", "twice"),
        ([["batch", "opt"]], "zip", "equally many.*batch 3, opt 2"),
        ([["batch", "lr"]], "parameters.lr", "must have `values`"),
    ],
)
def test_a_wrong_zip_names_its_group_and_the_way_out(given, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(sweep(zip=given))
    assert caught.value.where == where


def test_categories_have_an_order_when_they_are_said_to_have_one():
    def column(**spec):
        (p,) = parse(sweep({"x": spec})).free
        return p.domain.ordered, p.domain.units(spec["values"]).tolist()

    sizes = ["small", "medium", "large", "huge"]
    assert column(values=sizes) == (False, [0.125, 0.375, 0.625, 0.875])
    assert column(values=sizes, ordered=True) == (True, [0.125, 0.375, 0.625, 0.875])
    assert column(values=[8, 2, 4, 1]) == (True, [0.875, 0.375, 0.625, 0.125])
    assert column(values=[8, 2, 4, 1], ordered=False)[0] is False
    assert column(values=[None, 1, 2, 3], ordered=True) == (True, [0.125, 0.375, 0.625, 0.875])
    with pytest.raises(SpaceError, match="true or false.*'yes'"):
        check(sweep({"x": {"values": [1], "ordered": "yes"}}))


def test_a_prior_is_a_belief_in_the_parameters_own_units():
    def believed(spec, **more):
        return parse(sweep({"x": spec}, **more)).parameters[0].prior

    log = {"distribution": "log_uniform_values", "min": 1e-4, "max": 1}
    assert believed({**log, "prior": 1e-2}) == pytest.approx((0.5, 0.2))
    mean, deviation = believed({**log, "prior": {"mean": 0.01, "deviation": 0.009}})
    assert mean == pytest.approx(0.5)
    assert deviation == pytest.approx(0.16, abs=0.01)
    assert believed({"min": 0, "max": 9, "prior": {"mean": 4.6, "deviation": 2}}) == pytest.approx((0.55, 0.2))
    assert believed({"values": [{"mean": 1}, "b"], "prior": {"mean": 1}}) == pytest.approx((0.25, 0.2))
    assert believed({"min": 0.0, "max": 2.0}, prior={"x": 1}) == pytest.approx((0.5, 0.2))
    assert believed({"min": 0.0, "max": 2.0}) is None
    spec = sweep(zip=ZIP, prior={"net": {"width": 260}, "batch": 64, "epochs": 10, "lr": 1e-3})
    found = {p.name: p.prior for p in parse(spec).parameters}
    assert found["batch+epochs"] == pytest.approx((5 / 6, 0.2))
    assert found["net.width"] == pytest.approx((0.5, 0.2), abs=0.01)
    assert found["opt"] is None


@pytest.mark.parametrize("method", ["grid", "random", "quasi"])
def test_a_prior_that_the_method_makes_no_use_of_is_a_warning(method):
    (warning,) = check(sweep({"x": {"values": [1, 2], "prior": 2}}, method))
    assert "prior" in warning and method in warning


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"prior": 3}, "prior", "a good point.*3"),
        ({"prior": {"lrr": 3}}, "prior.lrr", '"lr"'),
        ({"prior": {"lr": 3}}, "prior.lr", "a value of this parameter.*3"),
        ({"prior": {"batch": 16}, "zip": ZIP}, "prior.batch", "each of batch.epochs"),
        ({"parameters": {"x": {"values": [1, 2], "prior": 3}}}, "parameters.x.prior", "3"),
        ({"parameters": {"x": {"min": 0, "max": 9, "prior": {"men": 3}}}}, "parameters.x.prior.men", '"mean"'),
        (
            {"parameters": {"x": {"min": 0, "max": 9, "prior": {"mean": 3, "deviation": 0}}}},
            "parameters.x.prior.deviation",
            "above 0",
        ),
        ({"parameters": {"x": {"min": 0, "max": 9, "priro": 3}}}, "parameters.x.priro", '"prior"'),
    ],
)
def test_a_wrong_prior_names_its_key(change, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(sweep(**change))
    assert caught.value.where == where


def test_enqueued_points_come_first_each_once_whoever_asks():
    queue = [{"lr": 1e-3, "net": {"width": 64}}, {"momentum": 0.5}, {"opt": "adam", "batch": 64, "net.width": 9}]
    spec = sweep(zip=ZIP, enqueue=[*queue[:2], {**queue[2], "epochs": 10}])
    space = parse(spec)
    together = suggest(spec, [], 6, 1)
    assert [s.info.get("arm") for s in together[:4]] == ["enqueue", "enqueue", "enqueue", None]
    assert [s.info["method"] for s in together] == ["random"] * 6
    assert all(space.contains(s.params) for s in together)
    first, second, third = (s.params for s in together[:3])
    assert (first["lr"], first["net"]) == (1e-3, {"width": 64})
    assert (second["opt"], second["momentum"]) == ("sgd", 0.5)
    assert (third["opt"], third["batch"], third["epochs"], third["net"]) == ("adam", 64, 10, {"width": 9})
    trials = []
    for _ in range(6):
        trials += told(suggest(spec, trials, 1, 1), len(trials))
    assert [(t.params, t.info) for t in trials] == [(s.params, s.info) for s in together]


def test_an_enqueued_point_of_a_grid_is_not_tried_twice():
    spec = sweep(
        {"a": {"values": [1, 2, 3]}, "b": {"values": [0, False]}},
        "grid",
        enqueue=[{"a": 3, "b": False}, {"a": 3, "b": False}],
    )
    trials = []
    while found := suggest(spec, trials, 2):
        trials += told(found, len(trials))
    assert [t.params["a"] for t in trials] == [3, 1, 1, 2, 2, 3]
    assert trials[0].params["b"] is False and trials[-1].params["b"] == 0


@pytest.mark.parametrize(
    ("point", "where", "says"),
    [
        (3, "enqueue[0]", "a point.*3"),
        ({"lrr": 1}, "enqueue[0].lrr", '"lr"'),
        ({"net": {"widht": 1}}, "enqueue[0].net.widht", '"net.width"'),
        ({"lr": 7}, "enqueue[0].lr", "7 is no value"),
        ({"batch": 16}, "enqueue[0]", "move together"),
        ({"batch": 16, "epochs": 10}, "enqueue[0].batch+epochs", r"\[16, 10\]"),
        ({"opt": "adam", "momentum": 0.5}, "enqueue[0]", '0 satisfy `opt == "sgd"`'),
        ({"lr": 0.1, "net": {"width": 512}}, "enqueue[0]", "0 satisfy `lr . net.width < 40`"),
    ],
)
def test_a_wrong_enqueued_point_is_told_when_the_sweep_is_made(point, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(sweep(zip=ZIP, constraints=["lr * net.width < 40"], enqueue=[point]))
    assert caught.value.where == where


@pytest.mark.parametrize("method", ["grid", "random", "quasi", "bayes"])
def test_each_point_is_repeated_before_the_method_is_asked_again(method):
    spec = sweep({"a": {"values": [1, 2]}, "b": {"values": ["x", "y"]}}, method, repeats=3)
    assert size(spec) == 12
    trials = []
    while found := suggest(spec, trials, 1, 1):
        trials += told(found, len(trials), loss=1.0)
    assert len(trials) == 12
    for first in range(0, 12, 3):
        assert len({repr(t.params) for t in trials[first : first + 3]}) == 1
        assert trials[first + 2].info == {"method": method, "arm": "repeat", "of": trials[first].id, "repeat": 3}
    assert len({repr(t.params) for t in trials}) == 4


def test_agents_share_the_repeats_of_a_point_that_still_runs():
    spec = sweep(repeats=3)
    trials = told(suggest(spec, [], 1, 1), state="running")
    found = suggest(spec, trials, 4, 1)
    assert [s.info.get("repeat") for s in found] == [2, 3, None, None]
    assert found[0].params == trials[0].params != found[2].params


def test_a_point_that_failed_at_first_or_was_stopped_is_not_repeated():
    spec = sweep(repeats=3)
    for state in ("failed", "crashed", "killed", "stopped"):
        trials = told(suggest(spec, [], 1, 1), state=state)
        assert suggest(spec, trials, 1, 1)[0].params != trials[0].params


@pytest.mark.parametrize(
    ("aggregate", "goal", "expected"),
    [
        (None, "minimize", 3.0),
        ("mean", "minimize", 3.0),
        ("median", "minimize", 2.0),
        ("max", "minimize", 6.0),
        ("max", "maximize", 6.0),
        ("min", "maximize", 1.0),
        ("worst", "minimize", 6.0),
        ("worst", "maximize", 1.0),
    ],
)
def test_what_the_repeats_of_a_point_count_as(aggregate, goal, expected):
    """Asked through a method of our own that tells what it sees."""
    from besom.search import Suggestion, register_method

    class Echo:
        def check(self, problem):
            return []

        def suggest(self, problem, trials, n):
            return [Suggestion({}, {"seen": [(t.id, t.state, dict(t.metrics)) for t in trials]})]

    register_method("echo", Echo())
    spec = sweep({"x": {"min": 0.0, "max": 1.0}}, "echo", repeats=3, aggregate=aggregate)
    spec["metric"] = {"name": "loss", "goal": goal, "agg": "last"}
    group = [
        Trial("a", {"x": 0.5}, "finished", {"loss": [9.0, 2.0], "other": [7.0]}),
        Trial("b", {"x": 0.5}, "finished", {"loss": [6.0]}, {"of": "a", "repeat": 2}),
        Trial("c", {"x": 0.5}, "finished", {"loss": [0.0, 1.0]}, {"of": "a", "repeat": 3}),
    ]
    (found,) = suggest(spec, group[::-1], 1)
    assert found.info["seen"] == [("a", "finished", {"loss": [pytest.approx(expected)], "other": [7.0]})]
    lost = [group[0], Trial("b", {}, "failed", {}, group[1].info), Trial("c", {}, "running", {}, group[2].info)]
    assert suggest(spec, lost, 1)[0].info["seen"][0][:2] == ("a", "running")


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"repeats": 0}, "repeats", "from 1 to 1000.*0"),
        ({"repeats": 1.5}, "repeats", "1.5"),
        ({"repeats": True}, "repeats", "True"),
        ({"repeats": "3"}, "repeats", "'3'"),
        ({"repeats": 2, "aggregate": "meen"}, "aggregate", '"mean"'),
    ],
)
def test_wrong_repeats_are_told(change, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(sweep(**change))
    assert caught.value.where == where


def test_an_aggregate_without_repeats_is_a_warning():
    assert any("aggregate" in w for w in check(sweep(aggregate="mean")))
