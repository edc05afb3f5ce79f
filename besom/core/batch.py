"""A batch: consecutive records of one stream, with the place of each.

`seq` of a record is the byte offset of its frame in the journal: it grows strictly, never changes, and a damaged
record leaves a hole instead of moving its neighbours. Merging batches is associative; idempotence is `after`.
"""

from __future__ import annotations

import msgspec

from besom.core.errors import GapError
from besom.core.record import Record


class Batch(msgspec.Struct, frozen=True):
    """Records of one stream in [start, end). `seqs` grows strictly, start <= seq < end, one for each record."""

    start: int
    end: int
    seqs: tuple[int, ...] = ()
    records: tuple[Record, ...] = ()


def merge(first: Batch, second: Batch) -> Batch:
    """Two neighbouring batches as one. Associative. Raises GapError when they are not neighbours."""
    if first.end != second.start:
        raise GapError(first.end)
    return Batch(first.start, second.end, first.seqs + second.seqs, first.records + second.records)


def after(batch: Batch, position: int) -> Batch | None:
    """What `batch` adds to a stream that is held up to `position`; None when it adds nothing.

    Raises GapError when the batch starts behind `position`.
    """
    if batch.start > position:
        raise GapError(position)
    if batch.end <= position:
        return None
    kept = next((i for i, seq in enumerate(batch.seqs) if seq >= position), len(batch.seqs))
    return Batch(position, batch.end, batch.seqs[kept:], batch.records[kept:])
