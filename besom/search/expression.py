"""The small language of `condition` and `constraints`: an expression over parameters that is true or false.

`read(text, where, names)` parses once into an `Expression`, by Python's own grammar and a list of what is allowed; nothing
is ever eval'd, and size, depth and powers are bounded, so that no text can hang a server. The walk it serves:
sweep -> space -> which parameters live, which points are admissible. It knows no domain and no method.

Names are those of parameters, `optim.lr` included; backticks hold odd ones (`a/b`, `lambda`). `true`, `false` and `null`
are understood beside True, False and None. What cannot be computed (a division by 0, the log of -1) makes the whole
expression false; text compared with a number is never less or more.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from besom.search.domain import identity
from besom.search.error import SpaceError, nearest

Path = tuple[str, ...]
LONGEST, MOST_NODES = 1000, 250  # characters and nodes of one expression
WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
SIGNS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,  # of floats: 9**9**9 overflows at once
}
ORDER: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# name -> function of numbers, least and most arguments
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "exp": (math.exp, 1, 1),
    "len": (len, 1, 1),
    "log": (math.log, 1, 2),
    "max": (max, 2, 99),
    "min": (min, 2, 99),
    "sqrt": (math.sqrt, 1, 1),
}
ALLOWED = (
    f"allowed are names, numbers, texts, lists, and or not in, == != < <= > >=, + - * / // % **, {' '.join(FUNCTIONS)}"
)
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`([^`]*)`""")
_ODD = "\ua66e"  # a letter that begins the stand-in of a name in backticks


class _Ref(ast.expr):
    """A parameter, in place of its name."""

    path: Path


@dataclass(frozen=True)
class Expression:
    """A parsed expression. `text`: as written; `uses`: the parameters that it mentions."""

    text: str
    uses: frozenset[Path]
    tree: ast.expr = field(repr=False, compare=False)

    def __and__(self, other: Expression) -> Expression:
        both = ast.BoolOp(ast.And(), [self.tree, other.tree])
        return Expression(f"({self.text}) and ({other.text})", self.uses | other.uses, both)

    def true(self, values: Mapping[Path, Any]) -> bool:
        """Whether it holds for these values of parameters; one that is looked at and absent makes it false."""
        try:
            return bool(_value(self.tree, values))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            return False

    def equated(self) -> Iterator[tuple[Path, Any]]:
        """Each parameter that is compared by == or in, with each constant that it is compared with."""
        for node in ast.walk(self.tree):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            for op, a, b in zip(getattr(node, "ops", ()), sides, sides[1:], strict=False):
                if isinstance(op, ast.In | ast.NotIn):
                    found = [(a, part) for part in getattr(b, "elts", ())]
                else:
                    found = [] if type(op) in ORDER else [(a, b), (b, a)]
                for ref, other in found:
                    if isinstance(ref, _Ref) and isinstance(other, ast.Constant):
                        yield ref.path, other.value


