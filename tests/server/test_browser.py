"""Another page in the same browser tries everything a page can, and gets nothing; our own page works."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.hub.hub import Hub
from besom.server.app import Application
from besom.server.serve import Server, address, listen
from besom.store.migrations import open_database

pytestmark = pytest.mark.browser

EVIL = """<!doctype html><title>evil</title><body><script>
const target = "TARGET"
const read = []
const sweep = JSON.stringify({entity: "ada", project: "digits", config: {method: "grid"}})
async function attack() {
  for (const mode of ["cors", "no-cors"])
    for (const [method, path, type] of [
      ["GET", "/api/projects"], ["GET", "/api/alerts"], ["GET", "/api/events"], ["GET", "/"],
      ["POST", "/api/sweeps", "application/json"], ["POST", "/api/sweeps", "text/plain"],
      ["POST", "/api/alerts/channels", "text/plain"], ["POST", "/api/alerts/test", undefined],
      ["DELETE", "/api/runs/ada/digits/r1"], ["PATCH", "/api/runs/ada/digits/r1", "application/json"],
    ]) try {
      const headers = type ? {"content-type": type} : {}
      const reply = await fetch(target + path, {method, mode, headers, body: type ? sweep : undefined})
      const text = await reply.text()
      if (text) read.push([mode, method, path, text])
    } catch (refused) {}
  const gets = (make) => new Promise((done) => { make(() => { read.push([String(make)]); done() }, () => done()); setTimeout(done, 3000) })
  await gets((yes, no) => { const s = document.createElement("script"); s.onload = yes; s.onerror = no; s.src = target + "/api/openapi.json"; document.head.append(s) })
  await gets((yes, no) => { const i = new Image(); i.onload = yes; i.onerror = no; i.src = target + "/favicon.svg" })
  await gets((yes, no) => { const l = document.createElement("link"); l.rel = "stylesheet"; l.onload = yes; l.onerror = no; l.href = target + "/assets/app.css"; document.head.append(l) })
  await gets((yes, no) => { const e = new EventSource(target + "/api/events"); e.onopen = yes; e.onerror = () => { e.close(); no() } })
  await gets((yes, no) => { const w = new WebSocket(target.replace("http", "ws") + "/api/events"); w.onopen = yes; w.onerror = no })
  for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    const frame = document.createElement("iframe"); frame.name = enctype; document.body.append(frame)
    const form = document.createElement("form")
    Object.assign(form, {method: "POST", action: target + "/api/alerts/channels", enctype, target: enctype})
    const field = document.createElement("input"); field.name = '{"kind":"slack","url":"http://evil/'; field.value = '"}'
    form.append(field); document.body.append(form); form.submit()
    await new Promise((done) => { frame.onload = done; setTimeout(done, 3000) })
  }
  const frame = document.createElement("iframe"); frame.src = target + "/"; document.body.append(frame)
  await new Promise((done) => { frame.onload = done; setTimeout(done, 3000) })
  try { if (frame.contentDocument.title === "besom") read.push(["iframe"]) } catch (refused) {}
  return read
}
</script>"""


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<!doctype html><title>besom</title><script type="module" src="/assets/app.js"></script>'
        '<link rel="stylesheet" href="/assets/app.css"><p style="color: red">inline style</p>'
        "<script>document.title = 'injected'</script><img src=x onerror=\"document.title = 'injected'\">"
    )
    (folder / "assets" / "app.js").write_text(
        "const got = await (await fetch('/api/projects')).json();"
        "new EventSource('/api/events').addEventListener('change', (e) => {"
        "document.body.dataset.change = e.data; document.body.dataset.projects = JSON.stringify(got) })"
    )
    (folder / "assets" / "app.css").write_text("p { margin: 7px }")
    (folder / "favicon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
    return folder


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    database = open_database(tmp_path / "besom.db")
    yield Hub(database)
    database.close()


@pytest.fixture
def target(hub: Hub, static: Path) -> Iterator[str]:
    application = Application(lambda: hub, static=static)
    server, sock = Server(application), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    yield address(sock)
    server.should_exit = True
    thread.join(30)
    sock.close()
    application.close()


@pytest.fixture
def evil(target: str) -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(EVIL.replace("TARGET", target).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def tab() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium")
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_another_page_reads_nothing_and_changes_nothing(evil: str, target: str, hub: Hub, tab: Any) -> None:
    hub.add_channel("slack", "http://127.0.0.1:9/services/x")  # a test message would leave its outcome there
    before = (hub.changes(0), hub.alerts(), hub.sweeps())
    tab.goto(evil)
    assert tab.evaluate("attack()") == []
    assert (hub.changes(0), hub.alerts(), hub.sweeps()) == before


def test_the_page_of_a_build_works_under_its_policy(target: str, tab: Any) -> None:
    tab.goto(f"{target}/ada/digits")
    tab.wait_for_selector("body[data-change]")
    assert tab.evaluate("document.body.dataset.projects") == '{"projects":[]}'
    assert tab.title() == "besom", "no inline script ran"
    assert tab.evaluate("getComputedStyle(document.querySelector('p')).marginTop") == "7px"
    assert tab.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(255, 0, 0)"
