"""Hugging Face Transformers: a callback for `Trainer`, also by ``TrainingArguments(report_to="besom")`` once this is imported.

>>> Trainer(model, args, callbacks=[BesomCallback(project="bert")])   # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback
from transformers.integrations import integration_utils

import besom

_OF_THE_WHOLE = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos"}
"""What the Trainer reports once, at the end."""


class BesomCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]  # the framework may be absent when types are checked
    """Logs what the Trainer logs: ``train/loss``, ``eval/loss``, ``eval/accuracy`` ... with its global step as the step.

    The run is the active one, else one that begins with the training with `init` (the arguments of `besom.init`; the name is else the
    Trainer's `run_name`). The training's arguments become config, unless the config has them already, and the model's config stands
    under ``model``. Only the first process of the world logs. `log_model`: keep the best checkpoint as an artifact; the
    Trainer knows one with ``load_best_model_at_end``.
    """

    def __init__(self, *, log_model: bool = False, **init: Any) -> None:
        self._init, self._log_model = init, log_model

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        run = self._run(args, state)
        if run is None:
            return
        known: dict[str, Any] = args.to_sanitized_dict()
        if getattr(model, "config", None) is not None:
            known["model"] = model.config.to_dict()
        if hasattr(model, "num_parameters"):
            known["num_parameters"] = model.num_parameters()
        run.config.setdefaults({key: value for key, value in known.items() if value is not None})

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        run = self._run(args, state)
        if run is None or not logs:
            return
        run.summary.update({key: value for key, value in logs.items() if key in _OF_THE_WHOLE})
        row = {_name(key): value for key, value in logs.items() if key not in _OF_THE_WHOLE}
        if row.keys() - {"epoch"}:
            run.log({**row, "train/global_step": state.global_step}, step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        run = self._run(args, state)
        if run is not None and self._log_model and state.best_model_checkpoint:
            path = state.best_model_checkpoint
            run.log_artifact(path, name=f"model-{run.id}", type="model", aliases=["latest", "best"])

    def _run(self, args: Any, state: Any) -> besom.Run | None:
        """The run that this process logs to, None when another one does."""
        if not state.is_world_process_zero:
            return None
        return besom.run or besom.init(**{"name": getattr(args, "run_name", None), **self._init})


def _name(key: str) -> str:
    """``eval_loss`` is eval/loss; what has no such beginning is of the training."""
    for part in ("eval", "test", "train"):
        if key.startswith(f"{part}_"):
            return f"{part}/{key[len(part) + 1 :]}"
    return key if key == "epoch" else f"train/{key}"


integration_utils.INTEGRATION_TO_CALLBACK["besom"] = BesomCallback
