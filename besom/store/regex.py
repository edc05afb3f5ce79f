"""Regular expressions that cannot run away: time is linear in the text, whatever the pattern.

Serves filters (`name ~ "res.*50"`). The re module takes exponential time on patterns such as ``(a+)+$`` and cannot be
interrupted, so a stranger's filter could stop a server. Here a pattern becomes a small machine whose state is a set of
places; each character is one step, and steps are remembered. Knows no SQL.

Understood: literals, ``.``, classes ``[a-z]``, ``[^...]``, ``\\d \\w \\s`` and their opposites, ``\\b \\B``, ``^ $``, groups, ``|``,
``* + ? {m} {m,} {m,n}`` (a trailing ``?`` changes nothing, because only "is there a match" is asked), ``(?i)`` in front. Not
understood, and said so: back references and look-around. Only the first 4,096 characters of a text are searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

TEXT = 4096
PATTERN = 500
PROGRAM = 4000
REPEATS = 200

Test = Callable[[str], bool]


class PatternError(ValueError):
    """A pattern that cannot be understood. `position`: 0-based index in the pattern."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def search(pattern: str, text: str) -> bool:
    """Is there a match of `pattern` anywhere in `text`. Raises PatternError for a pattern that cannot be understood."""
    return machine(pattern).search(text)


@lru_cache(maxsize=64)
def machine(pattern: str) -> Machine:
    """The machine of a pattern. Raises PatternError."""
    return _Parser(pattern).machine()


@dataclass(slots=True)
class _Op:
    """One instruction. `kind`: char (test, then next), split (two ways), jump, assert (name in `what`), match."""

    kind: str
    test: Test | None = None
    what: str = ""
    ways: tuple[int, ...] = ()


@dataclass
class Machine:
    """A compiled pattern. `search` is safe from several threads: the memory of steps is only ever added to."""

    program: list[_Op]
    _steps: dict[tuple[frozenset[int], str, str], tuple[frozenset[int], bool]] = field(default_factory=dict)

    def search(self, text: str) -> bool:
        """Does the pattern match anywhere in the first 4,096 characters of `text`."""
        text = text[:TEXT]
        places: frozenset[int] = frozenset()
        before = ""
        for char in [*text, ""]:
            # The step depends on the text around only through what assertions can ask.
            key = (places, _side(before), char)
            step = self._steps.get(key)
            if step is None:
                if len(self._steps) > 10_000:
                    self._steps.clear()
                step = self._steps[key] = self._step(places, before, char)
            places, matched = step
            if matched:
                return True
            before = char
        return False

    def _step(self, places: frozenset[int], before: str, char: str) -> tuple[frozenset[int], bool]:
        """From places between `before` and `char` ("" at either end of the text): the places after `char`, and is it a match."""
        todo, seen, after = [0, *places], set[int](), set[int]()
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            op = self.program[at]
            if op.kind == "match":
                return frozenset(), True
            if op.kind == "char":
                if char and op.test is not None and op.test(char):
                    after.add(at + 1)
            elif op.kind != "assert":
                todo.extend(op.ways)
            elif _holds(op.what, before, char):
                todo.append(at + 1)
        return frozenset(after), False


def _side(char: str) -> str:
    return char and ("w" if _is_word(char) else "-")


def _holds(what: str, before: str, after: str) -> bool:
    if what == "^":
        return not before
    if what == "$":
        return not after
    border = (before != "" and _is_word(before)) != (after != "" and _is_word(after))
    return border if what == "b" else not border


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "w": _is_word,
    "s": str.isspace,
    "D": lambda c: not c.isdecimal(),
    "W": lambda c: not _is_word(c),
    "S": lambda c: not c.isspace(),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}

Tree = tuple[str, tuple["Tree", ...], Test | None, str, int, int]
"""kind (char, assert, seq, alt, repeat), parts, test, what, least, most (-1: no end)."""


