"""Search: pure mathematics over values. `suggest(sweep, trials, n, seed)` and `stop(sweep, trials)`; imports nothing of ours.

Usable without the rest of the package: `from besom.search import Trial, suggest, stop`. Our own methods and stopping
rules register here like anybody's.
"""

from besom.search.bayes.method import Bayes
from besom.search.engine import (
    Method,
    Problem,
    Rule,
    check,
    methods,
    register_method,
    register_rule,
    rules,
    size,
    stop,
    suggest,
)
from besom.search.error import SpaceError
from besom.search.grid import Grid
from besom.search.halting.hyperband import Hyperband
from besom.search.quasi import Quasi
from besom.search.random import Random
from besom.search.reader import parse
from besom.search.space import Space
from besom.search.trial import STATES, Stop, Suggestion, Trial

register_method("grid", Grid())
register_method("random", Random())
register_method("quasi", Quasi())
register_method("bayes", Bayes())
register_rule("hyperband", Hyperband())

__all__ = [
    "STATES",
    "Method",
    "Problem",
    "Rule",
    "Space",
    "SpaceError",
    "Stop",
    "Suggestion",
    "Trial",
    "check",
    "methods",
    "parse",
    "register_method",
    "register_rule",
    "rules",
    "size",
    "stop",
    "suggest",
]
