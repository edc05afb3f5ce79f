"""A real browser before a real server over a store with a life.

`site`: the address of a server over the store of seed.py, one for the session. `tab`: a fresh page that fails its test
when the page threw, logged an error, broke the Content-Security-Policy or asked anything of another host.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from besom.hub.hub import Hub
from besom.store.migrations.__init__ import open_database

sys.path.insert(0, str(Path(__file__).parent))
from seed import seed  # noqa: E402  (beside this file; the tests are no package)

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tab" in getattr(item, "fixturenames", ()) or "phone" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine: install the package chromium"))


@dataclass
class Site:
    """A served store. `sweep`: the id of its sweep. Questions about links are answered by `at`."""

    address: str
    folder: Path
    sweep: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def at(self, path: str) -> str:
        return self.address + path

    def api(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + "/api" + path) as answer:
            return json.load(answer)


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BESOM_", "WANDB_"))}
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        "BESOM_DIR": str(folder / "store"),
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "BESOM_ENTITY": "ada",
    }


def serve(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """Start `besom server` on a free port; returns the process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "besom", "server", "--port", str(port)],
        env=environment(folder), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://\S+", line):
            return process, found.group()
    raise AssertionError(f"the server did not start:\n{said}")


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (ROOT / "besom" / "server" / "static" / "index.html").is_file():
        pytest.fail("the page is not built: python web/hatch_build.py build")
    folder = tmp_path_factory.mktemp("site")
    (folder / "store").mkdir()
    database = open_database(folder / "store" / "besom.db")
    sweep = seed(Hub(database))
    database.close()
    process, address = serve(folder)
    yield Site(address, folder, sweep, environment(folder))
    stop(process)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one file of tests: while it is there, an event loop runs in this thread, and other tests need none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages with the options of a browser context, and holds each to the rules above."""
    contexts = []
    wrong: list[str] = []

    def opened(*, allow: str = "", **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)

        def log(message: Any) -> None:
            if message.type == "error" and not (allow and re.search(allow, message.text)):
                wrong.append(message.text)

        def request(sent: Any) -> None:
            if not re.match(r"(https?://127\.0\.0\.1[:/]|data:|blob:)", sent.url):
                wrong.append(f"asked {sent.url}")

        page.on("console", log)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", request)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def tab(open_tab: Callable[..., Page]) -> Page:
    return open_tab()


@pytest.fixture
def phone(open_tab: Callable[..., Page]) -> Page:
    return open_tab(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
