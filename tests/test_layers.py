"""The house holds: imports only go down, heavy things load late, and names stay in their rooms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "besom"

EVERYTHING = {
    "core", "search", "settings", "journal", "store", "exchange", "client", "hub", "sdk", "agents", "server",
    "integrations", "testing", "local", "cli", "face",
}  # fmt: skip
MAY_IMPORT = {
    "core": set(),
    "search": set(),
    "settings": {"core"},
    "journal": {"core"},
    "store": {"core"},
    "exchange": {"core"},
    "client": {"core", "settings"},
    "hub": {"core", "search", "store"},
    "sdk": {"core", "journal", "client", "settings"},
    "agents": {"core", "client", "settings", "sdk"},
    "server": {"core", "hub", "journal", "settings"},
    "integrations": {"face"},
    "testing": {"core", "search", "store", "agents"},
    "face": {"core", "sdk", "agents", "settings"},
    "local": EVERYTHING - {"cli", "face"},
    "cli": EVERYTHING,
}
MAY_IMPORT_LATE = {
    # The only modules whose functions may import ours: the lazy public face and the command line.
    "besom/__init__.py",
    "besom/__main__.py",
}
W_WORD = re.compile("wandb", re.IGNORECASE)
OPENS_DOOR = re.compile(r"from besom\.server\.wandb\b")
MAY_SAY_WANDB = (
    "besom/server/wandb/",
    "besom/exchange/",
    "besom/hub/sweep/config.py",
    "besom/settings.py",
    "besom/agents/program.py",
)


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    if parts in (("__init__.py",), ("__main__.py",)):
        return "face" if parts == ("__init__.py",) else "cli"
    return parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, bool, int]]:
    """(module of besom, is it inside a function, line) of every import of ours in `tree`."""

    def walk(node: ast.AST, late: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, late, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                module = child.module or ""
                if child.level:
                    raise AssertionError(f"line {child.lineno}: relative imports hide the room; write besom.{module}")
                if module == "besom":
                    yield from ((f"besom.{alias.name}", late, child.lineno) for alias in child.names)
                else:
                    yield module, late, child.lineno
            yield from walk(child, late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    yield from ((name, late, line) for name, late, line in walk(tree, False) if name.split(".")[0] == "besom")


def target(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1:
        return "face"
    folder = PACKAGE / parts[1]
    return parts[1] if folder.is_dir() or folder.with_suffix(".py").exists() else "face"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    here = room(path)
    allowed = MAY_IMPORT[here] | {here}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}; {here} may import {', '.join(sorted(MAY_IMPORT[here])) or 'nothing of ours'}"
        for module, _, line in imports(ast.parse(path.read_text()))
        if target(module) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_function_imports_a_room_late(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name in MAY_IMPORT_LATE or room(path) == "cli":
        return
    late = [f"{name}:{line} {module}" for module, inside, line in imports(ast.parse(path.read_text())) if inside]
    assert not late, "imports of ours stand at the top of a file:\n" + "\n".join(late)


def test_no_import_circle() -> None:
    graph: dict[str, set[str]] = {}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in sources()
    }
    for name, path in modules.items():
        if path == PACKAGE / "__init__.py":
            continue
        tree = ast.parse(path.read_text())
        found = {module for module, late, _ in imports(tree) if not late}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("besom"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        graph[name] = {module for module in found if module in modules and module not in (name, "besom")}
    done: set[str] = set()
    for start in graph:
        stack = [(start, [start])]
        while stack:
            node, trail = stack.pop()
            for after in graph.get(node, set()) - done:
                assert after not in trail, "import circle: " + " -> ".join([*trail, after])
                stack.append((after, [*trail, after]))
        done.add(start)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_rivals_name_stays_in_its_rooms(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name.startswith(MAY_SAY_WANDB):
        return
    said = [
        f"{name}:{n}"
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if W_WORD.search(OPENS_DOOR.sub("", line))
    ]
    assert not said, "the word belongs to other rooms: " + ", ".join(said)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_code_runs_what_a_user_sends(path: Path) -> None:
    forbidden = {"eval", "exec", "compile", "__import__"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in forbidden, f"{path}:{node.lineno} calls {node.func.id}"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not {"pickle", "marshal", "shelve", "dill"} & set(names), f"{path}:{node.lineno} imports {names}"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert len(docstring) >= 20 and "TODO" not in docstring, f"{path.relative_to(ROOT)} has no module docstring"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_room_outgrows_its_walls(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= 500, f"{path.relative_to(ROOT)} has {lines} lines: split it"


def test_import_besom_is_light() -> None:
    """Heavy libraries load when they are used: none of them may come with `import besom`."""
    import subprocess
    import sys

    heavy = ("numpy", "scipy", "sqlalchemy", "httpx", "starlette", "rich", "click", "yaml", "alembic", "psutil")
    script = f"import sys, besom; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
