"""`besom journal cat`: the records of a journal, one a line, whatever state the file is in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from besom.cli.output import json_option, note, plain, say
from besom.core.errors import UsageError

if TYPE_CHECKING:
    from besom.core.record import Record


@click.group("journal")
def journal() -> None:
    """Look into the files that runs write (docs/format/journal.md)."""


@journal.command("cat")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--start", default=0, type=click.IntRange(0), help="Byte to begin at.")
@json_option
def cat(file: Path, start: int, as_json: bool) -> None:
    """Print every record of FILE: its byte, what it is, and what it says. With --json one object a line."""
    from besom.journal.file import alive, damaged, header

    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    head = header(file)
    if not as_json:
        alive_word = "being written" if alive(file) else "closed"
        note(
            f"run {head.entity}/{head.project}/{head.run}, stream {head.stream}, host {head.host}, pid {head.pid}, {alive_word}"
        )
    for seq, record in records(file, start):
        fields = msgspec.structs.asdict(record)
        kind = type(record).__name__.lower()
        if as_json:
            click.echo(json.dumps({"seq": seq, "record": kind, **plain(_builtins(fields))}, ensure_ascii=False))
        else:
            say(f"{seq:>10}  {kind:<8}  {_line(fields)}")
    lost = damaged(file)
    if lost:
        note(f"{lost} record{'s were' if lost > 1 else ' was'} lost to damage")


def records(file: Path, start: int = 0) -> Iterator[tuple[int, Record]]:
    """(byte, record) of a journal, in order."""
    from besom.journal.file import read

    while True:
        batch = read(file, start)
        yield from zip(batch.seqs, batch.records, strict=True)
        if batch.end <= start:
            return
        start = batch.end


def _builtins(value: Any) -> Any:
    """Plain data; what JSON does not know becomes text."""
    return msgspec.to_builtins(value, enc_hook=str)


def _line(fields: dict[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        if value is None or value in ("", (), {}) or value is False:
            continue
        if name == "time" and isinstance(value, float):
            parts.append(datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds"))
        elif name in ("data", "update"):
            parts.append(" ".join(f"{key}={item!r}" for key, item in value.items()))
        else:
            parts.append(f"{name}={value!r}")
    return "  ".join(parts)
