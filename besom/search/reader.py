"""A sweep's own words made into a Space: `parameters` of any depth, conditions, constraints, zip groups and priors.

`parse(sweep)` reads them, or raises a SpaceError that names the key, the value and the way out; what runs but looks like
a mistake becomes a warning. It knows no method and no file format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from besom.search.distributions import parameter
from besom.search.domain import Choice, Domain, Lattice, Real, identity, number
from besom.search.error import SpaceError, nearest
from besom.search.expression import Expression, Path, read
from besom.search.space import Parameter, Space

PRIOR_WIDTH = 0.2  # deviation in u of a prior that is one good value
_read: dict[str, Space] = {}  # what was parsed lately; it saves time only


def parse(sweep: Mapping[str, Any]) -> Space:
    """The space of a sweep. In a grid q_uniform counts its steps from `min`; elsewhere its values are multiples of q."""
    if not isinstance(sweep, Mapping):
        raise SpaceError("", f"a sweep is a mapping of keys like method and parameters; got {type(sweep).__name__}")
    parts = {key: sweep.get(key) for key in ("parameters", "constraints", "zip", "prior")}
    parts["grid"] = sweep.get("method") == "grid"
    try:
        json.dumps(parts)
    except (TypeError, ValueError):  # values of any class may be listed, and only plain ones have an exact repr
        return _parse(parts)
    key = repr(parts)
    if key not in _read:
        if len(_read) >= 64:
            _read.clear()
        _read[key] = _parse(deepcopy(parts))
    return _read[key]


@dataclass(frozen=True)
class _Leaf:
    """A parameter as written. `scope`: the nested space it stands in; `conditions`: its own and those of its spaces."""

    parameter: Parameter
    where: str
    spec: Mapping[str, Any]
    conditions: tuple[tuple[Any, str, Path], ...]
    warnings: list[str] = field(default_factory=list)


def _parse(parts: Mapping[str, Any]) -> Space:
    warnings: list[str] = []
    leaves: list[_Leaf] = []
    _collect(parts["parameters"], (), "parameters", (), leaves, warnings, parts["grid"])
    leaves.sort(key=lambda leaf: leaf.parameter.path)
    paths = [leaf.parameter.path for leaf in leaves]
    names = {".".join(path): path for path in sorted(paths, key=len, reverse=True)}
    good = _good_point(parts["prior"], leaves)
    groups = _groups(parts["zip"], names)
    parameters: list[Parameter] = []
    wheres: list[str] = []
    for leaf in leaves:
        group = groups.get(leaf.parameter.path, (leaf.parameter.path,))
        if leaf.parameter.path != group[0]:
            continue
        members = [other for other in leaves if other.parameter.path in group]
        p = _zipped(members, warnings) if len(group) > 1 else leaf.parameter
        for member in members:
            if len(group) == 1:
                warnings += member.warnings
            for text, where, scope in member.conditions:
                when = read(text, where, _seen_from(scope, names))
                p = replace(p, when=when if p.when is None else p.when & when)
        parameters.append(replace(p, prior=_prior(p, members, good)))
        wheres.append(next((where for member in members for _, where, _ in member.conditions), leaf.where))
    _refuse_cycles(parameters, wheres)
    constraints = _constraints(parts["constraints"], names)
    domains = {leaf.parameter.path: leaf.parameter.domain for leaf in leaves}
    for p, where in zip(parameters, wheres, strict=True):
        warnings += _never_equal(p.when, where, domains)
    for i, rule in enumerate(constraints):
        warnings += _never_equal(rule, f"constraints[{i}]", domains)
    return Space(tuple(parameters), tuple(dict.fromkeys(warnings)), constraints)


def _never_equal(rule: Expression | None, where: str, domains: Mapping[Path, Domain]) -> Iterator[str]:
    """Warnings of comparisons with a value that the parameter never has."""
    for path, value in rule.equated() if rule else ():
        domain = domains[path]
        if not domain.contains(value):
            rest = nearest(value, map(str, domain.values)) if isinstance(domain, Choice) else ""
            yield f"{where}: {value!r} is no value of {'.'.join(path)}{rest}"


def _collect(
    tree: Any,
    path: Path,
    where: str,
    conditions: tuple[tuple[Any, str, Path], ...],
    leaves: list[_Leaf],
    warnings: list[str],
    from_min: bool,
) -> None:
    """Append the leaves of one `parameters` mapping, depth first."""
    if not isinstance(tree, Mapping) or not tree:
        got = "nothing" if tree is None or tree == {} else repr(tree)
        raise SpaceError(where, f"needs at least one parameter, like `lr: {{min: 0.001, max: 0.1}}`; got {got}")
    for key, spec in tree.items():
        name = key if isinstance(key, str) else str(key)
        here = f"{where}.{name}"
        if not isinstance(key, str):
            warnings.append(f"{here}: the name {key!r} is no text; it is read as {name!r}")
        if any(leaf.parameter.path == (*path, name) for leaf in leaves):
            raise SpaceError(here, "this name is given twice")
        own = conditions
        if isinstance(spec, Mapping) and "condition" in spec:
            own = (*conditions, (spec["condition"], f"{here}.condition", path))
        if isinstance(spec, Mapping) and "parameters" in spec:
            stray = [k for k in spec if k not in ("parameters", "condition")]
            if stray:
                raise SpaceError(f"{here}.{stray[0]}", "beside nested `parameters` only `condition` is allowed")
            _collect(spec["parameters"], (*path, name), f"{here}.parameters", own, leaves, warnings, from_min)
        else:
            odd: list[str] = []
            domain = parameter(spec, here, odd, from_min=from_min)
            leaves.append(_Leaf(Parameter((*path, name), domain), here, spec, own, odd))


def _seen_from(scope: Path, names: Mapping[str, Path]) -> dict[str, Path]:
    """Names as a condition inside a nested space may say them: the nearest space's own names win."""
    seen = dict(names)
    for depth in range(1, len(scope) + 1):
        seen |= {".".join(p[depth:]): p for p in names.values() if p[:depth] == scope[:depth] and len(p) > depth}
    return seen


