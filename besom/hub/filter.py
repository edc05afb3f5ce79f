"""The filter language: text to tree, tree to text, and what a tree means for one run. Reference: docs/filters.md.

    config.lr < 1e-3 and (state = finished or name ~ "res") and not tags in (a, b)

Serves every list and chart of many runs. `parse` gives a tree of the words as written, `resolve` finds out which key each
name means, where.py turns the tree into SQL; `holds` is the same meaning in plain Python, and the oracle that tests
hold the SQL to. Knows no database. Every error is a FilterError with the position in the text and a way out.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from besom.core.errors import FilterError, did_you_mean
from besom.core.plain import as_float
from besom.store.meta import EXACT, FIELDS, TEXT_FIELDS, TIME_FIELDS, Value, cut, short
from besom.store.regex import PatternError, compiled, search

LENGTH, TERMS, DEPTH = 10_000, 200, 50
"""Most characters, comparisons and nested brackets of a filter."""
AGGREGATES = ("best", "last", "min", "max", "mean", "count")
"""What a metric can be asked for: metrics.val_loss.best"""
ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_KEYWORDS = ("and", "or", "not", "in", "is", "set")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z|[+-]?inf\Z|nan\Z", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"""\s*(?:([()\[\],])|(<=|>=|==|!=|!~|=|<|>|~)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`((?:[^`]|``)*)`|([^\s()\[\]=<>!~,"'`]+))""", re.DOTALL)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A name as written; after `resolve`, the key it means: config.*, summary.*, meta.*, metrics.*.*, tags or a field."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written. `value`: int, float, str, bool or None (null). `text`: its characters, quotes taken off."""

    value: int | float | str | bool | None
    text: str = field(compare=False)
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`op`: = != < <= > >= ~ !~"""

    key: Key
    op: str
    literal: Literal


@dataclass(frozen=True, slots=True)
class In:
    key: Key
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class IsSet:
    key: Key


@dataclass(frozen=True, slots=True)
class Not:
    node: Node


@dataclass(frozen=True, slots=True)
class And:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    nodes: tuple[Node, ...]


Node = Compare | In | IsSet | Not | And | Or


class Names(Protocol):
    """The keys that the runs of a project have."""

    def has(self, key: str) -> bool:
        """Does any run have this key (config.lr, summary.acc, meta.host), or has it logged this metric (metrics.acc)?"""

    def all(self) -> Iterable[str]:
        """All such keys; asked only to say "did you mean"."""

    def empty(self) -> bool:
        """Has the project no runs at all? Then any key may stand in a filter."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Node | None:
    """The tree of a filter, None for an empty one. Raises FilterError."""
    if len(text) > LENGTH:
        raise FilterError(f"a filter has at most {LENGTH} characters, and this one has {len(text)}", position=LENGTH)
    parser = _Parser(_tokens(text))
    if parser.peek().kind == "end":
        return None
    node = parser.either()
    parser.end()
    return node


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            sign = text[place]
            hint = "; it has no end" if sign in "\"'`" else " (to say not, write not)" if sign == "!" else ""
            raise FilterError(f"{sign} cannot stand here{hint}", position=place)
        kind = ("sign", "op", "string", "string", "key", "word")[(found.lastindex or 1) - 1]
        body = found.group(found.lastindex or 1)
        start = found.end() - len(found.group().lstrip())
        if kind == "string":
            body = re.sub(r"\\([\"'\\])", r"\1", body)
        elif kind == "key":
            body = body.replace("``", "`")
        elif kind == "word" and body.lower() in _KEYWORDS:
            kind, body = "keyword", body.lower()
        elif kind == "op" and body == "==":
            body = "="
        tokens.append(_Token(kind, body, start))
        at = found.end()
    return [*tokens, _Token("end", "", len(text))]


