"""File streams: lines of history, system metrics, console and summary with their offsets, a heartbeat, and the exit.

A request becomes one append. Lines of history and system metrics keep their number as the sequence number of their stream,
so a request that comes twice adds nothing. Console: the last line stays open, because the client sends it again when a
progress bar rewrote it; a line takes two numbers, its end and its text. The summary is always whole and the last one holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from besom.core import record as rec
from besom.core.names import RunPath
from besom.core.record import Record
from besom.server.wandb import sweeps, words
from besom.server.wandb.context import Context, Lines, Loose

HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


def take(context: Context, path: RunPath, body: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what one request brings. The answer may say that the run is to stop."""
    now = context.now
    run = context.find(path)
    files = body.get("files")
    parts = dict(_parts(files)) if isinstance(files, Mapping) else {}
    ends = bool(body.get("complete"))
    told = run is not None and ends and run.state in rec.ENDED and run.exit_code == body.get("exitcode")
    found: list[Lines | Loose] = []
    if run is not None and run.state in rec.ENDED and (parts or not ends) and not told:
        found.append(Loose("run", [rec.Run(now, starts=True)]))
    if HISTORY in parts:
        offset, content = parts[HISTORY]
        rows = [words.history(line, offset + i, now) for i, line in enumerate(content)]
        found.append(_numbered("history", offset, rows))
    if EVENTS in parts:
        offset, content = parts[EVENTS]
        found.append(_numbered("events", offset, [words.stats(line, now) for line in content]))
    if OUTPUT in parts:
        found += _console(context, path, *parts[OUTPUT], now)
    if SUMMARY in parts and parts[SUMMARY][1]:
        found.append(Loose("summary", [rec.Summary(words.flat(words.mapping(parts[SUMMARY][1][-1])))]))
    if body.get("preempting"):
        found.append(Loose("exit", [rec.Preempt(now)]))
    if ends and not told:
        found.append(Loose("exit", [_exit(body, now)]))
    context.append(path, *found)
    if ends:
        sweeps.ended(context, path)
    context.hub.alive([path])
    return {"exitcode": None, "limits": {}}


def _exit(body: Mapping[str, Any], now: float) -> rec.Exit:
    code = body.get("exitcode")
    code = code if type(code) is int and abs(code) < 1 << 31 else None
    reason = "" if code == 0 else f"exit code {code}"
    return rec.Exit(now, code, rec.FINISHED if code == 0 else rec.FAILED, reason)


def _parts(files: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, list[str]]]]:
    for name, part in files.items():
        if isinstance(part, Mapping) and isinstance(part.get("content"), list):
            offset = part.get("offset")
            yield (
                name,
                (offset if isinstance(offset, int) and offset >= 0 else 0, [str(line) for line in part["content"]]),
            )


def _numbered(stream: str, offset: int, found: Sequence[Record | None]) -> Lines:
    kept = [(offset + i, record) for i, record in enumerate(found) if record is not None]
    return Lines(stream, kept, offset + len(found))


def _console(context: Context, path: RunPath, offset: int, content: list[str], now: float) -> tuple[Loose, Lines]:
    """(what rewrites the open line, the new lines). The text of line n has number 2n + 1, the end of the line before it 2n."""
    held = context.hub.position(path, "wandb.output") // 2
    before = None
    if held and content:
        last = context.hub.console(path, start=-1, limit=1).lines
        before = last[-1].stream if last else None
    again: list[Record] = []
    new: list[tuple[int, Record]] = []
    for n, line in enumerate(content, offset):
        at, stream, text = words.console(line, now)
        if n == held - 1 and stream == before:
            again.append(rec.Console(at, stream, "\r" + text))
        if n >= held:
            if before is not None:
                new.append((2 * n, rec.Console(at, before, "\n")))
            new.append((2 * n + 1, rec.Console(at, stream, text)))
            before = stream
    return Loose("output.again", again), Lines("output", new, max(2 * (offset + len(content)), 2 * held))
