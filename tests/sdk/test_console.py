"""The console: what a person would have read on the terminal, without standing in its way."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import pytest

import besom
from besom.core import record as rec
from besom.sdk import console
from besom.sdk.console import Capture, Screen


def test_a_print_never_waits_for_a_row_that_is_being_logged(store: Any) -> None:
    """Else two threads wait for one another: the row says something on the terminal, the terminal is recorded."""
    waiting: list[bool] = []

    class Slow:
        def __str__(self) -> str:
            other = threading.Thread(target=print, args=("words",), daemon=True)
            other.start()
            other.join(5)
            waiting.append(other.is_alive())
            return "slow"

    with besom.init() as run:
        run.log({"a": Slow()}, step=3)
        run.summary["b"] = Slow()
    assert waiting and not any(waiting)
    assert store.rows()[0] == (3, {"a": "slow"})


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        (["hello\n"], ["hello"], []),
        (["hel", "lo\nwor", "ld\n"], ["hello", "world"], []),
        (["no end"], [], ["no end"]),
        (["a\r\nb\r\n"], ["a", "b"], []),
        (["\r 0%", "\r 50%", "\r100%\n"], ["100%"], []),
        (["\r 10%", "\r 20%"], [], [" 20%"]),
        (["abcdef\rxy\n"], ["xycdef"], []),
        (["abcdef\r\x1b[Kxy\n"], ["xy"], []),
        (["\x1b[31mred\x1b[0m text\n"], ["red text"], []),
        (["ab\x08c\n"], ["ac"], []),
        (["\n\n"], ["", ""], []),
        (["outer 0\n\rinner 10%\x1b[A", "\n\rinner 90%\x1b[A", "\router 1\n"], [], ["outer 1", "inner 90%"]),
        (["one\n\x1b[1Atwo\n", *["line\n"] * 20], ["two", *["line"] * 4], ["line"] * 16),
    ],
)  # fmt: skip
def test_a_screen_is_read_as_a_person_reads_it(pieces: list[str], lines: list[str], rest: list[str]) -> None:
    screen = Screen()
    assert [line for piece in pieces for line in screen.feed(piece)] == lines
    assert screen.rest() == rest


def test_a_line_without_an_end_is_bounded() -> None:
    screen = Screen()
    for _ in range(200):
        screen.feed("x" * 1000)
    assert [len(line) for line in screen.feed("\n")] == [console.LINE]
    screen.feed("\r")
    for _ in range(200):
        screen.feed("y" * 1000 + "\x1b[0m")
    assert [len(line) for line in screen.rest()] == [console.LINE]


def test_prints_and_errors_are_kept_with_the_run(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with besom.init():
        print("to out")
        print("to err", file=sys.stderr)
        print("half", end="")
    assert [(line.stream, line.text) for line in store.of(rec.Console)] == [
        ("out", "to out\n"),
        ("err", "to err\n"),
        ("out", "half\n"),
    ]
    assert capsys.readouterr().out == "to out\nhalf", "the terminal shows what it would have shown"


def test_lines_are_kept_as_they_come(store: Any) -> None:
    run = besom.init()
    print("first")
    assert store.of(rec.Console)[-1].text == "first\n"
    run.finish()
    print("after the end")
    assert store.of(rec.Console)[-1].text == "first\n"


def test_a_logging_handler_made_before_is_heard(store: Any) -> None:
    stream = sys.stderr
    with besom.init():
        stream.write("a warning\n")
    assert store.of(rec.Console)[-1].text == "a warning\n"


def test_streams_are_given_back(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    before = out.write("")
    with besom.init() as run:
        run.log({"a": 1})
        assert "write" in vars(out)
        assert out.write("four") == 4, "the tee answers as the stream does"
    assert "write" not in vars(out) and before == 0


def test_streams_that_someone_else_wrapped_later_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    heard: list[str] = []
    capture = Capture(lambda stream, text: heard.append(text))
    ours = out.write
    out.write = theirs = lambda text: ours(text.upper())  # type: ignore[method-assign, assignment]
    print("one")
    capture.close()
    print("two")
    assert out.write is theirs and out.getvalue() == "ONE\nTWO\n" and heard == ["ONE\n"]


def test_off_means_off(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    with besom.init():
        print("unheard")
    assert store.of(rec.Console) == []


def test_a_flood_keeps_its_beginning_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    kept: list[str] = []
    capture = Capture(lambda stream, text: kept.append(text), limit=1000)
    for i in range(50_000):
        print(f"line {i}")
    capture.close()
    text = "".join(kept)
    assert text.startswith("line 0\n") and text.endswith("line 49999\n")
    assert "characters between here and the end are not kept" in text
    lost = int(text.partition("[besom: ")[2].partition(" ")[0])
    written = len(out.getvalue())
    marker = next(part for part in kept if part.startswith("[besom:"))
    assert len(text) - len(marker) + lost == written, "what is not kept is counted exactly"
    assert len(text) < 1000 + console.TAIL + 200


def test_a_writer_that_fails_does_not_break_print(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)

    def fail(stream: str, text: str) -> None:
        print("from inside")
        raise OSError("no")

    capture = Capture(fail)
    print("hello")
    with pytest.raises(OSError):
        fail("out", "")
    capture.close()
    assert out.getvalue().startswith("hello\n")


def test_no_terminal_at_all(monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with besom.init() as run:
        run.log({"a": 1})
    assert store.rows() == [(0, {"a": 1})]


def test_two_runs_side_by_side_both_hear(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    for first_to_close in (0, 1):
        heard: tuple[list[str], list[str]] = ([], [])
        captures = [Capture(lambda stream, text, n=n: heard[n].append(text)) for n in (0, 1)]  # type: ignore[misc]
        print("both")
        captures[first_to_close].close()
        print("one")
        captures[1 - first_to_close].close()
        print("none")
        assert heard[first_to_close] == ["both\n"] and heard[1 - first_to_close] == ["both\n", "one\n"]
