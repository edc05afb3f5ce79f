"""The values of search: what goes in (trials) and what comes out (suggestions, stops). No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STATES = ("pending", "running", "finished", "failed", "crashed", "killed", "stopped")


@dataclass(frozen=True, slots=True)
class Trial:
    """A point that was tried, or is being tried.

    `id`: unique in the sweep, any text. `params`: as suggested (nested spaces give nested dicts).
    `state`: one of STATES; "stopped" is what a stopping rule ended, "killed" what a person did.
    `metrics`: metric name -> its values in the order logged. `info`: the suggestion's info, come back.
    """

    id: str
    params: Mapping[str, Any]
    state: str = "finished"
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point to try. `info` is JSON-able, says why, carries what the method must remember, and comes back as Trial.info."""

    params: dict[str, Any]
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    """A running trial that should end now: the rule that says so, and its numbers in a sentence."""

    id: str
    rule: str
    reason: str
