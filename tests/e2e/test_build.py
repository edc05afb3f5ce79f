"""How the page comes into the wheel: Node from wherever it is, built only when its sources changed, and not too heavy."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "besom" / "server" / "static"


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "web" / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "fits"),
    [("v20.20.2", True), ("v20.19.0\n", True), ("v20.18.0", False), ("v18.20.1", False), ("v22.11.0", False),
     ("v22.12.0", True), ("v24.1.0", True), ("v21.7.0", False), ("", False), ("node", False)],
)  # fmt: skip
def test_which_node_builds_the_page(hook: ModuleType, version: str, fits: bool) -> None:
    assert hook.suitable(version) is fits


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "src" / "main.ts").write_text("one")
    (web / "package-lock.json").write_text("{}")
    return web


def test_the_page_is_built_again_only_when_its_sources_changed(
    hook: ModuleType, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "static"
    said: list[list[str]] = []

    def call(command: list[str], folder: Path, environment: dict[str, str]) -> None:
        said.append(command)
        (sources / "node_modules").mkdir(exist_ok=True)
        static.mkdir(exist_ok=True)
        (static / "index.html").write_text("page")

    monkeypatch.setattr(hook, "call", call)
    monkeypatch.setattr(hook, "tools", lambda: ("node", ["npm"], {}))
    assert hook.build(sources, static) is True
    assert [command[1] for command in said] == ["ci", "node_modules/vite/bin/vite.js"]
    assert hook.build(sources, static) is False
    (sources / "src" / "main.test.ts").write_text("a test is no source")
    (sources / "node_modules" / "x.js").write_text("nor is a package")
    assert hook.build(sources, static) is False
    (sources / "src" / "main.ts").write_text("two")
    assert hook.build(sources, static) is True
    assert len(said) == 3  # the packages were there already


def test_a_build_that_fails_shows_its_last_words_and_the_way_out(hook: ModuleType, tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('ENOTFOUND registry'); sys.exit(7)"
    with pytest.raises(RuntimeError, match=r"(?s)ended with 7.*ENOTFOUND registry.*npm registry.*try again"):
        hook.call([sys.executable, "-c", script, "ci"], tmp_path, {})


def test_the_first_visit_is_light() -> None:
    """All JavaScript of the page, every view together: at most 150 KB over the wire."""
    scripts = list(STATIC.rglob("*.js"))
    assert scripts, "the page is not built: python web/hatch_build.py build"
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) <= 150_000


def test_the_page_needs_no_inline_script() -> None:
    page = (STATIC / "index.html").read_text()
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module"')
    assert "style=" not in page
    assert "http" not in page
