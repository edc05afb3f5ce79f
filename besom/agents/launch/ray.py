"""N agents on a Ray cluster, each in a detached actor that holds its share of the cluster. A handle is the actor's name.

The cluster's nodes see this folder and this Python under the same paths. The cluster is the one of ``RAY_ADDRESS``, else the one that
runs on this machine. Detached: agents live on when the process that started them ends. When a node is lost Ray starts its
agents again elsewhere, and their trials go back to the sweep when the lease ends. Output goes to Ray's worker logs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from besom.agents.guard import Guard
from besom.agents.launch import check
from besom.core.errors import UsageError

SPACE = "besom"
"""Namespace of the actors, and of the exit codes in the cluster's key-value store."""
RESTARTS = 3
LOOK = 0.2
"""Seconds between two questions while agents are being stopped."""


class Ray:
    """launch.Launcher for Ray. `options` are an actor's (``num_gpus=1``, ``num_cpus=4``); `name` begins the actors' names."""

    def __init__(self, options: Sequence[str] = (), name: str = "besom") -> None:
        self._options: dict[str, Any] = {"num_cpus": 1, **dict(_option(word) for word in options)}
        self._name = name

    def launch(self, argv: Sequence[str], *, count: int, env: Mapping[str, str], cwd: str) -> list[str]:
        check(argv, env)
        ray = _cluster()
        handles = [f"{self._name}-{uuid.uuid4().hex[:8]}" for _ in range(count)]
        try:
            kind = ray.remote(max_restarts=RESTARTS, lifetime="detached", namespace=SPACE, **self._options)(_Agent)
            for handle in handles:
                kind.options(name=handle).remote(handle, list(argv), dict(env), cwd)
        except (ValueError, TypeError) as error:  # what Ray raises for options that are wrong
            self.stop(handles, grace=0)
            raise UsageError(f"the agents cannot be started by Ray: {error}") from None
        return handles

    def states(self, handles: Sequence[str]) -> list[int | None]:
        _cluster()
        return [_state(handle) for handle in handles]

    def stop(self, handles: Sequence[str], *, grace: float) -> None:
        ray = _cluster()
        until = time.monotonic() + grace
        for handle in handles:
            if actor := _actor(handle):
                actor.signal.remote(int(signal.SIGTERM))
        while None in self.states(handles) and time.monotonic() < until:
            time.sleep(min(LOOK, grace))
        for handle in handles:
            if _state(handle) is None and (actor := _actor(handle)):
                ray.kill(actor)
        while None in self.states(handles):
            time.sleep(LOOK)


class _Agent:
    """The actor: one agent as a process beside it, which dies with it. It leaves the cluster when the agent has ended."""

    def __init__(self, handle: str, argv: list[str], env: dict[str, str], cwd: str) -> None:
        given = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}  # Ray's choice
        self._guard = Guard()
        self._popen = subprocess.Popen(argv, env=env | given, cwd=cwd, stdin=subprocess.DEVNULL, process_group=0)
        self._guard.watch(self._popen.pid)
        threading.Thread(target=self._wait, args=(handle,), daemon=True).start()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def _wait(self, handle: str) -> None:
        code = self._popen.wait()
        self._guard.close()
        _codes()._internal_kv_put(handle, str(code), namespace=SPACE)
        if actor := _actor(handle):
            actor.__ray_terminate__.remote()


def _cluster() -> Any:
    """The module `ray`, connected to the cluster. Raises UsageError when there is none."""
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed here: pip install ray") from None
    if not ray.is_initialized():
        try:
            _knock()
            ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
        except OSError:  # ConnectionError is one
            raise UsageError(
                "there is no Ray cluster to reach: name one in RAY_ADDRESS, or start one here with: ray start --head"
            ) from None
    return ray


def _knock() -> None:
    """Raises OSError when nobody listens at the address that Ray would take; Ray itself would try for many minutes."""
    current = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
    address = os.environ.get("RAY_ADDRESS") or (current.read_text() if current.exists() else "")
    host, colon, port = address.strip().rpartition(":")
    if colon and port.isdecimal() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=5).close()


def _codes() -> Any:
    """The cluster's key-value store."""
    from ray.experimental import internal_kv

    return internal_kv


def _actor(handle: str) -> Any:
    """The actor that a handle means, None when it has ended."""
    import ray

    with contextlib.suppress(ValueError):
        return ray.get_actor(handle, namespace=SPACE)


def _state(handle: str) -> int | None:
    if _actor(handle) is not None:  # whatever code there is yet is that of one before a restart
        return None
    code = _codes()._internal_kv_get(handle, namespace=SPACE)
    return -1 if code is None else int(code)


def _option(word: str) -> tuple[str, Any]:
    """``num_gpus=0.5`` as Ray's argument. Raises UsageError when it is none."""
    key, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"an option of Ray is written num_gpus=1, and {word!r} is not")
    with contextlib.suppress(ValueError):
        return key, json.loads(value)
    return key, value
