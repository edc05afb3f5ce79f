"""Search: pure mathematics over values. `suggest(sweep, trials, n, seed)` and `stop(sweep, trials)`; imports nothing of ours.

Usable without the rest of the package: `from besom.search import Trial, suggest, stop`. Our own methods and stopping
rules register here like anybody's.
"""

from besom.search.auto import Auto
from besom.search.bayes.method import Bayes
from besom.search.bohb import Bohb
from besom.search.cmaes import Cmaes
from besom.search.doors import Custom, Optuna, imports
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
from besom.search.evolution import Evolution
from besom.search.goal import Goal, Limit, aggregate, front, observe
from besom.search.grid import Grid
from besom.search.halting.alone import Patience, Threshold
from besom.search.halting.hyperband import Hyperband
from besom.search.halting.predictive import Predictive
from besom.search.halting.race import Asha, Median, Percentile
from besom.search.importance import Importance, importance
from besom.search.judge import Judged, judge
from besom.search.pbt import Pbt
from besom.search.quasi import Quasi
from besom.search.random import Random
from besom.search.reader import parse
from besom.search.space import Space
from besom.search.terminate import done
from besom.search.tpe import Tpe
from besom.search.trial import STATES, Stop, Suggestion, Trial

register_method("grid", Grid())
register_method("random", Random())
register_method("quasi", Quasi())
register_method("bayes", Bayes())
register_method("tpe", Tpe())
register_method("cmaes", Cmaes())
register_method("evolution", Evolution())
register_method("pbt", Pbt())
register_method("bohb", Bohb())
register_method("auto", Auto())
register_method("optuna", Optuna())
register_method("custom", Custom())
register_rule("hyperband", Hyperband())
register_rule("asha", Asha())
register_rule("median", Median())
register_rule("percentile", Percentile())
register_rule("patience", Patience())
register_rule("threshold", Threshold())
register_rule("predictive", Predictive())

__all__ = [
    "STATES",
    "Goal",
    "Importance",
    "Judged",
    "Limit",
    "Method",
    "Problem",
    "Rule",
    "Space",
    "SpaceError",
    "Stop",
    "Suggestion",
    "Trial",
    "aggregate",
    "check",
    "done",
    "front",
    "importance",
    "imports",
    "judge",
    "methods",
    "observe",
    "parse",
    "register_method",
    "register_rule",
    "rules",
    "size",
    "stop",
    "suggest",
]
