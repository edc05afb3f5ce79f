"""N agents as the tasks of one Slurm job array, by Slurm's own commands. A handle is a task as Slurm writes it (``123_0``).

The cluster's nodes see this folder and this Python under the same paths, as is the custom with Slurm. An agent is told to leave by
SIGTERM: when its job is cancelled or preempted, and a minute before its time limit. It gives its trial back; a job that is
requeued (preemption, a lost node) begins again as a new agent. Output goes where Slurm puts it, ``slurm-123_0.out``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence

from besom.agents.launch import check
from besom.core.errors import Unavailable, UsageError

ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
LOOK = 0.5
"""Seconds between two questions while agents are being stopped."""


class Slurm:
    """launch.Launcher for Slurm. `options` go to sbatch (``--gres=gpu:1``) and win over ours; `name` is the jobs' name."""

    def __init__(self, options: Sequence[str] = (), name: str = "besom") -> None:
        self._options, self._name = tuple(options), name

    def launch(self, argv: Sequence[str], *, count: int, env: Mapping[str, str], cwd: str) -> list[str]:
        check(argv, env)
        ours = ("--parsable", "--requeue", "--signal=B:TERM@60", f"--job-name={self._name}", f"--array=0-{count - 1}")
        script = f"#!/bin/sh\nexec {shlex.join(argv)}\n"
        # What an enclosing job was given (its cores, its memory) is not meant for these jobs.
        clean = {name: value for name, value in env.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}
        done = _run("sbatch", *ours, *self._options, script=script, env=clean, cwd=cwd)
        if done.returncode:
            raise UsageError(f"the agents cannot be started by Slurm: {done.stderr.strip() or done.stdout.strip()}")
        job = done.stdout.split()[-1].partition(";")[0]
        return [f"{job}_{task}" for task in range(count)]

    def states(self, handles: Sequence[str]) -> list[int | None]:
        known = _queue(handles)
        forgotten = [handle for handle in handles if handle not in known]  # Slurm drops ended jobs after some minutes
        known |= _accounts(forgotten)
        return [known.get(handle, -1) for handle in handles]

    def stop(self, handles: Sequence[str], *, grace: float) -> None:
        until = time.monotonic() + grace
        if left := self._left(handles):
            _run("scancel", "--state=RUNNING", "--batch", "--signal=TERM", *left)
            _run("scancel", "--state=PENDING", *left)
        while (left := self._left(handles)) and time.monotonic() < until:
            time.sleep(min(LOOK, grace))
        if left:
            _run("scancel", *left)  # SIGTERM once more, and SIGKILL after the KillWait of the cluster
        while self._left(handles):
            time.sleep(LOOK)

    def _left(self, handles: Sequence[str]) -> list[str]:
        return [handle for handle, code in zip(handles, self.states(handles), strict=True) if code is None]


def _queue(handles: Sequence[str]) -> dict[str, int | None]:
    """What the controller knows of these tasks. Raises Unavailable when it cannot be asked."""
    if not handles:
        return {}
    columns = "--Format=JobArrayID:64,State:32,exit_code:32"
    done = _run("squeue", "--noheader", "--array", "--states=all", columns, f"--jobs={','.join(handles)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        raise Unavailable(f"Slurm does not answer: {done.stderr.strip()}")
    return dict(_task(*line.split()) for line in done.stdout.splitlines())


def _accounts(handles: Sequence[str]) -> dict[str, int | None]:
    """What the accounting database knows of them, where there is one."""
    if not handles:
        return {}
    done = _run("sacct", "--noheader", "-X", "-P", "--format=JobID,State,ExitCode", f"--jobs={','.join(handles)}")
    return dict(_task(*line.split("|")) for line in done.stdout.splitlines() if not done.returncode)


def _task(handle: str, state: str, code: str) -> tuple[str, int | None]:
    """`code` is a wait status, or EXIT:SIGNAL."""
    if state.split()[0] not in ENDED:
        return handle, None
    exit, colon, signal = code.partition(":")
    number = (int(exit) or -int(signal)) if colon else os.waitstatus_to_exitcode(int(code))
    return handle, number or (0 if state.startswith(("COMPLETED", "CANCELLED")) else -1)


def _run(*argv: str, script: str = "", **more: object) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, input=script, capture_output=True, text=True, **more)  # type: ignore[call-overload,no-any-return]
    except FileNotFoundError:
        raise UsageError(f"there is no {argv[0]} on this machine: start agents where Slurm's commands are") from None
