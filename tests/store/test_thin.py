"""Thinning tells the truth about all points: held to plain Python, and to curves that would fool a sampler."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.store.thin import across, grid, thin

POINTS = st.lists(st.tuples(st.integers(-50, 200), st.floats(-1e6, 1e6) | st.just(math.nan)), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None)
@given(POINTS, st.integers(1, 60))
def test_each_bucket_is_what_plain_python_says(points: list[tuple[int, float]], buckets: int) -> None:
    x = np.array([step for step, _ in points], np.int64)
    shared = grid([x], buckets, exact=True)
    place = shared.index(x)
    found = thin(place, np.array([value for _, value in points]), shared.count)
    assert shared.count <= buckets
    for i in range(shared.count):
        inside = [v for (_, v), at in zip(points, place, strict=True) if at == i and not math.isnan(v)]
        assert found.n[i] == len(inside)
        if inside:
            assert (found.min[i], found.max[i], found.last[i]) == (min(inside), max(inside), inside[-1])
            assert found.mean[i] == pytest.approx(math.fsum(inside) / len(inside), rel=1e-9, abs=1e-9)
        else:
            assert all(math.isnan(column[i]) for column in (found.mean, found.min, found.max, found.last))


def test_few_distinct_steps_are_a_bucket_each() -> None:
    shared = grid([np.array([0, 100, 200]), np.array([50, 100])], 500, exact=True)
    assert shared.centres().tolist() == [0, 50, 100, 200]
    assert shared.index(np.array([100, 50, 200])).tolist() == [2, 1, 3]


def test_many_steps_share_buckets_of_whole_width_that_stay_while_the_run_grows() -> None:
    before = grid([np.arange(1000, 5001)], 100, exact=True)
    after = grid([np.arange(1000, 5090)], 100, exact=True)
    assert before.width == after.width
    assert set(before.centres()) <= set(after.centres())
    assert before.count <= 100
    assert before.index(np.array([1000, 5000])).tolist() == [0, before.count - 1]


def test_seconds_get_buckets_of_equal_width_that_cover_both_ends() -> None:
    shared = grid([np.array([0.5, 10.5])], 10, exact=False)
    assert shared.count == 10
    assert shared.index(np.array([0.5, 1.49, 10.5])).tolist() == [0, 0, 9]
    assert shared.centres()[0] == 1.0


@pytest.mark.parametrize(
    "x", [[5.0, 5.0], [-1e308, 1e308], [1.7e9, math.nextafter(1.7e9, math.inf)], [0.0, 5e-324]], ids=repr
)
def test_odd_ranges_still_have_a_place_for_every_point(x: list[float]) -> None:
    shared = grid([np.array(x)], 7, exact=False)
    with np.errstate(all="ignore"):
        place = shared.index(np.array(x))
    assert ((place >= 0) & (place < shared.count)).all()


def test_no_points_make_an_empty_grid() -> None:
    assert grid([np.empty(0, np.int64)], 10, exact=True).centres().tolist() == []


def test_one_spike_among_a_hundred_thousand_points_is_seen() -> None:
    values = np.zeros(100_000)
    values[54_321] = 7.0
    shared = grid([np.arange(100_000)], 500, exact=True)
    found = thin(shared.index(np.arange(100_000)), values, shared.count)
    assert found.max.max() == 7.0
    assert found.n.sum() == 100_000


def test_infinity_stays_in_its_bucket_and_huge_values_do_not_become_it() -> None:
    found = thin(np.array([0, 0, 1, 1, 2]), np.array([1e308, 1e308, math.inf, 1.0, 5.0]), 3)
    assert found.mean.tolist() == [1e308, math.inf, 5.0]


def test_deviation_is_across_runs_with_one_degree_of_freedom_less() -> None:
    means = np.array([[1.0, 2.0, math.nan], [3.0, math.nan, math.nan], [8.0, 4.0, math.nan]])
    found = across(means)
    assert found.n.tolist() == [3, 2, 0]
    assert found.mean[:2].tolist() == [4.0, 3.0]
    assert found.std[0] == pytest.approx(statistics.stdev([1.0, 3.0, 8.0]))
    assert (found.min[0], found.max[0]) == (1.0, 8.0)
    assert math.isnan(found.mean[2]) and math.isnan(found.std[2]) and math.isnan(found.min[2])


def test_one_run_has_no_deviation() -> None:
    found = across(np.array([[1.0, 2.0]]))
    assert np.isnan(found.std).all()
    assert found.mean.tolist() == [1.0, 2.0]


def test_large_numbers_on_the_axis_keep_their_place() -> None:
    """Steps counted in FLOPs: beyond 2**53 a float64 minus one is itself."""
    shared = grid([np.repeat([1e18, 2e18, 3e18], 300)], 500, exact=True)
    assert shared.centres().tolist() == [1e18, 2e18, 3e18]
