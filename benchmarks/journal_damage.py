"""The journal cut at every byte of its last 64 KiB, and flipped at 10,000 places.

    python benchmarks/journal_damage.py [--flips 10000] [--cut 65536]

Prints one line for each matrix and writes benchmarks/results/journal_damage.json. Fails when a reader raised, gave a
wrong value, or lost a record that was not touched. tests/journal/test_damage.py is the short form.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common import write_result

from besom.core import codec
from besom.journal import file as journals
from besom.journal.file import Journal

PATTERNS = (0x01, 0x80, 0xFF)


def golden(folder: Path, records: int) -> tuple[bytes, dict[int, Any]]:
    """Bytes of a journal with records of many sizes, and its records by seq."""
    chance = random.Random(7)
    journal = Journal.create(folder, run="r", entity="e", project="p")
    kept = {}
    for step in range(records):
        data = {"loss": chance.random(), "text": "x" * chance.choice([0, 10, 100, 1000, 3000])}
        payload = codec.encode_history(step, float(step), data)
        kept[journal.append(payload)] = codec.decode(payload)
    journal.close()
    return journal.path.read_bytes(), kept


def held(path: Path) -> dict[int, Any]:
    """All records of a file by seq."""
    found: dict[int, Any] = {}
    at = 0
    while (batch := journals.read(path, at)).end > at:
        found.update(zip(batch.seqs, batch.records, strict=True))
        at = batch.end
    return found


def cuts(path: Path, whole: bytes, records: dict[int, Any], count: int) -> dict[str, float]:
    """Cut the file shorter and shorter, byte by byte."""
    ends = dict(zip(records, [*list(records)[1:], len(whole)], strict=True))
    path.write_bytes(whole)
    worst, bad, raised = 0.0, 0, 0
    for cut in range(len(whole) - 1, len(whole) - 1 - count, -1):
        with path.open("r+b") as file:
            file.truncate(cut)
        begun = time.perf_counter()
        try:
            found = held(path)
        except Exception as error:
            raised += 1
            print(f"cut at {cut}: {error!r}")
            continue
        worst = max(worst, time.perf_counter() - begun)
        bad += found != {seq: record for seq, record in records.items() if ends[seq] <= cut}
    return {"cases": count, "raised": raised, "wrong": bad, "slowest_ms": worst * 1e3}


def flips(path: Path, whole: bytes, records: dict[int, Any], count: int) -> dict[str, float]:
    """Flip bits of one byte at random places, preamble included, with three patterns in turn."""
    chance = random.Random(3)
    places = [*records, len(whole)]
    bad = raised = lost = 0
    for number in range(count):
        place = chance.randrange(len(whole))
        data = bytearray(whole)
        data[place] ^= PATTERNS[number % len(PATTERNS)]
        path.write_bytes(data)
        try:
            found = held(path)
            bad += journals.header(path).run != "r"
        except Exception as error:
            raised += 1
            print(f"flip at {place}: {error!r}")
            continue
        hit = {a for a, b in itertools.pairwise(places) if a <= place < b}
        bad += found != {seq: record for seq, record in records.items() if seq not in hit}
        lost += len(records) - len(found)
    return {"cases": count, "raised": raised, "wrong": bad, "records_lost": lost}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--cut", type=int, default=65_536)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        whole, records = golden(folder / "made", 200)
        if len(whole) < options.cut:
            raise SystemExit(f"the journal has {len(whole)} bytes, too few to cut {options.cut} of")
        result = {
            "cut": cuts(folder / "r-s.besom", whole, records, options.cut),
            "flip": flips(folder / "r-s.besom", whole, records, options.flips),
        }
    for name, figures in result.items():
        print(name, figures)
    write_result("journal_damage", result)
    return int(any(figures["raised"] or figures["wrong"] for figures in result.values()))


if __name__ == "__main__":
    sys.exit(main())
