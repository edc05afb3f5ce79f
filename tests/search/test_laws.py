"""Laws of search over spaces and histories that nobody thought of."""

import json
import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import besom.search as search
from besom.search import SpaceError, Trial, check, parse, size, suggest

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
positive = st.floats(1e-6, 1e6).map(lambda x: float(f"{x:.4g}"))
steps = st.sampled_from([0.1, 0.25, 0.001, 3, 1, 1e-4, 0.3])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, -1.5, math.inf, math.nan])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


def between(values, name=None, **more):
    """A spec from two different values of a strategy."""
    ends = st.lists(values, min_size=2, max_size=2, unique=True).map(sorted)
    named = {} if name is None else {"distribution": name}
    return ends.map(lambda e: {**named, "min": e[0], "max": e[1], **more})


def with_step(spec):
    """A quantised spec whose range holds some steps."""
    return st.tuples(spec, steps).map(lambda p: {**p[0], "max": p[0]["min"] + 7.5 * p[1], "q": p[1]})


small = st.one_of(
    st.lists(anything, min_size=1, max_size=4).map(lambda v: {"values": v}),
    anything.map(lambda v: {"value": v}),
    st.integers(-5, 5).map(lambda a: {"min": a, "max": a + 3}),
    with_step(between(st.integers(-9, 9), "q_uniform")),
)
endless = st.one_of(
    between(numbers),
    between(st.integers(-(10**9), 10**9)),
    between(numbers, "uniform"),
    between(positive, "log_uniform_values"),
    between(positive, "inv_log_uniform_values"),
    between(st.integers(-9, 9), "log_uniform"),
    between(st.integers(-9, 9), "inv_log_uniform"),
    with_step(between(positive, "q_log_uniform_values")),
    st.tuples(numbers, positive).map(lambda p: {"distribution": "normal", "mu": p[0], "sigma": p[1]}),
    st.tuples(numbers, positive, steps).map(
        lambda p: {"distribution": "q_normal", "mu": p[0], "sigma": p[1], "q": p[2]}
    ),
    st.tuples(st.floats(-5, 5), st.floats(0.01, 5)).map(
        lambda p: {"distribution": "log_normal", "mu": p[0], "sigma": p[1]}
    ),
    st.tuples(st.floats(0.2, 9), st.floats(0.2, 9)).map(lambda p: {"distribution": "beta", "a": p[0], "b": p[1]}),
)
names = st.text("abXY_.0é", min_size=1, max_size=4)


def trees(leaf):
    flat = st.dictionaries(names, leaf, min_size=1, max_size=4)
    return st.dictionaries(names, leaf | flat.map(lambda p: {"parameters": p}), min_size=1, max_size=4)


plain = st.lists(st.sampled_from([0, 1, 2, 2.5, True, False, None, "a", ""]), min_size=1, max_size=3, unique_by=repr)
countable = st.one_of(
    plain.map(lambda v: {"values": v}),
    st.integers(-2, 2).map(lambda a: {"min": a, "max": a + 2}),
    st.sampled_from([0.1, 0.25, 3]).map(lambda q: {"distribution": "q_uniform", "min": 0, "max": 3.2 * q, "q": q}),
)
real = st.one_of(
    st.just({"min": -1.0, "max": 2.0}),
    st.just({"distribution": "log_uniform_values", "min": 1e-4, "max": 1}),
    st.just({"distribution": "q_log_uniform_values", "min": 1, "max": 900, "q": 8}),
    st.just({"distribution": "normal", "sigma": 2}),
)


def about(draw, name, spec):
    """A rule about one parameter that is sometimes true."""
    if "values" in spec:
        return f"{name} {draw(st.sampled_from(['==', '!=']))} {draw(st.sampled_from(spec['values']))!r}"
    return f"{name} {draw(st.sampled_from(['<=', '>']))} {draw(st.sampled_from([0, 0.3, 1]))}"


