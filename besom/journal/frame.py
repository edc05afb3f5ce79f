"""The bytes of a journal, and how its records are found again after damage. docs/format/journal.md is the prose.

    0      preamble: magic, salt, CRC, the header frame        (PREAMBLE bytes, zeros at the end)
    1024   the preamble once more, so that no single damage takes the whole file
    2048   frames, one for each record, with nothing between
    ...    zeros: room reserved for frames to come, cut off when the writer closes

The CRC of a payload starts from the salt of the file; that of a head is over its length and starts from the offset and
the payload's CRC: a frame is accepted only in the file and at the place it was written for. Pure functions over bytes and a `Pread`; no file is opened here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import msgspec

from besom.core.errors import JournalDamaged

FILE_MAGIC = b"BESOMJ1\n"
MAGIC = b"\xf1bsm"
MAGIC_NUMBER: int = int.from_bytes(MAGIC, "little")
PREAMBLE = 1024
FIRST = 2 * PREAMBLE
"""Offset of the first record."""
HEAD = 16
"""Bytes of a frame in front of its payload: magic, length, CRC of the payload, CRC of the head."""
LONGEST = 1 << 30
"""The largest payload in bytes; a longer length is damage."""

pack_head = struct.Struct("<IIII").pack
pack_head_into = struct.Struct("<IIII").pack_into
pack_word = struct.Struct("<I").pack
WORDS = tuple(map(pack_word, range(1024)))
"""`pack_word` of the lengths that are common, at half the price."""
_unpack_head = struct.Struct("<IIII").unpack_from
_CHUNK = 1 << 20
_NOTHING = bytes(HEAD)

Pread = Callable[[int, int], bytes]
"""(offset, size) -> at most `size` bytes of the file from `offset`, fewer only at its end."""


class Header(msgspec.Struct, frozen=True):
    """Who writes the file. `created`: seconds since the epoch, UTC. `locked`: the writer holds a lock that proves life."""

    stream: str
    run: str
    entity: str
    project: str
    created: float
    host: str
    pid: int
    locked: bool = True


class Walk(NamedTuple):
    """What `walk` found: records in [start, end).

    `lost`: places between them where a record was. `doubtful`: such places behind `end`, where a writer may be at work.
    """

    end: int
    seqs: list[int]
    payloads: list[bytes]
    lost: int
    doubtful: int


_read_header = msgspec.msgpack.Decoder(Header)


def frame(payload: bytes, salt: int, offset: int) -> bytes:
    """The frame that carries `payload` at `offset`."""
    length, check = len(payload), crc32(payload, salt)
    return pack_head(MAGIC_NUMBER, length, check, crc32(pack_word(length), check ^ offset)) + payload


def preamble(header: Header, salt: int) -> bytes:
    """The first FIRST bytes of a file. Raises JournalDamaged when the names of the header do not fit."""
    start = FILE_MAGIC + pack_word(salt)
    start += pack_word(crc32(start))
    once = start + frame(msgspec.msgpack.encode(header), salt, len(start))
    if len(once) > PREAMBLE:
        raise JournalDamaged(f"run, entity, project and host have {PREAMBLE - 128} bytes together; these have more")
    return once.ljust(PREAMBLE, b"\0") * 2


def read_salt(start: bytes) -> int:
    """The salt, from the first FIRST bytes of a file. Raises JournalDamaged when neither copy is whole."""
    for at in (0, PREAMBLE):
        copy = start[at : at + 16]
        if len(copy) == 16 and copy.startswith(FILE_MAGIC) and pack_word(crc32(copy[:12])) == copy[12:]:
            return int.from_bytes(copy[8:12], "little")
    raise JournalDamaged("the file does not begin like a journal; it is something else, or its first blocks are lost")


def read_header(start: bytes) -> Header:
    """The header, from the first FIRST bytes of a file. Raises JournalDamaged when neither copy is whole."""
    salt = read_salt(start)
    for at in (0, PREAMBLE):
        head = start[at + 16 : at + 32]
        length = _length(head, 16)
        payload = start[at + 32 : at + 32 + length]
        if length and len(payload) == length and crc32(payload, salt) == int.from_bytes(head[8:12], "little"):
            try:
                return _read_header.decode(payload)
            except msgspec.DecodeError as error:
                raise JournalDamaged(f"the header has not the fields of a journal: {error}") from error
    raise JournalDamaged("both copies of the header are damaged")


def _length(head: bytes, offset: int) -> int:
    """Length of the payload behind a frame's head at `offset`, or 0 when these 16 bytes are no head."""
    if len(head) < HEAD:
        return 0
    magic, length, body, check = _unpack_head(head)
    good = magic == MAGIC_NUMBER and length <= LONGEST and crc32(head[4:8], body ^ offset) == check
    return int(length) if good else 0


def walk(pread: Pread, size: int, salt: int, start: int, limit: int, live: Callable[[], bool]) -> Walk:
    """The records from `start` on, until about `limit` bytes of payload. `size`: bytes of the file now.

    A damaged record is stepped over by its own length when its head is whole, else by searching the next head that is.
    `end` is the end of the last whole record; what lies behind may still be written, or is the torn end of a writer
    that died. Zeros at the place of a head are the end when `live()`; with no writer, whole records are searched
    behind them too.
    """
    seqs: list[int] = []
    payloads: list[bytes] = []
    end = at = start
    lost = doubtful = held = 0
    data, base, chunk = b"", start, 1 << 12  # small at first: most looks at a live file find nothing new
    while held < limit:
        offset = at - base
        if offset + HEAD > len(data):
            data, base, offset = pread(at, chunk), at, 0
            chunk = min(chunk << 2, _CHUNK)
        head = data[offset : offset + HEAD]
        length = _length(head, at)
        if not length or at + HEAD + length > size:
            if len(head) < HEAD or (head == _NOTHING and live()):
                break
            found = _search(pread, size, at + 1)
            if found is None:
                break
            doubtful += 1
            at = found
            continue
        stop = offset + HEAD + length
        payload = data[offset + HEAD : stop] if stop <= len(data) else pread(at + HEAD, length)
        if crc32(payload, salt) == int.from_bytes(head[8:12], "little"):
            seqs.append(at)
            payloads.append(payload)
            held += length
            at = end = at + HEAD + length
            lost, doubtful = lost + doubtful, 0
        else:
            doubtful += 1
            at += HEAD + length
    return Walk(end, seqs, payloads, lost, doubtful)


def _search(pread: Pread, size: int, start: int) -> int | None:
    """Offset of the first whole head at or behind `start`, or None."""
    at = start
    while at < size:
        data = pread(at, _CHUNK)
        here = data.find(MAGIC)
        while here >= 0:
            head = data[here : here + HEAD] if here + HEAD <= len(data) else pread(at + here, HEAD)
            length = _length(head, at + here)
            if length and at + here + HEAD + length <= size:
                return at + here
            here = data.find(MAGIC, here + 1)
        if len(data) < _CHUNK:
            return None
        at += len(data) - len(MAGIC) + 1
    return None
