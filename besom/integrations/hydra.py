"""Hydra: a callback that makes every job of an app a run, with the resolved config.

Switched on in the app's config, or for one call by ``+hydra.callbacks.besom._target_=...``::

    hydra:
      callbacks:
        besom:
          _target_: besom.integrations.hydra.BesomCallback
          project: dkt
"""

from __future__ import annotations

from typing import Any

from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

import besom


class BesomCallback(Callback):  # type: ignore[misc,unused-ignore]
    """A run begins before the app's function with `init` (the arguments of `besom.init`) and ends after it.

    Its config is the app's, interpolations resolved, without Hydra's own part; the function logs to `besom.run`. In a multirun each job
    is a run, grouped by the sweep's folder and named by its overrides. A number that the function returns is the summary's
    ``objective``. A function that raises makes a failed run. Under a besom agent the agent's trial is the run.
    Runs are in your store wherever Hydra changes the working directory to.
    """

    def __init__(self, **init: Any) -> None:
        self._init = init

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        own = [key for key in config if key != "hydra" and not OmegaConf.is_missing(config, key)]
        arguments: dict[str, Any] = {"config": {str(key): _resolved(config[key]) for key in own}, "reinit": True}
        job = config.hydra.job
        if job.get("num") is not None and not OmegaConf.is_missing(job, "num"):  # of a multirun
            arguments |= {"group": str(config.hydra.sweep.dir), "name": job.override_dirname or None}
        besom.init(**{**arguments, **self._init})

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        run = besom.run
        if run is None:
            return
        failed = job_return.status == JobStatus.FAILED
        value = None if failed else job_return.return_value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            run.summary["objective"] = value
        run.finish(exit_code=int(failed))


def _resolved(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