@st.composite
def ruled(draw, leaf):
    """Keys of a sweep whose parameters live by each other, some of them nested, with constraints and a zip group."""
    specs = [dict(draw(leaf)) for _ in range(draw(st.integers(1, 4)))]
    names = [f"p{i}" if i < 3 else f"g.p{i}" for i in range(len(specs))]
    parameters = {}
    for i, spec in enumerate(specs):
        if i and draw(st.booleans()):
            j = draw(st.integers(0, i - 1))
            spec["condition"] = about(draw, names[j], specs[j])
        if i < 3:
            parameters[f"p{i}"] = spec
        else:
            whole = {"condition": about(draw, names[0], specs[0])} if draw(st.booleans()) else {}
            parameters["g"] = {"parameters": {f"p{i}": spec}, **whole}
    more = {
        "constraints": [
            f"{about(draw, n, s)} or {about(draw, n, s)}" for n, s in zip(names, specs) if draw(st.booleans())
        ]
    }
    if draw(st.booleans()):
        parameters |= {"z1": {"values": [1, 2, 3]}, "z2": {"values": ["a", None, "a"]}}
        more["zip"] = [["z1", "z2"]]
    if len(specs) > 1:
        more["constraints"].append(f"{names[0]} != {names[1]}")
    return {"parameters": parameters, **more}


def can_run(spec):
    """Whether some point satisfies the constraints."""
    try:
        check(spec)
    except SpaceError as error:
        assert "no point was found" in str(error)
        return False
    return True


values = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, 1e308, -1e308, 5e-324])
states = st.sampled_from(["pending", "running", "finished", "failed", "crashed", "killed", "stopped"])
# all that take any space and need nothing installed; a population comes back to its points on purpose
METHODS = sorted(set(search.methods()) - {"grid", "optuna", "custom", "corners", "pbt"})
methods = st.sampled_from(METHODS)
anyone = methods | st.just("pbt")  # which waits for its generation, tries points again, and ends by itself


def sweep(method, parameters, goal="minimize"):
    return {"method": method, "metric": {"name": "y", "goal": goal}, "parameters": parameters}


def history(spec, outcomes, seed=0):
    """Trials at random points of the space, with the outcomes given."""
    points = suggest({**spec, "method": "random"}, [], len(outcomes), seed)
    return [Trial(str(i), p.params, s, {"y": [v]}) for i, (p, (s, v)) in enumerate(zip(points, outcomes))]


@quick
@given(anyone, trees(small | endless), st.lists(st.tuples(states, values), max_size=9), st.integers())
def test_every_suggestion_lies_in_its_space(method, parameters, outcomes, seed):
    spec = sweep(method, parameters)
    check(spec)
    space = parse(spec)
    found = suggest(spec, history(spec, outcomes), 3, seed)
    assert found or size(spec) is not None or method == "pbt"
    for suggestion in found:
        assert space.contains(suggestion.params)
        json.dumps(suggestion.info, allow_nan=False)


@quick
@given(trees(small | endless), st.integers(0, 99))
def test_a_point_and_its_row_are_the_same(parameters, seed):
    """decode(encode(point)) is the point, and a snapped row stays where it is."""
    spec = sweep("random", parameters)
    space = parse(spec)
    for suggestion in suggest(spec, [], 4, seed):
        row = space.encode([suggestion.params])
        assert np.isfinite(row).all()
        assert np.allclose(space.encode([space.decode(row[0].tolist())]), row, atol=1e-9, rtol=0)


@few
@given(methods | st.just("grid"), trees(small), st.integers(1, 4), st.integers(0, 9))
def test_a_finite_space_is_covered_without_a_repeat(method, parameters, width, seed):
    spec = sweep(method, parameters)
    total = size(spec)
    assume(total <= 60)
    trials = []
    while found := suggest(spec, trials, width, seed):
        trials += [Trial(str(len(trials) + i), s.params, info=s.info) for i, s in enumerate(found)]
        assert len(trials) <= total
    assert len({parse(spec).index(t.params) for t in trials}) == len(trials) == total


