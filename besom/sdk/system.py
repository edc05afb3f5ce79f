"""System metrics of the machine and the process, sampled by a daemon thread. psutil is loaded when the first sample is due.

GPUs are asked through ``nvidia-smi`` when it is there. A sample that fails is left out; the thread ends when asked to,
and never holds up the end of a script.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FIRST = 5.0
"""Seconds to the first sample, so that short runs show something too."""
_GPU = {"gpu": "utilization.gpu", "memory": "utilization.memory", "temp": "temperature.gpu", "power": "power.draw"}
_GPU_MEMORY = {"memory_used": "memory.used"}
_ALL = {**_GPU, **_GPU_MEMORY}


class Sampler:
    """Calls `keep(time, {name: number})` every `interval` seconds until `close`."""

    def __init__(self, keep: Callable[[float, dict[str, float]], object], interval: float) -> None:
        self._keep = keep
        self._interval = interval
        self._end = threading.Event()
        with suppress(RuntimeError):  # no more threads may be started: no samples, and the run goes on
            threading.Thread(target=self._loop, name="besom-system", daemon=True).start()

    def close(self) -> None:
        """No more samples. Does not wait. Idempotent."""
        self._end.set()

    def _loop(self) -> None:
        pause = min(FIRST, self._interval)
        source: Source | None = None
        while not self._end.wait(pause):
            try:
                source = source or Source()
                figures = source.sample()
                if not self._end.is_set():  # a tool that took its time: the run has ended
                    self._keep(time.time(), figures)
            except Exception:  # a container without /proc, a driver that hangs: no sample, and the run goes on
                return
            pause = self._interval


class Source:
    """Reads the figures. Percentages are 0 to 100 (a process may exceed 100 on several cores), sizes MB, rates MB/s."""

    def __init__(self) -> None:
        import shutil

        import psutil

        self._psutil: Any = psutil
        self._process: Any = psutil.Process()
        self._process.cpu_percent()
        psutil.cpu_percent()
        self._smi = shutil.which("nvidia-smi")
        self._before = self._counters()

    def sample(self) -> dict[str, float]:
        """One reading of everything that can be read."""
        memory, own = self._psutil.virtual_memory(), self._process.memory_info()
        data = {
            "cpu": self._psutil.cpu_percent(),
            "memory": memory.percent,
            "memory_available": memory.available / 1e6,
            "process.cpu": self._process.cpu_percent(),
            "process.memory": own.rss / 1e6,
            "process.threads": float(self._process.num_threads()),
            "disk": self._psutil.disk_usage("/").percent,
        }
        data.update(self._rates())
        if self._smi:
            data.update(gpus(self._smi))
        return data

    def _counters(self) -> tuple[float, dict[str, float]]:
        totals: dict[str, float] = {}
        network, disk = self._psutil.net_io_counters(), self._psutil.disk_io_counters()
        if network is not None:
            totals |= {"network.sent": network.bytes_sent, "network.received": network.bytes_recv}
        if disk is not None:
            totals |= {"disk.read": disk.read_bytes, "disk.written": disk.write_bytes}
        return time.monotonic(), totals

    def _rates(self) -> dict[str, float]:
        (then, before), (now, totals) = self._before, self._counters()
        self._before = (now, totals)
        seconds = max(now - then, 1e-3)
        return {name: (value - before.get(name, value)) / 1e6 / seconds for name, value in totals.items()}


def gpus(smi: str) -> dict[str, float]:
    """Figures of all NVIDIA GPUs as ``gpu.0.memory_used``; nothing when the tool fails."""
    import subprocess

    command = [smi, f"--query-gpu={','.join(_ALL.values())}", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_gpus(text)


def parse_gpus(text: str) -> dict[str, float]:
    """The CSV lines of the tool, one for each GPU, as numbers; what is not supported ("[N/A]") is left out.

    >>> parse_gpus("17, 3, 41, 55.2, 1024")["gpu.0.temp"]
    41.0
    """
    data: dict[str, float] = {}
    for number, line in enumerate(text.strip().splitlines()):
        for name, word in zip(_ALL, line.split(","), strict=False):
            try:
                data[f"gpu.{number}.{name}"] = float(word)
            except ValueError:
                continue
    return data
