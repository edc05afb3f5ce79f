"""PyTorch Lightning: a logger for `Trainer(logger=...)`, of the package lightning or pytorch_lightning.

>>> Trainer(logger=BesomLogger(project="digits"))   # doctest: +SKIP
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import besom

if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
    from pytorch_lightning.utilities import rank_zero_only
else:
    from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
    from lightning.pytorch.utilities import rank_zero_only


class BesomLogger(Logger):  # type: ignore[misc,unused-ignore]  # the framework may be absent when types are checked
    """Logs what `self.log(...)` logs, with Lightning's global step as the step, and `save_hyperparameters()` as config.

    The run is the active one, else one that begins at first use with `init` (the arguments of `besom.init`: project, name, group,
    tags ...). Only rank 0 logs. The run stays open after `fit`, so that `test` and the script can add to it; it ends with the
    script or by `besom.finish()`. `log_model`: keep the best checkpoint as an artifact when a loop ends. `prefix` goes before
    every metric. `logger.experiment` is the run, for everything else.
    """

    def __init__(self, *, log_model: bool = False, prefix: str = "", **init: Any) -> None:
        super().__init__()
        self._init, self._prefix, self._log_model = init, prefix, log_model
        self._run: besom.Run | None = None
        self._checkpoint: Any = None
        self._kept = ""

    @property
    @rank_zero_experiment  # type: ignore[untyped-decorator,unused-ignore]
    def experiment(self) -> besom.Run:
        """The run; on other ranks something that does nothing."""
        if self._run is None:
            self._run = besom.run or besom.init(**self._init)
        return self._run

    @property
    def name(self) -> str | None:
        """The project: checkpoints go to <root>/<project>/<run>."""
        return self._run.project if self._run else self._init.get("project")

    @property
    def version(self) -> str | None:
        """The run's id."""
        return self._run.id if self._run else self._init.get("id")

    @rank_zero_only  # type: ignore[untyped-decorator,unused-ignore]
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = {self._prefix + name: value for name, value in metrics.items()}
        self.experiment.log(row if step is None else {**row, "trainer/global_step": step}, step=step)

    @rank_zero_only  # type: ignore[untyped-decorator,unused-ignore]
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *_: Any, **more: Any) -> None:
        self.experiment.config.update(params)
        self.experiment.config.update(more)

    @rank_zero_only  # type: ignore[untyped-decorator,unused-ignore]
    def log_image(self, key: str, images: Sequence[Any], step: int | None = None, **_: Any) -> None:
        """Log pictures (arrays, PIL, files) as one panel."""
        self.experiment.log({key: [besom.Image(image) for image in images]}, step=step)

    @rank_zero_only  # type: ignore[untyped-decorator,unused-ignore]
    def log_table(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: Any = None
    ) -> None:
        """Log a table."""
        self.experiment.log({key: besom.Table(columns, data, dataframe=dataframe)}, step=step)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self._checkpoint = checkpoint_callback

    @rank_zero_only  # type: ignore[untyped-decorator,unused-ignore]
    def finalize(self, status: str) -> None:
        best = str(getattr(self._checkpoint, "best_model_path", "") or "")
        if self._log_model and best and best != self._kept:
            self._kept = best
            run = self.experiment
            run.log_artifact(best, name=f"model-{run.id}", type="model", aliases=["latest", "best"])
