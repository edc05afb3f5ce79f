"""The BBOB functions of coco-experiment behind a pipe: {"f": [suite, function, dimension], "x": [...]} -> value - optimum."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

OPTIMUM = Path("._bbob_problem_best_parameter.txt")  # where the library writes what it is asked for


@cache
def problem(suite: str, function: int, dimension: int) -> tuple[Any, float, Any]:
    """The first instance of a function, its least value, and its suite, which must live as long."""
    import cocoex

    made = cocoex.Suite(suite, "", f"dimensions:{dimension} instance_indices:1")
    found = made.get_problem_by_function_dimension_instance(function, dimension, 1)
    found._best_parameter("print")
    best = [float(word) for word in OPTIMUM.read_text().split()]
    return found, float(found(best)), made


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for line in sys.stdin:
            message = json.loads(line)
            function, best, _ = problem(*message["f"])
            out.write(json.dumps({"value": float(function(message["x"])) - best}) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
