"""terminate: auto ends a sweep once its model expects less than the noise, and not before."""

import pytest

from besom.search import SpaceError, Trial, check, done, suggest


def sweep(method="bayes", **more):
    return {
        "method": method, "metric": {"name": "y"}, "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "terminate": "auto", "seed": 1, **more,
    }  # fmt: skip


def chosen(values, gains, **info):
    """Trials of a model that said of each it would gain about that much on the best of 0."""
    return [
        Trial(
            str(i),
            {"x": i / 99},
            "finished",
            {"y": [v]},
            {"arm": "model", "number": i, "predicted": -g, "deviation": 0, **info},
        )
        for i, (v, g) in enumerate(zip(values, gains, strict=True))
    ]


@pytest.mark.parametrize(
    ("story", "values", "gains", "ends"),
    [
        ("nothing to gain any more", [0, *range(1, 40)], [0.0] * 40, True),
        ("one of the latest points promises much", [0, *range(1, 40)], [0.0] * 37 + [5.0, 0.0, 0.0], False),
        ("what was promised long ago does not count", [0, *range(1, 40)], [9.0] * 30 + [0.0] * 10, True),
        ("the best is young", [*range(1, 40), 0], [0.0] * 40, False),
        ("few trials", [0, *range(1, 9)], [0.0] * 9, False),
    ],
)
def test_when_a_sweep_ends(story, values, gains, ends):
    reason = done(sweep(), chosen(values, gains))
    assert bool(reason) == ends, story
    if reason:
        assert "expects to gain at most 0 of y" in reason and "40 trials with 0 at best" in reason
    assert done({**sweep(), "terminate": None}, chosen(values, gains)) is None


def test_the_noise_of_repeats_is_known_better_than_a_hundredth_of_the_spread():
    trials = chosen([0.0] + [5.0] * 39, [1.0] * 40)
    assert done(sweep(), trials) is None
    again = [
        Trial(f"r{i}", {"x": 0.5}, "finished", {"y": [5.0 + 8 * (i % 2)]}, {"arm": "repeat", "of": "9"})
        for i in range(9)
    ]
    assert "the noise of a point tried 2 times" in done(sweep(repeats=2), trials + again)


@pytest.mark.parametrize("method", ["bayes", "random"])
def test_a_smooth_bowl_is_soon_known_well_enough(method):
    trials = []
    while not (reason := done(sweep(method), trials)):
        (s,) = suggest(sweep(method), trials, 1)
        trials.append(Trial(str(len(trials)), s.params, "finished", {"y": [(s.params["x"] - 0.3) ** 2]}, s.info))
        assert len(trials) < 50
    assert "below" in reason
    assert min(t.metrics["y"][0] for t in trials) < 0.001


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"terminate": "soon"}, "terminate"),
        ({"metrics": [{"name": "z"}]}, "terminate"),
        ({"metric": None, "method": "random"}, "terminate"),
    ],
)
def test_what_cannot_be_asked_is_told(more, where):
    for call in (check, lambda s: done(s, [])):
        with pytest.raises(SpaceError) as caught:
            call(sweep(**more))
        assert caught.value.where == where
