"""The parts of scipy that models need, loaded when first asked for (importing search must stay cheap), and how many
threads they may use. It knows nothing of models."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@cache
def lapack() -> Any:
    """scipy.linalg.lapack"""
    from scipy.linalg import lapack as module

    return module


@cache
def blas() -> Any:
    """scipy.linalg.blas"""
    from scipy.linalg import blas as module

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


_lock = threading.Lock()
_depth = 0
_before: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, OpenBLAS works on one thread: a model's matrices are small, and on a machine that is busy training the
    threads of a shared product wait for each other ten times longer than the product takes. The sums also come in
    one order, whatever the number of cores. Restored by the last that leaves; other BLAS libraries are left alone.
    """
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1:
            _before[:] = [get() for get, _ in _openblas()]
            for _, put in _openblas():
                put(1)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for (_, put), count in zip(_openblas(), _before, strict=True):
                    put(count)


@cache
def _openblas() -> tuple[tuple[Callable[[], int], Callable[[int], object]], ...]:
    """How to read and set the number of threads of the OpenBLAS that came with numpy, and of scipy's."""
    import scipy

    found = []
    for package in (np, scipy):
        home = Path(str(package.__file__)).parent
        folders = (home.parent / f"{home.name}.libs", home / ".dylibs")
        for path in (p for folder in folders if folder.is_dir() for p in sorted(folder.glob("*openblas*"))):
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for name in (
                "scipy_openblas_{}_num_threads64_",
                "scipy_openblas_{}_num_threads",
                "openblas_{}_num_threads",
            ):
                get, put = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
                if get is not None and put is not None:
                    found.append((get, put))
                    break
    return tuple(found)