class _Parser:
    """One pass over a pattern: text to tree to program."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > PATTERN:
            raise PatternError(f"a pattern has at most {PATTERN} characters, and this one has {len(pattern)}", 0)
        self.fold = pattern.startswith("(?i)")
        self.text = pattern
        self.at = 4 if self.fold else 0
        self.depth = 0

    def machine(self) -> Machine:
        tree = self.alternatives()
        if self.at < len(self.text):
            raise PatternError('a ")" has no "(" before it; write \\) for the character', self.at)
        program: list[_Op] = []
        self.emit(tree, program)
        program.append(_Op("match"))
        return Machine(program)

    def alternatives(self) -> Tree:
        self.depth += 1
        if self.depth > 50:
            raise PatternError("groups may lie at most 50 deep", self.at)
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else _tree("alt", parts)

    def sequence(self) -> Tree:
        parts = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated())
        return _tree("seq", parts)

    def repeated(self) -> Tree:
        start = self.at
        item = self.item()
        while True:
            bounds = self.bounds()
            if bounds is None:
                return item
            least, most = bounds
            if max(least, most) > REPEATS:
                raise PatternError(f"a part may be repeated at most {REPEATS} times by number; use * or +", start)
            if 0 <= most < least:
                raise PatternError(f"{{{least},{most}}} has no count that is both at least and at most", start)
            self.take("?")  # lazy or greedy makes no difference to whether there is a match
            item = ("repeat", (item,), None, "", least, most)

    def bounds(self) -> tuple[int, int] | None:
        for sign, pair in (("*", (0, -1)), ("+", (1, -1)), ("?", (0, 1))):
            if self.take(sign):
                return pair
        end = self.text.find("}", self.at)
        if not self.text.startswith("{", self.at) or end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not (low + high).isascii() or not (low + high).isdecimal() or (low and not low.isdecimal()):
            return None  # a brace that is no count stands for itself, as in the re module
        if (high and not high.isdecimal()) or len(low + high) > 8:
            return None
        self.at = end + 1
        least = int(low or 0)
        return least, (int(high) if high else -1) if comma else least

    def item(self) -> Tree:
        start, char = self.at, self.text[self.at]
        self.at += 1
        if char in "*+?":
            raise PatternError(f'"{char}" repeats what stands before it, and nothing does; write \\{char}', start)
        if char == "(":
            return self.group(start)
        if char == "[":
            return self.char(self.bracket(start))
        if char == ".":
            return self.char(lambda c: c != "\n")
        if char in "^$":
            return ("assert", (), None, char, 0, 0)
        if char == "\\":
            return self.escape(start)
        return self.char(self.literal(char))

    def group(self, start: int) -> Tree:
        if self.take("?") and not self.take(":"):
            raise PatternError("of the groups with (? only (?:...), and (?i) in front, are understood", start)
        tree = self.alternatives()
        if not self.take(")"):
            raise PatternError('this "(" has no ")"; write \\( for the character', start)
        return tree

    def escape(self, start: int) -> Tree:
        if self.at >= len(self.text):
            raise PatternError("a backslash at the end; write \\\\ for the character", start)
        char = self.text[self.at]
        self.at += 1
        if char in "bB":
            return ("assert", (), None, char, 0, 0)
        if char in _CLASSES:
            return self.char(_CLASSES[char])
        if char in "AZ":
            return ("assert", (), None, "^" if char == "A" else "$", 0, 0)
        return self.char(self.literal(self.plain(char, start)))

    def plain(self, char: str, start: int) -> str:
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char.isalnum():
            raise PatternError(f"\\{char} is not understood (no back references)", start)
        return char

    def bracket(self, start: int) -> Test:
        negated = self.take("^")
        tests: list[Test] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise PatternError('this "[" has no "]"; write \\[ for the character', start)
            first = False
            low = self.member(start)
            if callable(low):
                tests.append(low)
            elif self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self.member(start) if self.at < len(self.text) else ""
                if callable(high) or not low <= high:
                    raise PatternError(f"a range in [ ] runs upwards between characters, and {low}-... does not", start)
                tests.append(self.between(low, high))
            else:
                tests.append(self.literal(low))
        self.at += 1
        return (lambda c: not any(t(c) for t in tests)) if negated else (lambda c: any(t(c) for t in tests))

    def member(self, start: int) -> Test | str:
        char = self.text[self.at]
        self.at += 1
        if char != "\\":
            return char
        if self.at >= len(self.text):
            raise PatternError('this "[" has no "]"; write \\[ for the character', start)
        char = self.text[self.at]
        self.at += 1
        return _CLASSES.get(char) or ("\b" if char == "b" else self.plain(char, start))

    def between(self, low: str, high: str) -> Test:
        if not self.fold:
            return lambda c: low <= c <= high
        return lambda c: low <= c <= high or low <= c.lower() <= high or low <= c.upper() <= high

    def literal(self, char: str) -> Test:
        if not self.fold:
            return lambda c: c == char
        lower = char.lower()
        return lambda c: c.lower() == lower

    def char(self, test: Test) -> Tree:
        return ("char", (), test, "", 0, 0)

    def take(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def emit(self, tree: Tree, out: list[_Op]) -> None:
        """Append the program of `tree`; it falls through to what is appended next."""
        kind, parts, test, what, least, most = tree
        if len(out) > PROGRAM:
            raise PatternError("the pattern repeats too much by number; use * or +", 0)
        if kind == "char":
            out.append(_Op("char", test))
        elif kind == "assert":
            out.append(_Op("assert", what=what))
        elif kind == "seq":
            for part in parts:
                self.emit(part, out)
        elif kind == "alt":
            self.emit_alternatives(parts, out)
        else:
            for _ in range(least):
                self.emit(parts[0], out)
            if most < 0:
                self.emit_loop(parts[0], out)
            for _ in range(most - least):
                split = len(out)
                out.append(_Op("split"))
                self.emit(parts[0], out)
                out[split].ways = (split + 1, len(out))

    def emit_alternatives(self, parts: tuple[Tree, ...], out: list[_Op]) -> None:
        jumps = []
        for part in parts:
            split = len(out)
            out.append(_Op("split"))
            self.emit(part, out)
            jumps.append(len(out))
            out.append(_Op("jump"))
            out[split].ways = (split + 1, len(out))
        # The last alternative's split must not fall past the end as a match of nothing.
        last_split = jumps[-2] + 1
        out[last_split].ways = (last_split + 1,)
        for jump in jumps:
            out[jump].ways = (len(out),)

    def emit_loop(self, part: Tree, out: list[_Op]) -> None:
        split = len(out)
        out.append(_Op("split"))
        self.emit(part, out)
        out.append(_Op("jump", ways=(split,)))
        out[split].ways = (split + 1, len(out))


def _tree(kind: str, parts: list[Tree]) -> Tree:
    return (kind, tuple(parts), None, "", 0, 0)
