"""`method: quasi`: a scrambled Sobol sequence, which fills a space more evenly than random draws.

Sobol (1967) with initial direction numbers of Joe and Kuo (2008) for the first dimensions, and random odd ones on
further primitive polynomials; scrambled by nested uniform (Owen) scrambling as a hash, Burley (2020). Point number k depends on
the seed and on k alone. A finite space is visited without repeats and ends when it is used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.search.engine import Problem
from besom.search.laws import Floats
from besom.search.random import TRIES, Seen, random_point, unbelieving
from besom.search.trial import Suggestion, Trial

BITS = 32
Words = NDArray[np.uint32]

# (polynomial without its first and last bit, initial odd numbers), one row per dimension from the second on
_JOE_KUO: tuple[tuple[int, tuple[int, ...]], ...] = (
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
    (4, (1, 1, 5, 5, 5)),
    (7, (1, 1, 7, 11, 19)),
    (11, (1, 1, 5, 1, 1)),
    (13, (1, 1, 1, 3, 11)),
    (14, (1, 3, 5, 5, 31)),
    (1, (1, 3, 3, 9, 7, 49)),
    (13, (1, 1, 1, 15, 21, 21)),
    (16, (1, 3, 1, 13, 27, 49)),
    (19, (1, 1, 1, 15, 7, 5)),
    (22, (1, 3, 1, 15, 13, 25)),
    (25, (1, 1, 5, 5, 19, 61)),
    (1, (1, 3, 7, 11, 23, 15, 103)),
    (4, (1, 3, 7, 13, 13, 15, 69)),
)


def sobol(dimensions: int, start: int, count: int, seeds: Sequence[int]) -> Floats:
    """(count, dimensions) points start, start + 1, ... in [0, 1), scrambled by one 32-bit seed per dimension."""
    vectors = _directions(dimensions)
    index = np.arange(start, start + count, dtype=np.uint64)
    words = np.zeros((count, dimensions), dtype=np.uint32)
    for bit in range(max(1, (start + count).bit_length())):
        on = (index >> np.uint64(bit)) & np.uint64(1) == 1
        words[on] ^= vectors[:, bit % BITS]
    scrambled = _scramble(words, np.asarray(seeds, dtype=np.uint32))
    return (scrambled.astype(float) + 0.5) / 2.0**BITS


def unscrambled(dimensions: int, count: int) -> Floats:
    """(count, dimensions) the plain sequence from point 0 on, for comparison with other implementations."""
    vectors = _directions(dimensions)
    words = np.zeros((count, dimensions), dtype=np.uint32)
    for k in range(count):
        for bit in range(k.bit_length()):
            if k >> bit & 1:
                words[k] ^= vectors[:, bit]
    return words.astype(float) / 2.0**BITS


@lru_cache(maxsize=32)
def _directions(dimensions: int) -> Words:
    """(dimensions, 32) direction numbers."""
    rows = np.zeros((dimensions, BITS), dtype=np.uint32)
    for d, (degree, middle, initial) in enumerate(_polynomials(dimensions)):
        m = list(initial)
        for k in range(len(m), BITS):
            new = m[k - degree] ^ (m[k - degree] << degree)
            for j in range(1, degree):
                if middle >> (degree - 1 - j) & 1:
                    new ^= m[k - j] << j
            m.append(new)
        rows[d] = [m[k] << (BITS - 1 - k) for k in range(BITS)]
    return rows


def _polynomials(count: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """(degree, middle bits, initial numbers) of the first `count` dimensions; the first is van der Corput's."""
    found: list[tuple[int, int, tuple[int, ...]]] = [(1, 0, (1,) * BITS)]
    found += [(len(initial), middle, initial) for middle, initial in _JOE_KUO]
    odd = np.random.Generator(np.random.PCG64(20))  # a fixed part of the sequence, like the table
    degree, middle = 7, 4
    while len(found) < count:
        middle += 1
        if middle >= 1 << (degree - 1):
            degree, middle = degree + 1, 0
        if _primitive(1 << degree | middle << 1 | 1, degree):
            initial = tuple(int(odd.integers(1 << k)) * 2 + 1 for k in range(degree))
            found.append((degree, middle, initial))
    return found[:count]


def _primitive(polynomial: int, degree: int) -> bool:
    """Whether x generates all 2**degree - 1 non-zero residues modulo a polynomial over two elements."""
    order = (1 << degree) - 1
    factors = [p for p in range(2, order + 1) if order % p == 0 and all(p % q for q in range(2, int(p**0.5) + 1))]
    if _power(order, polynomial, degree) != 1:
        return False
    return all(_power(order // p, polynomial, degree) != 1 for p in factors if p != order)


def _power(exponent: int, polynomial: int, degree: int) -> int:
    """x**exponent modulo the polynomial."""
    result, base = 1, 2
    while exponent:
        if exponent & 1:
            result = _times(result, base, polynomial, degree)
        base = _times(base, base, polynomial, degree)
        exponent >>= 1
    return result


def _times(a: int, b: int, polynomial: int, degree: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        b >>= 1
        a <<= 1
        if a >> degree & 1:
            a ^= polynomial
    return product


def _reverse(words: Words) -> Words:
    """Each 32-bit word with its bits in reverse order."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        keep, by = np.uint32(mask), np.uint32(shift)
        words = ((words >> by) & keep) | ((words & keep) << by)
    return (words >> np.uint32(16)) | (words << np.uint32(16))


def _scramble(words: Words, seeds: Words) -> Words:
    """Nested uniform scrambling: each bit is flipped as a hash of the seed and of the bits above it."""
    x = _reverse(words)
    x = x ^ (x * np.uint32(0x3D20ADEA))
    x = x + seeds
    x = x * ((seeds >> np.uint32(16)) | np.uint32(1))
    x = x ^ (x * np.uint32(0x05526C56))
    x = x ^ (x * np.uint32(0x53A22864))
    return _reverse(x)


def sobol_point(problem: Problem, seen: Seen, start: int) -> tuple[dict[str, Any], int]:
    """The first unseen point of the sequence from `start` on, noted as seen, and its number. The space must not be full."""
    d = len(problem.space.free)
    seeds = problem.generator(d, 7).integers(2**32, size=d).tolist()
    for number in range(start, start + TRIES):
        params = problem.space.draw(sobol(d, number, 1, seeds)[0].tolist())
        if seen.add(params):
            return params, number
    return random_point(problem, seen, start), start


class Quasi:
    """A scrambled Sobol sequence."""

    def check(self, problem: Problem) -> list[str]:
        return unbelieving(problem)

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        seen = Seen(problem.space, trials)
        start = 1 + max((k for t in trials if isinstance(k := t.info.get("point"), int)), default=len(trials) - 1)
        found: list[Suggestion] = []
        while len(found) < n and not seen.full:
            params, number = sobol_point(problem, seen, start)
            found.append(Suggestion(params, {"method": "quasi", "point": number}))
            start = number + 1
        return found
