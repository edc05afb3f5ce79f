"""A child process that is spoken to in JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class Child:
    """`script` of this folder under `python`, on one thread. What it prints goes to `log`."""

    def __init__(self, python: Path | str, script: str, log: Path) -> None:
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        self.log = log.open("a")
        self.process = subprocess.Popen(
            [str(python), "-P", str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | dict.fromkeys(names, "1"),
        )

    def ask(self, message: dict[str, Any], limit: float | None = None) -> dict[str, Any]:
        """The answer to one line; {"error": ...} when the child dies or does not answer in `limit` seconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        timer = threading.Timer(limit, self.process.kill) if limit else None
        if timer:
            timer.start()
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            if timer:
                timer.cancel()
        return json.loads(line) if line else {"error": "the process ended or took too long", "dead": True}

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        self.process.communicate()
        self.log.close()
