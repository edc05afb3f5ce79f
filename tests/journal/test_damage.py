"""Cut, flipped and zeroed journals: no exception, no wrong value, at most the damaged record lost.

The full matrix (every byte of the last 64 KiB, 10,000 flips) is benchmarks/journal_damage.py; here is a part of it.
"""

from __future__ import annotations

import os
import random
from zlib import crc32

import pytest

from besom.core import codec
from besom.journal import file as journals
from besom.journal.file import Journal
from besom.journal.frame import FIRST, HEAD, LONGEST, MAGIC_NUMBER, frame, pack_head, pack_word


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """(bytes of a closed journal, its records by seq). Records have many sizes, and some hold a whole journal."""
    folder = tmp_path_factory.mktemp("golden")
    journal = Journal.create(folder, run="r", entity="e", project="p")
    chance = random.Random(7)
    records = {}
    for step in range(600):
        value = chance.randbytes(chance.choice([0, 3, 40, 300, 2000]))
        if step % 100 == 50:
            value = journal.pread(0, 3000)  # a user may log anything, this file too
        payload = codec.encode_history(step, float(step), {"loss": chance.random(), "bytes": value})
        records[journal.append(payload)] = codec.decode(payload)
    journal.close()
    return journal.path.read_bytes(), records


def held(path) -> dict[int, object]:
    """All records of a file by seq."""
    found, at = {}, 0
    while (batch := journals.read(path, at)).end > at:
        found.update(zip(batch.seqs, batch.records, strict=True))
        at = batch.end
    return found


def touched(records, size: int, start: int, stop: int) -> set[int]:
    """The seqs whose frames have a byte in [start, stop)."""
    places = [*records, size]
    return {a for a, b in zip(places, places[1:], strict=False) if a < stop and b > start}


def changed(records, whole: bytes, data: bytes) -> set[int]:
    """The seqs whose frames are not what they were."""
    places = [*records, len(whole)]
    return {a for a, b in zip(places, places[1:], strict=False) if whole[a:b] != data[a:b]}


def test_undamaged_all_is_there(golden, tmp_path):
    path = tmp_path / "r-s.besom"
    path.write_bytes(golden[0])
    assert held(path) == golden[1]


def test_a_file_cut_anywhere_keeps_all_records_before_the_cut(golden, tmp_path):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    path.write_bytes(whole)
    for cut in range(len(whole), len(whole) - 65536, -137):
        with path.open("r+b") as file:
            file.truncate(cut)
        lost = touched(records, len(whole), cut, len(whole))
        assert held(path) == {seq: r for seq, r in records.items() if seq not in lost}


@pytest.mark.parametrize("pattern", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_costs_at_most_its_own_record(golden, tmp_path, pattern):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    chance = random.Random(pattern)
    for _ in range(100):
        place = chance.randrange(len(whole))
        data = bytearray(whole)
        data[place] ^= pattern
        path.write_bytes(data)
        lost = touched(records, len(whole), place, place + 1)
        found = held(path)
        assert found == {seq: r for seq, r in records.items() if seq not in lost}
        assert journals.header(path).run == "r"
        last = max(records)
        assert journals.damaged(path) == len(lost) or lost == {last}


@pytest.mark.parametrize("part", ["magic", "length", "body CRC", "head CRC"])
def test_every_byte_of_a_head_is_watched(golden, tmp_path, part):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    seq = list(records)[300]
    first = ["magic", "length", "body CRC", "head CRC"].index(part) * 4
    for byte in range(first, first + 4):
        for bit in range(8):
            data = bytearray(whole)
            data[seq + byte] ^= 1 << bit
            path.write_bytes(data)
            assert held(path) == {s: r for s, r in records.items() if s != seq}


@pytest.mark.parametrize("block", [512, 4096, 20_000])
def test_a_zeroed_block_costs_the_records_it_touches(golden, tmp_path, block):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    for start in range(FIRST, len(whole) - block, 50_000):
        data = whole[:start] + bytes(block) + whole[start + block :]
        path.write_bytes(data)
        lost = changed(records, whole, data)
        assert held(path) == {seq: r for seq, r in records.items() if seq not in lost}
        assert (journals.damaged(path) >= 1) == bool(lost)


@pytest.mark.parametrize("tail", [1, HEAD, 4096, 5 << 20])
def test_the_zeros_of_a_reserve_hold_no_records(golden, tmp_path, tail):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    path.write_bytes(whole + bytes(tail))
    assert held(path) == records
    assert journals.damaged(path) == 0


def test_noise_behind_the_end_is_no_record(golden, tmp_path):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    path.write_bytes(whole + random.Random(1).randbytes(100_000))
    assert held(path) == records


def test_a_block_of_the_file_at_another_place_is_no_record(golden, tmp_path):
    """Disks do write a block where another belongs. A frame says in its CRC where it stands."""
    whole, records = golden
    path = tmp_path / "r-s.besom"
    places = list(records)
    start, target = places[100], places[200]
    block = whole[start : places[110]]
    data = whole[:target] + block + whole[target + len(block) :]
    path.write_bytes(data)
    lost = changed(records, whole, data)
    assert held(path) == {seq: r for seq, r in records.items() if seq not in lost}


def test_a_length_beyond_the_end_or_the_law_is_damage(golden, tmp_path):
    whole, records = golden
    path = tmp_path / "r-s.besom"
    seq = list(records)[300]
    for length in (0, LONGEST + 1, 1 << 29):
        head = pack_head(MAGIC_NUMBER, length, 0, crc32(pack_word(length), seq))
        path.write_bytes(whole[:seq] + head + whole[seq + HEAD :])
        assert held(path) == {s: r for s, r in records.items() if s != seq}


def test_a_zeroed_reserve_does_not_read_as_empty_records():
    """The trap: crc32 of nothing is 0, so a head of zeros would be whole if the salt were 0 and the magic not asked."""
    assert frame(b"x", 0, 0)[:4] != bytes(4)


def test_a_writer_at_work_is_not_damage(golden, tmp_path):
    """While the writer lives, a half-written record at the end is left for the next look."""
    journal = Journal.create(tmp_path, run="r", entity="e", project="p")
    payload = codec.encode_history(0, 1.5, {"a": 1})
    journal.append(payload)
    end = journal.position
    whole = frame(payload, journal._salt, end)
    for done in range(len(whole)):
        _poke(journal, end, whole[:done].ljust(len(whole), b"\0"))
        batch = journals.read(journal.path)
        assert (len(batch.records), batch.end) == (1, end)
    _poke(journal, end, whole)
    assert len(journals.read(journal.path).records) == 2
    assert journals.damaged(journal.path) == 0
    journal.close()


def _poke(journal: Journal, at: int, data: bytes) -> None:
    """Write into an open journal through its own descriptor, as its writer would."""
    os.pwrite(journal._fd, data, at)
