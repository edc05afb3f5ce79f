"""The command line: `besom` and `python -m besom`. Each command is a few lines over the client; no rules live here.

A composition root, so it may import every room; it does so inside functions, and `besom --help` loads click alone.
"""

from besom.cli.commands import main

__all__ = ["main"]
