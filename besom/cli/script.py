"""`besom run train.py`: a script run as it is, where what it logs is kept by besom. agents/program.py knows what it needs.

A script that imports W&B's client gets the address of the server, of one that lives as long as the script, or, where that
client is not installed, besom under its name. Every other script runs as with python.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

SCRIPT = "besom.script"
"""Where a context keeps the script and its arguments."""


class RunCommand(click.Command):
    """A command whose argument may be a Python file; what follows it is the script's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = next((i for i, word in enumerate(args) if word.endswith(".py") and Path(word).is_file()), None)
        if at is not None:
            ctx.meta[SCRIPT] = args[at:]
            args = args[: at + 1]
        return super().parse_args(ctx, args)


def run_script(argv: list[str]) -> int:
    """Run it with this Python; its exit code, as a shell would say it."""
    from besom.agents import program
    from besom.settings import load

    settings = load()
    environment = {**os.environ, "BESOM_DIR": str(settings.dir)}
    with program.foreign(argv[0], environment, settings.dir / "alias", settings.server) as needed:
        child = subprocess.Popen([sys.executable, *argv], env={**environment, **needed})
        while True:
            try:
                code = child.wait()
            except KeyboardInterrupt:  # the script has it too, and ends as it likes
                continue
            return code if code >= 0 else 128 - code