def read(text: Any, where: str, names: Mapping[str, Path]) -> Expression:
    """The expression `text`, over `names`. Raises SpaceError at `where`."""
    if not isinstance(text, str) or not text.strip():
        raise SpaceError(where, f'must be an expression as text, like `optimizer == "sgd"`; got {text!r}')
    if len(text) > LONGEST:
        raise SpaceError(where, f"is longer than {LONGEST} characters; write several shorter ones")
    odd: dict[str, str] = {}

    def stand_in(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        name = f"{_ODD}{len(odd)}".ljust(len(found[0]), "_")
        odd[name] = found[1]
        return name

    plain = _QUOTED.sub(stand_in, text.strip().replace("\n", " "))
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        way = "; compare with `==`" if re.search(r"(?<![=!<>])=(?!=)", plain) else ""
        way += "; put odd names in backticks, like `a/b` or `lambda`" if not odd else ""
        what = getattr(error, "msg", None) or "it is nested too deep"
        raise SpaceError(where, f"cannot be read: {what} in {text!r}{way}") from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise SpaceError(where, f"has more than {MOST_NODES} parts; write several smaller ones")
    uses: set[Path] = set()
    tree = _Reader(where, text, names, odd, uses).visit(tree)
    if not uses:
        raise SpaceError(where, f"mentions no parameter, so it never changes; got {text!r}")
    return Expression(text.strip(), frozenset(uses), tree)


class _Reader(ast.NodeVisitor):
    """Checks each node against the language and puts parameters in place of names."""

    def __init__(self, where: str, text: str, names: Mapping[str, Path], odd: Mapping[str, str], uses: set[Path]):
        self.where, self.text, self.names, self.odd, self.uses = where, text, names, odd, uses

    def _refuse(self, node: ast.AST, message: str) -> SpaceError:
        place = getattr(node, "col_offset", 0) + 1
        return SpaceError(self.where, f"{message} (at {place} in {self.text!r})")

    def generic_visit(self, node: ast.AST) -> Any:
        raise self._refuse(node, f"{type(node).__name__.lower()} is not part of this language: {ALLOWED}")

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, int | float | str | None):
            raise self._refuse(node, f"{node.value!r} is not part of this language: {ALLOWED}")
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._name(self.odd.get(node.id, node.id), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        parts, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            return self.generic_visit(inner)  # type: ignore[no-any-return]
        return self._name(".".join(self.odd.get(p, p) for p in [inner.id, *reversed(parts)]), node)

    def _name(self, name: str, node: ast.expr) -> ast.expr:
        path = self.names.get(name)
        if path is None:
            if name in WORDS:
                return ast.Constant(WORDS[name])
            raise self._refuse(node, f"there is no parameter {name!r}{nearest(name, self.names)}")
        self.uses.add(path)
        ref = _Ref()
        ref.path = path
        return ref

    def visit_List(self, node: ast.List | ast.Tuple) -> ast.expr:
        node.elts = [self.visit(e) for e in node.elts]
        return node

    visit_Tuple = visit_List

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        node.values = [self.visit(v) for v in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Invert):
            self.generic_visit(node.op)
        node.operand = self.visit(node.operand)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if type(node.op) not in SIGNS:
            raise self._refuse(node, f"{type(node.op).__name__.lower()} is not part of this language: {ALLOWED}")
        node.left, node.right = self.visit(node.left), self.visit(node.right)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        node.left, node.comparators = self.visit(node.left), [self.visit(c) for c in node.comparators]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS:
            raise self._refuse(node, f"there is no function {name!r}{nearest(name, FUNCTIONS)}")
        _, least, most = FUNCTIONS[name]
        if node.keywords or not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise self._refuse(node, f"{name} takes {count} values")
        node.args = [self.visit(a) for a in node.args]
        return node


def _value(node: ast.expr, values: Mapping[Path, Any]) -> Any:
    match node:
        case _Ref():
            return values[node.path]
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(e, values) for e in node.elts]
        case ast.BoolOp():
            end = isinstance(node.op, ast.Or)
            return end if any(bool(_value(v, values)) is end for v in node.values) else not end
        case ast.UnaryOp():
            inner = _value(node.operand, values)
            if isinstance(node.op, ast.Not):
                return not inner
            return -_number(inner) if isinstance(node.op, ast.USub) else _number(inner)
        case ast.BinOp():
            return SIGNS[type(node.op)](_number(_value(node.left, values)), _number(_value(node.right, values)))
        case ast.Compare():
            sides = [_value(side, values) for side in (node.left, *node.comparators)]
            return all(_compare(op, a, b) for op, a, b in zip(node.ops, sides, sides[1:], strict=False))
        case ast.Call(func=ast.Name(id=name)):
            given = [_value(a, values) for a in node.args]
            return FUNCTIONS[name][0](*(given if name == "len" else map(_number, given)))
    raise TypeError(node)


def _number(value: Any) -> int | float:
    if hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, int | float):
        raise TypeError(value)
    return value


def _compare(op: ast.cmpop, a: Any, b: Any) -> bool:
    if type(op) in ORDER:
        if not (isinstance(a, str) and isinstance(b, str)):
            try:
                a, b = _number(a), _number(b)
            except TypeError:
                return False
        return ORDER[type(op)](a, b)
    if isinstance(op, ast.In | ast.NotIn):
        found = a in b if isinstance(a, str) and isinstance(b, str) else any(_equal(a, x) for x in b)
        return found is isinstance(op, ast.In)
    return _equal(a, b) is isinstance(op, ast.Eq | ast.Is)


def _equal(a: Any, b: Any) -> bool:
    """True is not 1, and 1 is 1.0."""
    return identity(a, loose=True) == identity(b, loose=True)