def _constraints(given: Any, names: Mapping[str, Path]) -> tuple[Expression, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Sequence):
        raise SpaceError("constraints", f'must be a list of expressions, like `["lr * batch_size < 1"]`; got {given!r}')
    return tuple(read(text, f"constraints[{i}]", names) for i, text in enumerate(given))


def _groups(given: Any, names: Mapping[str, Path]) -> dict[Path, tuple[Path, ...]]:
    """The zip group of each path that is in one, its paths in order."""
    found: dict[Path, tuple[Path, ...]] = {}
    if given is None:
        return found
    if isinstance(given, list | tuple) and given and all(isinstance(x, str) for x in given):
        given = [given]  # one group, written without its own brackets
    if not isinstance(given, list | tuple) or not all(isinstance(g, list | tuple) and len(g) > 1 for g in given):
        raise SpaceError("zip", f"must be a list of groups of names, like `[[lr, batch_size]]`; got {given!r}")
    for i, group in enumerate(given):
        for name in group:
            if not isinstance(name, str) or name not in names:
                raise SpaceError(f"zip[{i}]", f"there is no parameter {name!r}{nearest(name, names)}")
            if names[name] in found or list(group).count(name) > 1:
                raise SpaceError(f"zip[{i}]", f"{name!r} is listed twice; a parameter moves with one group")
        paths = tuple(sorted(names[name] for name in group))
        found |= dict.fromkeys(paths, paths)
    return found


def _zipped(members: Sequence[_Leaf], warnings: list[str]) -> Parameter:
    """One column of the lists that move together."""
    for leaf in members:
        if not isinstance(leaf.parameter.domain, Choice) or "probabilities" in leaf.spec:
            raise SpaceError(leaf.where, "is in a `zip` group, so it must have `values` and no `probabilities`")
    counts = {".".join(leaf.parameter.path): len(leaf.spec["values"]) for leaf in members}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise SpaceError("zip", f"the values of a group must be equally many, to move together; got {told}")
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in zip(*(leaf.spec["values"] for leaf in members), strict=True):
        if rows.setdefault(identity(row), row) is not row:
            warnings.append(f"zip: the values {list(row)!r} are listed more than once; they are one")
    paths = tuple(leaf.parameter.path for leaf in members)
    columns = zip(*rows.values(), strict=True)
    domains = [Choice(c, order=leaf.spec.get("ordered")) for c, leaf in zip(columns, members, strict=True)]
    ways = [tuple(range(len(rows))), tuple(reversed(range(len(rows))))]
    order = all(d.ordered and d.rank in ways for d in domains)
    return Parameter(paths[0], Choice(tuple(rows.values()), order=order), group=paths)