@quick
@given(anyone, ruled(countable | real), st.lists(st.tuples(states, values), max_size=9), st.integers(0, 99))
def test_every_suggestion_satisfies_conditions_and_constraints(method, keys, outcomes, seed):
    spec = sweep(method, None) | keys
    assume(can_run(spec))
    space = parse(spec)
    known = history(spec, outcomes)
    found = [s.params for s in suggest(spec, known, 3, seed)]
    assert found or size(spec) is not None or method == "pbt"
    assert all(space.contains(params) for params in found)
    rows = space.encode(found)
    assert np.array_equal(np.isnan(rows), space.dead(rows))
    assert all(space.contains(space.decode(row)) for row in rows.tolist())
    if size(spec) is not None and method != "pbt":
        assert len({space.index(t.params) for t in known} | {space.index(p) for p in found}) == len(known) + len(found)


@few
@given(methods | st.just("grid"), ruled(countable), st.integers(1, 4), st.integers(0, 9))
def test_a_finite_space_with_rules_is_covered_without_a_repeat(method, keys, width, seed):
    spec = sweep(method, None) | keys
    assume(can_run(spec))
    space = parse(spec)
    # the points that there are: every combination of values, read back as a point
    points = {json.dumps(p, sort_keys=True) for p in map(space.at, range(space.product)) if space.contains(p)}
    assume(len(points) <= 60)
    trials = []
    while found := suggest(spec, trials, width, seed):
        trials += [
            Trial(str(len(trials) + i), s.params, metrics={"y": [1.0]}, info=s.info) for i, s in enumerate(found)
        ]
        assert len(trials) <= len(points)
    assert {json.dumps(t.params, sort_keys=True) for t in trials} == points
    assert size(spec) == len(trials) == len(points)


@few
@given(
    methods,
    trees(small | endless),
    st.lists(values, min_size=2, max_size=16),
    st.randoms(use_true_random=False),
    st.integers(0, 9),
)
def test_the_order_of_finished_trials_does_not_matter(method, parameters, outcomes, dice, seed):
    spec = sweep(method, parameters)
    trials = history(spec, [("finished", v) for v in outcomes])
    expected = suggest(spec, trials, 2, seed)
    dice.shuffle(trials)
    assert suggest(spec, trials, 2, seed) == expected


@few
@given(methods, trees(small | endless), st.lists(st.floats(-1e6, 1e6), max_size=14), st.integers(0, 9))
def test_a_maximise_sweep_mirrors_a_minimise_one(method, parameters, outcomes, seed):
    down, up = sweep(method, parameters), sweep(method, parameters, "maximize")
    trials = history(down, [("finished", v) for v in outcomes])
    mirrored = [Trial(t.id, t.params, t.state, {"y": [-v for v in t.metrics["y"]]}) for t in trials]
    below, above = suggest(down, trials, 2, seed), suggest(up, mirrored, 2, seed)
    assert [s.params for s in below] == [s.params for s in above]
    for a, b in zip(below, above):
        if "predicted" in a.info:
            assert a.info["predicted"] == -b.info["predicted"]


@few
@given(methods, st.sampled_from([0.0, 1.0, -1e308, 1e-320]), trees(small | endless), st.integers(2, 14))
def test_a_constant_objective_is_no_trouble(method, value, parameters, n):
    spec = sweep(method, parameters)
    found = suggest(spec, history(spec, [("finished", value)] * n), 2)
    assert all(parse(spec).contains(s.params) for s in found)


@few
@given(methods, trees(endless), st.integers(2, 12))
def test_the_same_point_told_again_and_again_is_no_trouble(method, parameters, n):
    spec = sweep(method, parameters)
    point = suggest(spec, [], 1, 0)[0].params
    trials = [Trial(str(i), point, "finished", {"y": [float(i % 3)]}) for i in range(n)]
    assert all(parse(spec).contains(s.params) for s in suggest(spec, trials, 2, 1))
