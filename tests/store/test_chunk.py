"""Columns of numbers come back bit for bit, and damaged ones are said to be damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.core.errors import StoreError
from besom.store import chunk

INTS = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.lists(INTS, max_size=50), st.lists(st.integers(-200, 200), max_size=50)))
def test_integers_come_back(column: list[int]) -> None:
    assert chunk.unpack_ints(chunk.pack_ints(np.array(column, np.int64))).tolist() == column


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.lists(st.floats(), max_size=50), st.lists(st.floats(width=32), max_size=50), st.lists(st.integers(-(2**53), 2**53).map(float), max_size=50)))  # fmt: skip
def test_floats_come_back_bit_for_bit(column: list[float]) -> None:
    values = np.array(column, np.float64)
    for pack, unpack in ((chunk.pack_floats, chunk.unpack_floats), (chunk.pack_times, chunk.unpack_times)):
        assert unpack(pack(values)).tobytes() == values.tobytes()


@pytest.mark.parametrize("bits", [0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001, 0x8000000000000000])
def test_the_payload_of_nan_and_the_sign_of_zero_stay(bits: int) -> None:
    values = np.array([bits], np.uint64).view(np.float64)
    assert chunk.unpack_floats(chunk.pack_floats(values)).tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("what", "column", "most"),
    [
        ("steps 0, 1, 2, ...", np.arange(4096.0), 30),
        ("a constant", np.full(4096, 0.1), 60),
        ("a loss of float32", np.random.default_rng(0).normal(size=4096).astype("f4").astype("f8"), 4 * 4096),
    ],
)
def test_what_people_log_takes_little_room(what: str, column: np.ndarray, most: int) -> None:
    assert len(chunk.pack_floats(column)) <= most, what


def test_a_damaged_column_is_said_to_be_damaged() -> None:
    for unpack in (chunk.unpack_ints, chunk.unpack_floats):
        with pytest.raises(StoreError, match="damaged"):
            unpack(b"?123")
