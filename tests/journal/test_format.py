"""docs/format/journal.md, read by a second implementation that shares no code with the first."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import get_args
from zlib import crc32

import msgspec

from besom.core import codec
from besom.core import record as rec
from besom.journal.file import Journal

PAGE = (Path(__file__).parents[2] / "docs" / "format" / "journal.md").read_text()


def parse(data: bytes):
    """(header, [(seq, fields of the record)]) of an undamaged file, as the page says."""
    assert data[:8] == b"BESOMJ1\n"
    assert data[:1024] == data[1024:2048]
    salt, check = struct.unpack("<II", data[8:16])
    assert check == crc32(data[:12])

    def frame(at: int, said: int) -> tuple[bytes, int]:
        magic, length, body, head = struct.unpack("<4sIII", data[at : at + 16])
        payload = data[at + 16 : at + 16 + length]
        assert magic == b"\xf1\x62\x73\x6d"
        assert 1 <= length <= 2**30
        assert body == crc32(payload, salt)
        assert head == crc32(struct.pack("<I", length), body ^ (said % 2**32))
        return payload, at + 16 + length

    payload, _ = frame(16, 16)
    header = msgspec.msgpack.decode(payload)
    records, at = [], 2048
    while at < len(data):
        payload, after = frame(at, at)
        records.append((at, msgspec.msgpack.decode(payload)))
        at = after
    return header, records


def test_a_reader_written_after_the_page_reads_a_journal(tmp_path):
    journal = Journal.create(tmp_path, run="r1", entity="me", project="dkt")
    seqs = [
        journal.append(codec.quick((codec.HISTORY, 3, 1.5, {"loss": 0.5}))),
        journal.append(codec.encode(rec.Config({"n": 2**64, "text": "\ud800"}))),
        journal.append(codec.encode(rec.Exit(2.5, 0, rec.FINISHED))),
    ]
    journal.close()
    header, records = parse(journal.path.read_bytes())
    assert header.keys() == {"stream", "run", "entity", "project", "created", "host", "pid", "locked"}
    assert (header["run"], header["stream"]) == ("r1", journal.stream)
    assert [seq for seq, _ in records] == seqs
    assert records[0][1] == [2, 3, 1.5, {"loss": 0.5}]
    kind, update, remove = records[1][1]
    assert (kind, remove) == (1, [])
    assert (update["n"].code, int.from_bytes(update["n"].data, "big", signed=True)) == (1, 2**64)
    assert (update["text"].code, bytes(update["text"].data)) == (2, b"\xed\xa0\x80")
    assert records[2][1] == [11, 2.5, 0, "finished", "", "run"]


def test_the_page_names_every_kind_of_record_and_its_fields_in_order():
    rows = re.findall(r"^\| (\d+) \| ([a-z]+) \| ([\w, ]+) \|$", PAGE, re.M)
    said = {int(kind): (name, tuple(fields.split(", "))) for kind, name, fields in rows}
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(rec.Record)}
    assert said == {tag: (kind.__name__.lower(), kind.__struct_fields__) for tag, kind in kinds.items()}
