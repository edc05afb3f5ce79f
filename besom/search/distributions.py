"""The distributions that a sweep may name: their keys, their defaults, and the domain each one means.

`parameter(spec, where, warnings)` turns one parameter's mapping into a Domain. The table at the end is the list of
distributions; a distribution is one row of it. The walk it serves: `space.parse`. It knows no method.

Liberal where the meaning is plain (int beside float, whole floats for integers, numbers that a YAML 1.1 reader left
as text, min equal to max), strict where it is not (unknown keys, fractions for integers, reversed bounds).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from besom.search.domain import Choice, Constant, Domain, Lattice, Real, identity, number
from besom.search.error import SpaceError, nearest
from besom.search.laws import Beta, Law, Log, Normal, Uniform

OF_ANY = ("condition", "prior")  # keys of every parameter, read by reader.py
FORMS = "give `value`, `values`, or `min` and `max`"


@dataclass(frozen=True)
class Words:
    """One parameter as written. `where`: its path; `warnings`: where oddities are told."""

    spec: Mapping[str, Any]
    where: str
    warnings: list[str]
    from_min: bool

    def warn(self, text: str) -> None:
        self.warnings.append(f"{self.where}: {text}")

    def number(self, key: str, default: float | int | None = None) -> float | int:
        """The number at `key`, int or float as written."""
        value = self.spec.get(key, default)
        where = f"{self.where}.{key}"
        if isinstance(value, str):
            try:
                read: float | int = float(value)
            except ValueError:
                raise SpaceError(where, f"must be a number; got the text {value!r}") from None
            self.warnings.append(f"{where}: the text {value!r} is read as the number {read!r}")
            value = read
        x = number(value)
        if x is None or not math.isfinite(x):
            raise SpaceError(where, f"must be a finite number; got {value!r}")
        return value.item() if hasattr(value, "item") else value  # type: ignore[no-any-return]

    def integer(self, key: str) -> int:
        value = self.number(key)
        if value != int(value):
            way = "; use `distribution: uniform` for real numbers, or `q_uniform` with `q` for steps"
            raise SpaceError(f"{self.where}.{key}", f"must be a whole number; got {value!r}{way}")
        return int(value)

    def bounds(self) -> tuple[float | int, float | int]:
        low, high = self.number("min"), self.number("max")
        if low > high:
            raise SpaceError(
                f"{self.where}.min", f"min must not be above max; got min {low!r} and max {high!r}: swap them"
            )
        if low == high:
            self.warn(f"min equals max, so this is the constant {low!r}")
        return low, high

    def positive_bounds(self, other: str) -> tuple[float, float]:
        low, high = self.bounds()
        if low <= 0:
            message = f"must be above 0 on a logarithmic scale; got {low!r}: use a small positive number, or `distribution: {other}`"
            raise SpaceError(f"{self.where}.min", message)
        return float(low), float(high)

    def exponents(self) -> tuple[float, float]:
        """e**min and e**max of the deprecated distributions whose bounds are exponents."""
        low, high = self.bounds()
        name = self.spec["distribution"]
        self.warn(
            f"{name} is deprecated and reads min and max as exponents of e; use {name}_values with the values themselves"
        )
        if abs(low) > 700 or abs(high) > 700:
            key = "max" if abs(high) > 700 else "min"
            message = f"is an exponent of e between -700 and 700; got {self.spec[key]!r}: use {name}_values with the values themselves"
            raise SpaceError(f"{self.where}.{key}", message)
        return math.exp(low), math.exp(high)

    def step(self, *reach: float) -> float | int:
        """q, for values as far out as `reach`."""
        q = self.number("q", 1.0)
        if q <= 0:
            raise SpaceError(f"{self.where}.q", f"must be above 0; got {q!r}")
        if not all(math.isfinite(x / float(q)) for x in reach):
            raise SpaceError(
                f"{self.where}.q", f"is too small a step for values like {max(reach, key=abs)!r}; got {q!r}"
            )
        return q

    def sigma(self) -> tuple[float, float]:
        mu, sigma = float(self.number("mu", 0)), float(self.number("sigma", 1))
        if sigma < 0:
            raise SpaceError(f"{self.where}.sigma", f"must not be below 0; got {sigma!r}")
        return mu, sigma

    def shapes(self) -> tuple[float, float]:
        a, b = float(self.number("a", 1)), float(self.number("b", 1))
        for key, value in (("a", a), ("b", b)):
            if value <= 0:
                raise SpaceError(f"{self.where}.{key}", f"must be above 0; got {value!r}")
        return a, b


def parameter(spec: Any, where: str, warnings: list[str], *, from_min: bool = False) -> Domain:
    """The domain of one parameter. Raises SpaceError; appends to `warnings`."""
    if not isinstance(spec, Mapping):
        shown = repr(spec)
        way = f"{{values: {shown}}}" if isinstance(spec, list | tuple) else f"{{value: {shown}}}"
        raise SpaceError(where, f"must be a mapping; got {shown}: write `{where.rpartition('.')[2]}: {way}`")
    words = Words(spec, where, warnings, from_min)
    kind = _kind(words)
    known = kind.required + kind.optional + ("distribution", *OF_ANY)
    for key in spec:
        if key not in known:
            rest = nearest(key, known)
            raise SpaceError(f"{where}.{key}", f"is no key of distribution {kind.name}{rest}")
    for key in kind.required:
        if key not in spec:
            raise SpaceError(where, f"distribution {kind.name} needs `{key}`")
    return kind.build(words)


def _kind(words: Words) -> Kind:
    """The distribution that is named, or that the keys imply."""
    spec, where = words.spec, words.where
    if "distribution" in spec:
        name = spec["distribution"]
        if not isinstance(name, str) or name not in DISTRIBUTIONS:
            raise SpaceError(f"{where}.distribution", f"{name!r} is no distribution{nearest(name, DISTRIBUTIONS)}")
        return DISTRIBUTIONS[name]
    if "values" in spec:
        return DISTRIBUTIONS["categorical"]
    if "value" in spec:
        return DISTRIBUTIONS["constant"]
    if "min" in spec and "max" in spec:
        if "q" in spec:
            words.warn("min, max and q without a distribution mean q_uniform")
            return DISTRIBUTIONS["q_uniform"]
        low, high = (replace(words, warnings=[]).number(key) for key in ("min", "max"))
        return DISTRIBUTIONS["int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"]
    if not spec:
        raise SpaceError(where, f"is empty: {FORMS}")
    known = {k for kind in DISTRIBUTIONS.values() for k in kind.required + kind.optional} | {
        "parameters",
        "distribution",
        *OF_ANY,
    }
    for key in spec:
        if key not in known:
            raise SpaceError(f"{where}.{key}", f"is no key of a parameter{nearest(key, known)}")
    for key in ("min", "max"):
        if key in spec:
            other = "max" if key == "min" else "min"
            raise SpaceError(where, f"has `{key}` but no `{other}`")
    raise SpaceError(where, f"names no distribution: {FORMS}, or `distribution` with its keys")


def _constant(words: Words) -> Domain:
    return Constant(words.spec["value"])


def _categorical(words: Words) -> Domain:
    values = words.spec["values"]
    where = f"{words.where}.values"
    if not isinstance(values, list | tuple):
        raise SpaceError(where, f"must be a list; got {values!r}: write `values: [{values!r}]`, or `value: {values!r}`")
    if not values:
        raise SpaceError(where, "is an empty list; give at least one value")
    given = words.spec.get("probabilities")
    weights = (
        [1.0] * len(values) if given is None else _probabilities(given, len(values), f"{words.where}.probabilities")
    )
    distinct: dict[tuple[Any, ...], int] = {}
    kept: list[Any] = []
    mass: list[float] = []
    for value, weight in zip(values, weights, strict=True):
        if weight == 0:
            words.warn(f"the value {value!r} has probability 0 and is left out")
            continue
        seen = distinct.setdefault(identity(value), len(kept))
        if seen < len(kept):
            words.warn(f"the value {value!r} is listed more than once; it is one value")
            mass[seen] += weight
        else:
            kept.append(value)
            mass.append(weight)
        if isinstance(value, str) and _looks_like_number(value):
            words.warn(
                f"the value {value!r} is text, not a number; write it with a point (1.0e-5) if it is meant as one"
            )
    order = words.spec.get("ordered")
    if order is not None and not isinstance(order, bool):
        raise SpaceError(f"{words.where}.ordered", f"must be true or false; got {order!r}")
    even = len(set(mass)) == 1
    return Choice(tuple(kept), () if even else tuple(mass), order)


def _probabilities(given: Any, count: int, where: str) -> list[float]:
    if not isinstance(given, list | tuple) or len(given) != count:
        got = len(given) if isinstance(given, list | tuple) else repr(given)
        raise SpaceError(where, f"must be a list with one number for each of the {count} values; got {got}")
    weights = [number(p) for p in given]
    if any(w is None or not w >= 0 or not math.isfinite(w) for w in weights):
        raise SpaceError(where, f"must be numbers from 0 to 1; got {list(given)!r}")
    clean = [w for w in weights if w is not None]
    if abs(sum(clean) - 1.0) > 1e-4:
        raise SpaceError(where, f"must sum to 1; got {sum(clean)!r}")
    return clean


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip()[:1] in "+-.0123456789"


def _int_uniform(words: Words) -> Domain:
    words.bounds()
    low, high = words.integer("min"), words.integer("max")
    return Lattice(Uniform(low - 0.5, high + 0.5), 1, low, high, whole=True)


def _real(low: float, high: float, law: Callable[[float, float], Law]) -> Domain:
    """A law between bounds; equal bounds are a constant."""
    return Constant(low) if low == high else Real(law(low, high))


def _lattice(words: Words, low: float | int, high: float | int, law: Callable[[float, float], Law]) -> Domain:
    """The multiples of q inside [low, high], under a law widened by half a step at each end."""
    q = words.step(float(low), float(high))
    origin: float | int = low if words.from_min else 0
    first, last = _first_last(low, high, q, origin)
    if first > last:
        message = f"no multiple of q = {q!r} lies between {low!r} and {high!r}; choose a smaller q"
        raise SpaceError(f"{words.where}.q", message)
    whole = isinstance(q, int) and (origin == 0 or isinstance(origin, int))
    flat = Lattice(Uniform(0, 1), q, first, last, origin=origin, whole=whole, low=float(low), high=float(high))
    if first == last:
        return Constant(flat.point(first))
    half = float(q) / 2
    ends = float(flat.point(first)) - half, float(flat.point(last)) + half
    return replace(flat, law=law(*ends))


def _first_last(low: float, high: float, q: float, origin: float) -> tuple[int, int]:
    """The first and last k with low <= origin + k q <= high, forgiving the last bits."""
    a, b = (low - origin) / q, (high - origin) / q
    slack = 1e-9 + 1e-15 * max(abs(a), abs(b)) if max(abs(a), abs(b)) < 1e9 else 0.0
    return math.ceil(a - slack), math.floor(b + slack)


def _uniform(words: Words) -> Domain:
    low, high = words.bounds()
    return _real(float(low), float(high), Uniform)


def _q_uniform(words: Words) -> Domain:
    return _lattice(words, *words.bounds(), Uniform)


def _log_uniform(words: Words) -> Domain:
    return _real(*words.exponents(), Log)


def _log_uniform_values(words: Words) -> Domain:
    return _real(*words.positive_bounds("uniform"), Log)


def _inv_log_uniform(words: Words) -> Domain:
    low, high = words.exponents()
    return _real(1 / high, 1 / low, Log)


def _q_log_uniform(words: Words) -> Domain:
    return _lattice(replace(words, from_min=False), *words.exponents(), Log)


def _q_log_uniform_values(words: Words) -> Domain:
    words.positive_bounds("q_uniform")
    return _lattice(replace(words, from_min=False), words.number("min"), words.number("max"), Log)


def _normal(words: Words, *, log: bool = False) -> Domain:
    mu, sigma = words.sigma()
    if log and mu + 8 * sigma > 700:
        raise SpaceError(f"{words.where}.mu", f"e**(mu + 8 sigma) overflows; got mu {mu!r} and sigma {sigma!r}")
    if sigma == 0:
        words.warn("sigma is 0, so this is a constant")
        return Constant(math.exp(mu) if log else mu)
    return Real(Normal(mu, sigma, log))


def _log_normal(words: Words) -> Domain:
    return _normal(words, log=True)


def _quantised(plain: Callable[[Words], Domain]) -> Callable[[Words], Domain]:
    """The distribution `plain`, rounded to multiples of q."""

    def build(words: Words) -> Domain:
        domain = plain(words)
        q = words.step(*(float(domain.value(u)) for u in (0.0, 1.0)))
        if isinstance(domain, Constant):
            return Constant(
                Lattice(Uniform(0, 1), q, None, None, whole=isinstance(q, int)).point(round(domain.fixed / q))
            )
        assert isinstance(domain, Real)
        law = domain.law
        first = 0 if law.low == 0 else None
        last = math.floor(law.high / q + 1e-9) if math.isfinite(law.high) else None
        if first is not None and first == last:
            return Constant(0 if isinstance(q, int) else 0.0)
        return Lattice(law, q, first, last, whole=isinstance(q, int), low=law.low, high=law.high)

    return build


def _beta(words: Words) -> Domain:
    return Real(Beta(*words.shapes()))


@dataclass(frozen=True)
class Kind:
    """A distribution: the keys it needs, the keys it allows, and what it builds."""

    name: str
    build: Callable[[Words], Domain]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_RANGE = ("min", "max")
DISTRIBUTIONS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("constant", _constant, ("value",)),
        Kind("categorical", _categorical, ("values",), ("probabilities", "ordered")),
        Kind("categorical_w_probabilities", _categorical, ("values", "probabilities"), ("ordered",)),
        Kind("int_uniform", _int_uniform, _RANGE),
        Kind("uniform", _uniform, _RANGE),
        Kind("q_uniform", _q_uniform, _RANGE, ("q",)),
        Kind("log_uniform", _log_uniform, _RANGE),
        Kind("log_uniform_values", _log_uniform_values, _RANGE),
        Kind("q_log_uniform", _q_log_uniform, _RANGE, ("q",)),
        Kind("q_log_uniform_values", _q_log_uniform_values, _RANGE, ("q",)),
        Kind("inv_log_uniform", _inv_log_uniform, _RANGE),
        Kind("inv_log_uniform_values", _log_uniform_values, _RANGE),
        Kind("normal", _normal, (), ("mu", "sigma")),
        Kind("q_normal", _quantised(_normal), (), ("mu", "sigma", "q")),
        Kind("log_normal", _log_normal, (), ("mu", "sigma")),
        Kind("q_log_normal", _quantised(_log_normal), (), ("mu", "sigma", "q")),
        Kind("beta", _beta, (), ("a", "b")),
        Kind("q_beta", _quantised(_beta), (), ("a", "b", "q")),
    )
}