class _Parser:
    """Recursive descent: or, and, not, then comparisons."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.terms = 0
        self.depth = 0

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def next(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def take(self, kind: str, text: str) -> bool:
        if self.peek()[:2] == (kind, text):
            self.at += 1
            return True
        return False

    def expect(self, kind: str, text: str, why: str) -> None:
        if not self.take(kind, text):
            raise self.wrong(f'here "{text}" is missing{why}')

    def wrong(self, message: str) -> FilterError:
        token = self.peek()
        seen = "the filter ends" if token.kind == "end" else f'"{token.text}" stands here'
        return FilterError(f"{message} ({seen})", position=token.at)

    def end(self) -> None:
        if self.peek().kind != "end":
            raise self.wrong("two conditions are joined by and or or")

    def either(self) -> Node:
        nodes = [self.both()]
        while self.take("keyword", "or"):
            nodes.append(self.both())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def both(self) -> Node:
        nodes = [self.negated()]
        while self.take("keyword", "and"):
            nodes.append(self.negated())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def negated(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.wrong(f"brackets and nots may lie at most {DEPTH} deep")
        if self.take("keyword", "not"):
            node: Node = Not(self.negated())
        elif self.take("sign", "("):
            node = self.either()
            self.expect("sign", ")", " to close the bracket")
        else:
            node = self.condition()
        self.depth -= 1
        return node

    def condition(self) -> Node:
        self.terms += 1
        if self.terms > TERMS:
            raise self.wrong(f"a filter has at most {TERMS} comparisons; use in (...) for many values")
        first = self.operand()
        if self.peek().kind == "op":
            return self.comparison(first)
        key = self.key(first)
        if self.take("keyword", "is"):
            negated = self.take("keyword", "not")
            self.expect("keyword", "set", ": write `is set` or `is not set`")
            return Not(IsSet(key)) if negated else IsSet(key)
        negated = self.take("keyword", "not")
        if self.take("keyword", "in"):
            return Not(In(key, self.list())) if negated else In(key, self.list())
        raise self.wrong(f'after "{first.text}" comes =, !=, <, <=, >, >=, ~, in or is set')

    def comparison(self, first: _Token) -> Node:
        """`key op value`, `value op key`, or the chain `value op key op value`."""
        op = self.next().text
        second = self.operand()
        if self.peek().kind != "op":
            if first.kind in ("word", "key") and not (first.kind == "word" and _NUMBER.match(first.text)):
                return self.compare(self.key(first), op, second)
            return self.compare(self.key(second), _mirrored(op, first), first)
        chained, key = self.next().text, self.key(second)
        third = self.operand()
        if self.peek().kind == "op":
            raise self.wrong("a chain has one name between two values, as in 1e-4 <= lr <= 1e-3")
        return And((self.compare(key, _mirrored(op, first), first), self.compare(key, chained, third)))

    def compare(self, key: Key, op: str, token: _Token) -> Compare:
        literal = self.literal(token)
        if op in ("~", "!~"):
            try:
                compiled(literal.text)
            except PatternError as error:
                raise FilterError(f"the pattern {literal.text!r}: {error}", position=token.at) from None
        elif op in ORDER and (literal.value is None or isinstance(literal.value, bool)):
            raise FilterError(f"{literal.text} compares by = and != only", position=token.at)
        return Compare(key, op, literal)

    def list(self) -> tuple[Literal, ...]:
        opened = "[" if self.peek().text == "[" else "("
        self.expect("sign", opened, " before the values, as in arch in (cnn, vit)")
        literals = [self.literal(self.operand())]
        while self.take("sign", ","):
            literals.append(self.literal(self.operand()))
        self.expect("sign", ")" if opened == "(" else "]", " or a comma, in the list of values")
        return tuple(literals)

    def operand(self) -> _Token:
        token = self.peek()
        if token.kind not in ("word", "string", "key"):
            hint = "; quote a word of the language to use it as a value" if token.kind == "keyword" else ""
            raise self.wrong(f"here a name or a value is missing{hint}")
        return self.next()

    def key(self, token: _Token) -> Key:
        if token.kind == "string" or (token.kind == "word" and _NUMBER.match(token.text)):
            quoted = "`" + token.text + "`"
            raise FilterError(
                f"{token.text!r} is a value, and here a name is needed; write {quoted} if it is one", position=token.at
            )
        return Key(token.text, token.at)

    def literal(self, token: _Token) -> Literal:
        if token.kind == "key":
            raise FilterError(f"a key is compared with a value, not with the key {token.text!r}", position=token.at)
        return Literal(_value(token), token.text, token.at)


def _value(token: _Token) -> int | float | str | bool | None:
    text, word = token.text, token.text.lower()
    if token.kind == "string":
        return text
    if word in ("true", "false"):
        return word == "true"
    if word in ("null", "none"):
        return None
    if not _NUMBER.match(text):
        return text
    if text.lstrip("+-").isdecimal():
        return int(text) if len(text) < 1000 else as_float(10**400)
    return float(text)


def _mirrored(op: str, token: _Token) -> str:
    """The operator with its sides exchanged: 1 < lr is lr > 1."""
    if op in ("~", "!~"):
        raise FilterError("a pattern stands right of ~, as in name ~ res", position=token.at)
    return {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(op, op)


def resolve(node: Node, names: Names) -> Node:
    """The tree with the key that each name means, and dates as times. Raises FilterError for a name that no run has."""
    match node:
        case And(nodes):
            return And(tuple(resolve(n, names) for n in nodes))
        case Or(nodes):
            return Or(tuple(resolve(n, names) for n in nodes))
        case Not(inner):
            return Not(resolve(inner, names))
        case IsSet(key):
            return IsSet(find(key, names))
        case In(key, literals):
            found = find(key, names)
            return In(found, tuple(_fitting(found.name, "=", literal) for literal in literals))
        case Compare(key, op, literal):
            found = find(key, names)
            return Compare(found, op, _fitting(found.name, op, literal))


def find(key: Key, names: Names) -> Key:
    """The key that a name means: as it is written in full, else of the config, else of the summary, else a field."""
    name = key.name
    if name.startswith("metrics.") and name.rpartition(".")[2] in AGGREGATES and name.count(".") >= 2:
        if names.has(name.rpartition(".")[0]) or names.empty():
            return replace(key, name=name)
        raise FilterError(_unknown(name, names), position=key.position)
    prefix, _, rest = name.partition(".")
    if prefix == "run" and (rest in FIELDS or rest == "tags"):
        return replace(key, name=rest)
    if prefix in ("config", "summary", "meta") and rest and (names.has(short(name)) or names.empty()):
        return replace(key, name=short(name))
    for full in (f"config.{name}", f"summary.{name}"):
        if names.has(short(full)):
            return replace(key, name=short(full))
    if name in ("tags", "tag"):
        return replace(key, name="tags")
    if name in FIELDS:
        return key
    if names.empty():
        return replace(key, name=f"config.{short(name)}")
    raise FilterError(_unknown(name, names), position=key.position)


def _unknown(name: str, names: Names) -> str:
    known = set(names.all())
    if name.startswith("metrics.") and name in known:
        return f"say what of the metric is meant: {', '.join(f'{name}.{a}' for a in AGGREGATES)}"
    spellings = known | {f"{key}.best" for key in known if key.startswith("metrics.")}
    if "." not in name or name.partition(".")[0] not in ("config", "summary", "meta", "metrics"):
        spellings = {key.partition(".")[2] for key in known} | {*FIELDS, "tags"}
    return f"no run here has {name!r}.{did_you_mean(name, sorted(spellings))}"


def _fitting(key: str, op: str, literal: Literal) -> Literal:
    """The literal as the key's type reads it: digits of an id are a text, a date is a time."""
    if (key in TEXT_FIELDS or key == "tags") and literal.value is not None:
        return replace(literal, value=literal.text)
    if key in TIME_FIELDS and isinstance(literal.value, str) and op not in ("~", "!~"):
        try:
            moment = datetime.fromisoformat(literal.text)
        except ValueError:
            raise FilterError(
                f"{key} is a time: write seconds since 1970 or a date such as 2026-01-31 or 2026-01-31T12:00, not {literal.text!r}",
                position=literal.position,
            ) from None
        return replace(literal, value=(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return literal


def holds(node: Node, values: Mapping[str, Value]) -> bool:
    """Does a run with these indexed values (store.meta.indexed, and its metrics' aggregates) pass a resolved filter?"""
    match node:
        case And(nodes):
            return all(holds(n, values) for n in nodes)
        case Or(nodes):
            return any(holds(n, values) for n in nodes)
        case Not(inner):
            return not holds(inner, values)
        case IsSet(key):
            return bool(_found(key, values))
        case In(key, literals):
            return any(holds(Compare(key, "=", literal), values) for literal in literals)
        case Compare(key, "!=", literal):
            return not holds(Compare(key, "=", literal), values)
        case Compare(key, "!~", literal):
            return not holds(Compare(key, "~", literal), values)
        case Compare(key, _, Literal(None)):
            return not _found(key, values)
        case Compare(key, op, literal):
            return any(_test(value, op, literal) for value in _found(key, values))


def _found(key: Key, values: Mapping[str, Value]) -> list[Value]:
    if key.name == "tags":
        return [value for name, value in values.items() if name.startswith("tag.")]
    return [values[key.name]] if key.name in values else []


def _test(value: Value, op: str, literal: Literal) -> bool:
    wanted = literal.value
    if op == "~":
        return value.kind in ("string", "list") and search(literal.text, value.text or "")
    if isinstance(wanted, bool):
        return value.kind == "bool" and value.text == str(wanted).lower()
    if isinstance(wanted, str):
        if value.kind not in ("string", "list"):
            return False
        text = cut(wanted)
        return value.text == text if op == "=" else bool(ORDER[op](value.text, text))
    if value.kind != "number" or wanted is None:
        return False
    if op != "=":
        return value.number is not None and bool(ORDER[op](value.number, _near(wanted)))
    if isinstance(wanted, float) and math.isnan(wanted):
        return value.text == "NaN"
    if isinstance(wanted, int) and abs(wanted) > EXACT:
        return value.text == str(wanted) if value.text is not None else value.number == wanted
    return value.number == wanted


def _near(number: int | float) -> float:
    return number if isinstance(number, float) else as_float(number)


def to_text(node: Node) -> str:
    """The filter in its text spelling; `parse` of it gives the tree back."""
    match node:
        case And(nodes):
            return " and ".join(_bracketed(n, And, Or) for n in nodes)
        case Or(nodes):
            return " or ".join(_bracketed(n, Or) for n in nodes)
        case Not(IsSet(key)):
            return f"{_spelled(key)} is not set"
        case Not(In(key, literals)):
            return f"{_spelled(key)} not in ({', '.join(map(_written, literals))})"
        case Not(inner):
            return f"not {_bracketed(inner, And, Or)}"
        case IsSet(key):
            return f"{_spelled(key)} is set"
        case In(key, literals):
            return f"{_spelled(key)} in ({', '.join(map(_written, literals))})"
        case Compare(key, op, literal):
            return f"{_spelled(key)} {op} {_written(literal)}"


def _bracketed(node: Node, *kinds: type) -> str:
    return f"({to_text(node)})" if isinstance(node, kinds) else to_text(node)


def _plain_word(text: str) -> bool:
    found = _TOKEN.fullmatch(text)
    return bool(found and found.group(6) == text) and text.lower() not in _KEYWORDS and not _NUMBER.match(text)


def _spelled(key: Key) -> str:
    return key.name if _plain_word(key.name) else "`" + key.name.replace("`", "``") + "`"


def _written(literal: Literal) -> str:
    value = literal.value
    if isinstance(value, str):
        word = _plain_word(value) and value.lower() not in ("true", "false", "null", "none")
        return value if word else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