def _good_point(given: Any, leaves: Sequence[_Leaf]) -> dict[Path, Any]:
    """The values of a top-level `prior`, by path."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SpaceError("prior", f"must be a good point, like `{{lr: 0.001}}`; got {given!r}")
    return dict(flatten(given, [leaf.parameter.path for leaf in leaves], "prior"))


def flatten(params: Mapping[str, Any], paths: Sequence[Path], where: str) -> list[tuple[Path, Any]]:
    """(path, value) of each parameter in params, nested or with dotted names. Raises SpaceError for unknown names."""
    names = {".".join(path): path for path in sorted(paths, key=len, reverse=True)}
    inside = {path[:k] for path in paths for k in range(1, len(path))}
    found: list[tuple[Path, Any]] = []

    def walk(tree: Mapping[str, Any], path: Path) -> None:
        for key, value in tree.items():
            here = (*path, str(key))
            if here in paths or ".".join(here) in names:
                found.append((here if here in paths else names[".".join(here)], value))
            elif here in inside and isinstance(value, Mapping):
                walk(value, here)
            else:
                name = ".".join(here)
                raise SpaceError(f"{where}.{name}", f"there is no parameter {name!r}{nearest(name, names)}")

    walk(params, ())
    return found


def _prior(p: Parameter, members: Sequence[_Leaf], good: Mapping[Path, Any]) -> tuple[float, float] | None:
    """Where good values of a parameter are believed to lie, in u."""
    where = f"{members[0].where}.prior"
    given = [leaf.spec.get("prior", good.get(leaf.parameter.path)) for leaf in members]
    here = [leaf.where for leaf in members if "prior" in leaf.spec]
    there = [leaf.parameter.path for leaf in members if leaf.parameter.path in good]
    if not here and not there:
        return None
    where = f"{here[0]}.prior" if here else f"prior.{'.'.join(there[0])}"
    if p.group:
        if len({*here, *(leaf.where for leaf in members if leaf.parameter.path in there)}) < len(members):
            raise SpaceError(where, f"give a good value for each of {p.name}: they move together")
        return _believed(list(given), None, p.domain, where)
    value: Any = given[0]
    deviation = None
    if isinstance(value, Mapping) and not isinstance(p.domain, Choice):
        for key in value:
            if key not in ("mean", "deviation"):
                raise SpaceError(f"{where}.{key}", f"is no key of a prior{nearest(key, ('mean', 'deviation'))}")
        deviation, value = value.get("deviation"), value.get("mean")
    return _believed(value, deviation, p.domain, where)


def _believed(value: Any, deviation: Any, domain: Domain, where: str) -> tuple[float, float]:
    x = number(value)
    inside: Callable[[Any], bool] = domain.contains
    if isinstance(domain, Real | Lattice):
        law = domain.law
        inside = lambda _: x is not None and law.low <= x <= law.high  # noqa: E731
    if not inside(value):
        raise SpaceError(where, f"must be a value of this parameter, or `{{mean: .., deviation: ..}}`; got {value!r}")
    mean = float(domain.units([value])[0])
    if deviation is None:
        return mean, PRIOR_WIDTH
    width = number(deviation)
    if width is None or not width > 0 or x is None:
        raise SpaceError(f"{where}.deviation", f"must be a number above 0; got {deviation!r}")
    low, high = domain.units([x - width, x + width])
    return mean, max(float(high - low) / 2, 1e-3)


def _refuse_cycles(parameters: Sequence[Parameter], wheres: Sequence[str]) -> None:
    """Raise SpaceError when a parameter's condition (of `wheres`) leads back to itself."""
    number_of = {path: i for i, p in enumerate(parameters) for path in p.paths}
    state: dict[int, int] = {}  # 1 while it is looked at, 2 when it is known to lead nowhere

    def visit(i: int, trail: tuple[int, ...]) -> None:
        if state.get(i) == 1:
            loop = [*trail[trail.index(i) :], i]
            told = ", which lives by ".join(parameters[k].name for k in loop)
            raise SpaceError(wheres[i], f"conditions go in a circle: {told}")
        if i not in state:
            state[i] = 1
            when = parameters[i].when
            for path in sorted(when.uses) if when else ():
                visit(number_of[path], (*trail, i))
            state[i] = 2

    for i in range(len(parameters)):
        visit(i, ())
