"""Where a run came from: program, arguments, host, Python, git commit. Read from files only, so it costs well under 1 ms.

Secrets among the arguments are redacted (sdk/redact.py).
"""

from __future__ import annotations

import getpass
import os
import platform
import sys
from pathlib import Path
from typing import Any

from besom.sdk.redact import redact, redact_text

_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def collect(*, git: bool = True, host: str = "") -> dict[str, Any]:
    """What is known of this process, as plain data; what cannot be found out is left out."""
    meta: dict[str, Any] = {
        "host": host or platform.node(),
        "pid": os.getpid(),
        "user": _user(),
        "program": program(),
        "args": redact(sys.argv[1:]),
        "cwd": _cwd(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    rank = next((os.environ[name] for name in _RANKS if os.environ.get(name)), None)
    meta |= {"rank": rank, "slurm_job": os.environ.get("SLURM_JOB_ID")}
    if git:
        cwd, script = Path(_cwd()), program()
        meta |= (commit((cwd / script).parent) if script else {}) or commit(cwd)
    return {name: value for name, value in meta.items() if value not in (None, "")}


def program() -> str:
    """The script that runs, ``-m module`` for a module, "" in a notebook or a shell."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return f"-m {spec.name.removesuffix('.__main__')}"
    name = getattr(main, "__file__", None) or ""
    return name if name and "ipykernel" not in name else ""


def commit(folder: Path) -> dict[str, str]:
    """``git_commit``, ``git_branch`` and ``git_remote`` of the repository around `folder`, from its files; {} if none."""
    try:
        git = next((path / ".git" for path in (folder, *folder.parents) if (path / ".git").exists()), None)
        if git is None:
            return {}
        if git.is_file():  # a worktree or a submodule: "gitdir: PATH"
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        ref = head.removeprefix("ref:").strip() if head.startswith("ref:") else ""
        found = {
            "git_commit": _resolve(git, common, ref) if ref else head,
            "git_branch": ref.removeprefix("refs/heads/"),
        }
        found["git_remote"] = _remote(common / "config")
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in found.items() if value}


def _resolve(git: Path, common: Path, ref: str) -> str:
    for folder in (git, common):
        if (folder / ref).is_file():
            return (folder / ref).read_text().strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text().splitlines():
            if line.endswith(f" {ref}"):
                return line.partition(" ")[0]
    return ""


def _remote(config: Path) -> str:
    """The URL of ``origin``, else of the first remote."""
    urls: dict[str, str] = {}
    section = ""
    for line in config.read_text().splitlines() if config.is_file() else ():
        if line.startswith("["):
            section = line.strip()
        elif section.startswith('[remote "') and line.strip().startswith("url"):
            urls.setdefault(section[9:-2], redact_text(line.partition("=")[2].strip()))
    return urls.get("origin") or next(iter(urls.values()), "")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in a container
        return ""


def _cwd() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # the folder was removed
        return ""
