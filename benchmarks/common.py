"""What the benchmarks share: results on disk, tables, rivals in environments of their own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
ENVIRONMENTS = HERE / ".venvs"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "time": time.strftime("%Y-%m-%d"),
    }


def write_result(name: str, result: Any) -> Path:
    """Keep `result` as results/NAME.json, with what it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "result": result}, indent=1) + "\n")
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Plain columns, the first to the left and the others to the right."""
    cells = [[_cell(c) for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        left = row[0].ljust(widths[0])
        lines.append("  ".join([left, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def environment(name: str, *packages: str) -> Path | None:
    """The Python of a virtual environment that holds `packages` (the package `name` when none are given), made when it
    is missing; None when that fails."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        return python
    print(f"installing {name}", file=sys.stderr)
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *(packages or [name])]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{name} cannot be installed: {getattr(error, 'stderr', '') or error}", file=sys.stderr)
        return None
    done.touch()
    return python


def version(python: Path | str, package: str) -> str:
    """The version of `package` in an environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or "?"
