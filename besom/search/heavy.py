"""The parts of scipy that models need, loaded when first asked for: importing search must stay cheap."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def lapack() -> Any:
    """scipy.linalg.lapack"""
    from scipy.linalg import lapack as module

    return module


@cache
def special() -> Any:
    """scipy.special"""
    from scipy import special as module

    return module


@cache
def minimizer() -> Any:
    """scipy.optimize.minimize"""
    from scipy.optimize import minimize

    return minimize
