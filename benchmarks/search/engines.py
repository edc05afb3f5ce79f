"""The engines: their names, what has to be installed for each, and how dear they are."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common import ROOT, environment

from search.pipe import Child

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Engine:
    """`name`: how `rivals.py` knows it, and its kind behind a colon. `folder`, `packages`: its environment, the
    package itself first; none for this interpreter. `slow`: 0 affords all seeds, 1 few, 2 and 3 few and a small budget,
    3 after all others."""

    name: str
    label: str
    folder: str = ""
    packages: tuple[str, ...] = ()
    slow: int = 0

    @property
    def version(self) -> str:
        """What its cells are kept under: the version asked for, or a digest of our own sources."""
        if self.name.startswith("besom"):
            return _digest or sources()
        return self.packages[0].partition("==")[2] if self.packages else "1"

    def ready(self) -> bool:
        """Whether its environment stands, or could be made now."""
        return not self.folder or environment(self.folder, *self.packages) is not None

    def child(self) -> Child:
        """Its process. Raises LookupError when its environment cannot be made."""
        python = environment(self.folder, *self.packages) if self.folder else Path(sys.executable)
        if python is None:
            raise LookupError(f"{self.name}: its environment cannot be made")
        script = "coco.py" if self.folder == "coco" else "rivals.py"
        return Child(python, script, cache_folder() / f"{self.name.replace(':', '-')}.log")


COCO = Engine("coco", "", "coco", ("coco-experiment==2.8.2",))
_OPTUNA = ("optuna==5.0.0", TORCH, "cmaes==0.13.1", "scipy")
_OLD = ("numpy==1.24.4", "scipy==1.11.4", "pandas==2.1.4", "scikit-learn==1.4.2", "GPy==1.13.2")  # what HEBO runs with
RIVALS = (
    Engine("random", "random"),
    Engine("optuna:tpe", "Optuna TPE (its default)", "optuna", _OPTUNA),
    Engine("optuna:univariate", "Optuna TPE, univariate", "optuna", _OPTUNA),
    Engine("optuna:cmaes", "Optuna CMA-ES", "optuna", _OPTUNA),
    Engine("optuna:gp", "Optuna GP", "optuna", _OPTUNA, 2),
    Engine("optuna:auto", "Optuna AutoSampler (its rule)", "optuna", _OPTUNA, 2),
    Engine("hyperopt", "hyperopt", "hyperopt", ("hyperopt==0.3.0", "setuptools<80")),
    Engine("nevergrad", "nevergrad NGOpt", "nevergrad", ("nevergrad==1.0.12",)),
    Engine("sweeps", "W&B sweeps", "sweeps", ("sweeps==0.3.0", "numpy<2"), 1),
    Engine("smac", "SMAC3", "smac", ("smac==2.4.1",), 2),
    Engine("skopt", "scikit-optimize", "skopt", ("scikit-optimize==0.10.2",), 2),
    Engine("ax", "Ax", "ax", ("ax-platform==1.3.1", TORCH), 2),
    Engine("hebo", "HEBO", "hebo", ("HEBO==0.3.6", TORCH, *_OLD), 3),
)
OURS = tuple(Engine(f"besom:{m}", f"besom {m}") for m in ("bayes", "auto", "tpe", "cmaes", "evolution"))


def engine(name: str) -> Engine:
    """By name; `besom:NAME` for any registered method of ours."""
    for known in (*OURS, *RIVALS):
        if known.name == name:
            return known
    if name.startswith("besom:"):
        return Engine(name, name.replace(":", " "))
    raise LookupError(f"{name!r} is no engine; there are {', '.join(e.name for e in (*OURS, *RIVALS))}")


@cache
def sources() -> str:
    """A digest of besom/search less its stopping rules, taken once: cells of another state of our methods are others."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "besom" / "search").rglob("*.py")):
        if "halting" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


_digest: str | None = None


def score_sources(digest: str) -> None:
    """Take the cells of the state of our methods that `digest` names from now on."""
    global _digest
    _digest = digest


_folder = Path.home() / ".cache" / "besom-bench"


def cache_folder(chosen: Path | None = None) -> Path:
    """Where cells and logs are kept; `chosen` sets it."""
    global _folder
    _folder = chosen or _folder
    _folder.mkdir(parents=True, exist_ok=True)
    return _folder
