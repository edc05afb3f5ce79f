"""Keras 3: a callback that logs a training, one row an epoch.

>>> model.fit(x, y, validation_split=0.2, callbacks=[BesomCallback()])   # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import keras

import besom


class BesomCallback(keras.callbacks.Callback):  # type: ignore[misc,unused-ignore]  # the framework may be absent when types are checked
    """Logs ``loss``, ``val_loss`` and the other metrics of each epoch to the active run, with the epoch as step.

    `log_freq`: "epoch", or a number N to log ``batch/loss`` ... of every N-th batch too; then the step counts batches. The
    optimizer's settings become config under ``optimizer``, unless the config has them already. Raises ValueError when N is below 1, and UsageError at
    the first row without a run.
    """

    def __init__(self, log_freq: str | int = "epoch") -> None:
        super().__init__()
        if log_freq != "epoch" and not (isinstance(log_freq, int) and log_freq >= 1):
            raise ValueError(f"log_freq is 'epoch' or a number of batches from 1 on, not {log_freq!r}")
        self._every = 0 if isinstance(log_freq, str) else log_freq
        self._batches = 0

    def on_train_begin(self, logs: Any = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            settings = {key: value for key, value in optimizer.get_config().items() if value is not None}
            besom.config.setdefaults({"optimizer": settings})

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if self._every and self._batches % self._every == 0:
            besom.log({f"batch/{key}": value for key, value in _row(logs).items()}, step=self._batches)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = _row(logs)
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if rate is not None:
            row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        besom.log({**row, "epoch": epoch}, step=self._batches if self._every else epoch)


def _row(logs: dict[str, Any] | None) -> dict[str, Any]:
    """Metrics as numbers; one with a number for each class, as of ``F1Score(average=None)``, becomes ``name.0``, ``name.1`` ..."""
    found = {key: keras.ops.convert_to_numpy(value) for key, value in (logs or {}).items()}
    return {key: dict(enumerate(each.ravel().tolist())) if each.ndim else each.item() for key, each in found.items()}
