"""A sweep as a method sees it: what may be tried, what is better, and where random numbers come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from besom.search.goal import Goal, Limit
from besom.search.space import Space
from besom.search.trial import Trial


@dataclass(frozen=True)
class Problem:
    """A sweep, read. `seed`: None when nobody gave one. `sweep`: the sweep as given, for a method's own keys.

    `goals`: all objectives, the first of them `goal`. `limits`: outcome constraints. `earlier`: trials of other sweeps,
    which inform a model and count nowhere else.
    """

    space: Space
    goal: Goal | None = None
    seed: int | None = None
    sweep: Mapping[str, Any] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    limits: tuple[Limit, ...] = ()
    earlier: tuple[Trial, ...] = ()

    def generator(self, *numbers: int) -> np.random.Generator:
        """Random numbers that depend on the seed and on `numbers` (a count of trials, a purpose), on nothing else."""
        entropy = [n & (2**64 - 1) for n in ([] if self.seed is None else [self.seed]) + list(numbers)]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([len(entropy), *entropy])))
