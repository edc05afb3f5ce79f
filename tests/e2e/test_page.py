"""What people do on the page, in their words, before a real server in a real browser."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from besom.core.batch import Batch
from besom.core.names import RunPath
from besom.core.record import Exit, History, Run
from besom.core.wire import Beat, Done
from besom.hub.hub import Hub
from besom.store.migrations import open_database

VIT = "/ada/vit-distill"
GROUPED = f"{VIT}?by=config.arch,config.lr,config.aug&metric=val/acc"


def matched(tab: Page) -> Any:
    return expect(tab.get_by_test_id("matched"))


def settled(spot: Any) -> dict[str, float]:
    """Where a part of the page is, once it has stopped moving."""
    box, before = spot.bounding_box(), None
    while box is None or box != before:
        spot.page.wait_for_timeout(200)
        box, before = spot.bounding_box(), box
    return dict(box)


def parameters(tab: Page) -> dict[str, str]:
    return tab.evaluate("Object.fromEntries(new URLSearchParams(location.search))")


def test_home_says_what_runs_what_failed_and_which_projects_there_are(site: Any, tab: Page) -> None:
    tab.goto(site.address)
    expect(tab.get_by_role("heading", name="Running now")).to_be_visible()
    expect(
        tab.get_by_role("link", name=re.compile("vit-distill . brisk-sorrel-2331.*CUDA out of memory"))
    ).to_be_visible()
    row = tab.get_by_role("row", name=re.compile("vit-distill"))
    expect(row).to_contain_text("90")
    row.get_by_role("link", name="vit-distill").click()
    expect(tab).to_have_url(site.at(VIT))
    matched(tab).to_have_text("90 runs")


def test_a_first_visit_hides_nothing_and_says_so(site: Any, tab: Page) -> None:
    tab.goto(site.at(VIT))
    matched(tab).to_have_text("90 runs")
    expect(tab.locator("aside footer")).to_contain_text("8 in colour · 82 in grey · none hidden")
    expect(tab.get_by_role("region", name="val/acc").locator("canvas")).to_be_visible()
    assert parameters(tab) == {}


def test_the_filter_is_a_funnel_of_chips_and_one_text(site: Any, tab: Page) -> None:
    tab.goto(site.at(VIT))
    matched(tab).to_have_text("90 runs")
    tab.keyboard.press("Shift+F")
    field = tab.get_by_label("Filter as text")
    field.fill("config.lr <= 4e-4 and state != killed")
    field.press("Enter")
    matched(tab).to_have_text("60 runs")
    expect(tab.locator(".funnel")).to_have_text(
        re.compile(r"90.*lr.*≤ 4e-4.*60.*state.*not killed.*60 runs", re.DOTALL)
    )
    assert parameters(tab) == {"filter": "config.lr <= 4e-4 and state != killed"}
    tab.get_by_role("button", name="Filter config.lr <= 4e-4").press("Backspace")
    matched(tab).to_have_text("89 runs")
    tab.go_back()
    matched(tab).to_have_text("60 runs")
    tab.reload()
    matched(tab).to_have_text("60 runs")


def test_a_chip_is_made_from_a_distribution(site: Any, tab: Page) -> None:
    tab.goto(site.at(VIT))
    tab.get_by_label("Add a filter").click()
    tab.get_by_label("Find a key").fill("config.arch")
    tab.get_by_role("button", name=re.compile("config.arch")).click()
    tab.get_by_role("checkbox", name=re.compile("vit-s")).check()
    expect(tab.get_by_role("dialog")).to_contain_text("Keeps 30 of 90 runs")
    tab.get_by_role("button", name="Apply").click()
    matched(tab).to_have_text("30 runs")
    assert parameters(tab)["filter"] == 'config.arch = "vit-s"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lrr < 3", 'Did you mean "lr"?'),
        ("lr <", "a name or a value is missing"),
        ("state = finished and", "is missing"),
    ],
)
def test_a_wrong_filter_is_told_where_and_why(site: Any, open_tab: Callable[..., Page], text: str, words: str) -> None:
    tab = open_tab(allow="400")
    tab.goto(site.at(VIT))
    matched(tab).to_have_text("90 runs")
    tab.keyboard.press("Shift+F")
    tab.get_by_label("Filter as text").fill(text)
    tab.get_by_role("button", name="Apply").click()
    expect(tab.get_by_role("alert").first).to_contain_text(words)


def test_no_run_passes(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"{VIT}?filter=config.lr+%3E+5+and+state+=+crashed"))
    expect(tab.get_by_role("heading", name="No run passes these 2 filters")).to_be_visible()
    tab.get_by_role("button", name=re.compile(r"without config.lr > 5\s+1")).click()
    matched(tab).to_have_text("1 run")


def test_grouped_by_all_but_the_seed(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"{VIT}?metric=val/acc"))
    matched(tab).to_have_text("90 runs")
    tab.keyboard.press("u")
    tab.get_by_role("button", name="all but", exact=True).click()
    tab.get_by_role("checkbox", name=re.compile("seed")).check()
    expect(tab.get_by_role("dialog")).to_contain_text("18 groups of 5 runs")
    tab.keyboard.press("Escape")
    expect(tab.locator("aside footer")).to_contain_text("8 in colour · 10 in grey · none hidden")
    # The list says what the server says: mean of each run's best, and the deviation.
    answer = site.api("/groups?entity=ada&project=vit-distill&by=config.arch,config.aug,config.lr&metric=val/acc")
    best = max(answer["groups"], key=lambda group: group["value"])
    first = tab.locator("aside tbody tr").first
    expect(first).to_contain_text(f"{best['value']:.4f}")
    expect(first).to_contain_text(f"± {best['std']:.2g}".replace("0.", ".", 1))
    first.get_by_role("button", name="Show the runs of the group").click()
    expect(tab.locator("aside tr.child")).to_have_count(5)
    tab.get_by_label("Deviation").select_option("ci95")
    expect(tab.get_by_role("region", name="val/acc")).to_contain_text("mean ± 95 % CI, all points")
    assert parameters(tab) == {"but": "config.seed", "metric": "val/acc", "spread": "ci95"}


def test_a_zoom_asks_for_finer_points_and_a_double_click_takes_it_back(site: Any, tab: Page) -> None:
    tab.goto(site.at(GROUPED))
    over = tab.locator(".u-over").first
    over.hover(position={"x": 100, "y": 80})
    expect(tab.locator(".tip")).to_be_visible()  # the curves are there, and the chart has its final place
    box = settled(over)
    with tab.expect_request(lambda r: "/api/curves" in r.url and "min=" in r.url and "max=" in r.url):
        tab.mouse.move(box["x"] + 100, box["y"] + 80)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 300, box["y"] + 80, steps=5)
        tab.mouse.up()
    low, high = (float(end) for end in parameters(tab)["zoom"].split(","))
    assert 0 < low < high < 89000
    expect(tab.get_by_role("button", name="Zoomed")).to_be_visible()
    over.dblclick()
    expect(tab.get_by_role("button", name="Zoomed")).to_be_hidden()
    assert "zoom" not in parameters(tab)


def test_one_cursor_for_all_charts(site: Any, tab: Page) -> None:
    tab.goto(site.at(GROUPED))
    first = tab.get_by_role("region", name="val/acc").locator(".u-over")
    second = tab.get_by_role("region", name="val/loss").locator(".u-cursor-x")
    first.hover(position={"x": 200, "y": 60})
    expect(tab.locator(".tip")).to_contain_text("of 5")
    expect(second).to_be_visible()
    tab.get_by_role("button", name="Linked").click()
    first.hover(position={"x": 220, "y": 60})
    expect(tab.locator(".tip")).to_be_visible()
    expect(second).to_be_hidden()


def test_a_chart_is_also_a_table(site: Any, tab: Page) -> None:
    tab.goto(site.at(GROUPED))
    panel = tab.get_by_role("region", name="val/acc", exact=True)
    expect(panel.get_by_role("application")).to_have_accessible_name(
        re.compile("val/acc: 8 lines in colour, 10 in grey")
    )
    panel.hover()
    panel.get_by_role("button", name="View as table").click()
    assert panel.get_by_role("row").count() > 30
    expect(panel.get_by_role("columnheader")).to_have_count(9)


def test_smoothing_log_and_x_axis_are_in_the_address(site: Any, tab: Page) -> None:
    tab.goto(site.at(VIT))
    matched(tab).to_have_text("90 runs")
    for _ in range(3):
        tab.keyboard.press("]")
    tab.get_by_role("button", name="log y").click()
    with tab.expect_request(lambda r: "/api/curves" in r.url and "x=_relative" in r.url):
        tab.get_by_label("x axis").select_option("_relative")
    assert parameters(tab) == {"smooth": "0.3", "log": "*", "x": "_relative"}
    expect(tab.get_by_role("region", name="val/acc", exact=True)).to_contain_text("log y, smoothing 0.30, raw behind")


def test_the_table_sorts_by_best_and_last_and_by_several_keys(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"{VIT}/runs"))
    rows = tab.locator("tbody tr")
    expect(rows.first).to_be_visible()
    page = site.api("/runs?entity=ada&project=vit-distill&sort=-metrics.val/acc.best&limit=1")
    expect(rows.first).to_contain_text(page["runs"][0]["name"])
    tab.get_by_role("button", name=re.compile("^arch")).click()
    expect(rows.first).to_contain_text("conv-s")
    tab.get_by_role("button", name=re.compile("^val.acc last")).click(modifiers=["Shift"])
    assert parameters(tab)["sort"] == "config.arch,metrics.val/acc.last"
    worst = site.api("/runs?entity=ada&project=vit-distill&sort=config.arch,metrics.val/acc.last&limit=1")
    expect(rows.first).to_contain_text(worst["runs"][0]["name"])
    expect(tab.get_by_role("columnheader", name=re.compile("^arch"))).to_have_attribute("aria-sort", "ascending")


def test_rows_by_keyboard(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"{VIT}/runs"))
    expect(tab.locator("tbody tr").first).to_be_visible()
    for key in "jjx":
        tab.keyboard.press(key)
    expect(tab.get_by_role("toolbar")).to_contain_text("1 selected")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"/vit-distill/runs/v\d+$"))
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog", name="Keyboard")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    tab.keyboard.press("g")
    tab.keyboard.press("s")
    expect(tab).to_have_url(site.at(f"{VIT}/sweeps"))
    tab.keyboard.press("g")
    tab.keyboard.press("w")
    matched(tab).to_have_text("90 runs")
    tab.keyboard.press("/")
    expect(tab.get_by_label("Find in the list")).to_be_focused()


def test_a_failed_run_tells_why(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"{VIT}/runs/v031"))
    expect(tab.get_by_role("heading", name="brisk-sorrel-2331")).to_be_visible()
    expect(tab.get_by_text("failed: RuntimeError: CUDA out of memory (exit code 1)")).to_be_visible()
    expect(tab.get_by_role("log")).to_contain_text("RuntimeError: CUDA out of memory")
    tab.get_by_role("button", name="Error 1").click()
    expect(tab.get_by_role("log").locator("p")).to_have_count(1)
    for words in ("opt.decay", "9f3c1e7ab2", "train/grad_norm"):
        expect(tab.locator(".facts")).to_contain_text(words)
    tab.get_by_role("link", name="System 3").click()
    expect(tab.get_by_role("region", name="system.gpu.0.util").locator("canvas")).to_be_visible()


def test_name_tags_and_notes_are_changed_in_place(site: Any, tab: Page) -> None:
    tab.goto(site.at("/ada/toy/runs/toy1"))
    tab.get_by_role("button", name="Rename").click()
    tab.get_by_label("Name", exact=True).fill("the very first")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="the very first")).to_be_visible()
    tab.get_by_role("button", name="Add a tag").click()
    tab.get_by_label("Tag", exact=True).fill("keep")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Remove the tag keep")).to_be_visible()
    tab.get_by_role("button", name="Edit").click()
    tab.get_by_label("Notes").fill("worked <b>well</b>")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_text("worked <b>well</b>")).to_be_visible()
    run = site.api("/runs/ada/toy/toy1")
    assert (run["name"], run["tags"], run["notes"]) == ("the very first", ["keep"], "worked <b>well</b>")


def test_a_sweep_is_read_steered_and_brushed(site: Any, tab: Page) -> None:
    where = f"/ada/digits/sweeps/{site.sweep}"
    tab.goto(site.at("/ada/digits/sweeps"))
    tab.get_by_role("link", name="lr and dropout").click()
    expect(tab).to_have_url(site.at(where))
    sweep = site.api(f"/sweeps/ada/digits/{site.sweep}")
    number = len(sweep["trials"])
    expect(tab.locator(".legend")).to_contain_text(f"{number} of 52 trials")
    expect(tab.locator(".legend")).to_contain_text("failed 1")
    expect(tab.locator(".figure")).to_have_text(f"{sweep['best']['value']:.4f}")
    assert tab.locator(".strip a").count() == number
    tab.get_by_role("button", name="Pause").click()
    expect(tab.get_by_role("button", name="Resume")).to_be_enabled()
    assert site.api(f"/sweeps/ada/digits/{site.sweep}")["state"] == "paused"
    tab.get_by_role("button", name="Resume").click()
    expect(tab.get_by_role("button", name="Pause")).to_be_enabled()
    expect(tab.get_by_label("Importance")).to_be_visible()
    axis = settled(tab.locator("rect.grab").first)
    tab.mouse.move(axis["x"] + 16, axis["y"] + axis["height"] * 0.35)
    tab.mouse.down()
    tab.mouse.move(axis["x"] + 16, axis["y"] + axis["height"] * 0.8, steps=4)
    tab.mouse.up()
    expect(tab.get_by_text(re.compile(r"\d+ of \d+ trials inside 1 brush"))).to_be_visible()
    tab.evaluate(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )  # the last move is drawn
    inside = int(tab.get_by_text(re.compile("trials inside")).inner_text().split(" of ")[0])
    assert 0 < inside < number
    tab.get_by_role("link", name="Use as filter").click()
    matched(tab).to_have_text(f"{inside} runs")


def test_why_each_trial_was_tried(site: Any, tab: Page) -> None:
    tab.goto(site.at(f"/ada/digits/sweeps/{site.sweep}"))
    why = tab.get_by_label("Why").locator("li")
    tab.get_by_label("Kind").select_option("failed")
    expect(why).to_have_count(1)
    expect(why).to_contain_text("ValueError: loss is NaN")
    tab.get_by_label("Kind").select_option("best")
    assert why.count() >= 2


def test_which_parameters_matter(site: Any, tab: Page) -> None:
    told = site.api(f"/sweeps/ada/digits/{site.sweep}/importance")
    tab.goto(site.at(f"/ada/digits/sweeps/{site.sweep}"))
    panel = tab.get_by_label("Importance")
    expect(panel).to_contain_text(f"{told['trials']} trials")
    first = panel.get_by_role("button").first
    expect(first).to_contain_text(told["shares"][0]["name"])
    expect(first).to_contain_text(f"{round(100 * told['shares'][0]['share'])} %")
    first.click()
    expect(panel.locator("figcaption")).to_contain_text("all others averaged")


@pytest.fixture
def slack() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An incoming webhook, and the messages that it got."""
    got: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/services/T/B/secret-part", got
    server.shutdown()


def test_a_channel_is_added_tested_and_removed(site: Any, tab: Page, slack: tuple[str, list[dict[str, Any]]]) -> None:
    address, got = slack
    tab.goto(site.at(f"{VIT}/alerts"))
    expect(tab.get_by_role("row", name=re.compile("Loss jumps.*z-score 4.1"))).to_be_visible()
    tab.get_by_label("Address of a Slack incoming webhook").fill(address)
    tab.get_by_role("button", name="Add Slack channel").click()
    expect(tab.get_by_text("The channel is added.")).to_be_visible()
    assert "secret-part" not in tab.content()
    tab.get_by_role("button", name="Send a test").click()
    expect(tab.get_by_text("A test message went out")).to_be_visible()
    assert len(got) >= 1
    tab.get_by_role("button", name="Remove").click()
    expect(tab.get_by_text("No channel yet.")).to_be_visible()


TRAIN = """\
import besom, sys
run = besom.init(project="live", name="slow learner", config={"lr": 0.1})
for step, line in enumerate(sys.stdin):
    print("epoch", step)
    besom.log({"loss": 1 / (step + 1)})
besom.finish()
"""


def test_a_run_appears_and_grows_while_it_trains(site: Any, tab: Page, tmp_path: Path) -> None:
    """A script logs into the store's folder, without any word to the server; the open page shows it."""
    tab.goto(site.at("/ada/live"))
    expect(tab.get_by_role("heading", name="Log your first run")).to_be_visible()
    script = subprocess.Popen(
        [sys.executable, "-c", TRAIN], env=site.environment, cwd=tmp_path, stdin=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert script.stdin is not None

    def train(steps: int) -> None:
        assert script.stdin is not None
        script.stdin.write("go\n" * steps)
        script.stdin.flush()

    try:
        train(2)
        matched(tab).to_have_text("1 run")
        expect(tab.locator("aside")).to_contain_text("0.5000")
        tab.get_by_role("link", name="slow learner").click()
        expect(tab.get_by_role("log")).to_contain_text("epoch 1")
        train(2)
        expect(tab.get_by_role("log")).to_contain_text("epoch 3")
        expect(tab.locator(".life")).to_contain_text("step 3")
        script.stdin.close()
        expect(tab.locator(".title").get_by_role("img", name="finished")).to_be_visible()
    finally:
        script.kill()
        script.wait()


XSS = '<img src=x onerror="window.__xss=1"><script>window.__xss=1</script>'


def test_what_people_write_is_text_everywhere(site: Any, tab: Page, tmp_path: Path) -> None:
    script = f"""
import besom
x = {XSS!r}
run = besom.init(project="evil", name=x, config={{"lr": x, x: 1}}, tags=[x], notes=x, group=x)
print(x)
besom.log({{x: 1.0, "loss": 2.0}})
besom.alert(title=x, text=x)
run.summary["words"] = x
besom.finish()
"""
    subprocess.run([sys.executable, "-c", script], env=site.environment, cwd=tmp_path, check=True, capture_output=True)
    run = site.api("/runs?entity=ada&project=evil")["runs"][0]["id"]
    for path in (
        "/",
        "/ada/evil",
        "/ada/evil?by=config.lr",
        "/ada/evil/runs",
        f"/ada/evil/runs/{run}",
        "/ada/evil/alerts",
    ):
        tab.goto(site.at(path))
        expect(tab.locator("main")).to_contain_text("evil" if path == "/" else "<img src=x")
        assert tab.evaluate("window.__xss") is None
        assert tab.locator("main img[src]").count() == 0


PAGES = [
    ("/", "Needs a look"),
    (VIT, "train/loss"),
    (GROUPED, "train/loss"),
    (f"{VIT}/runs", "amber-willow-2314"),
    (f"{VIT}/runs/v007", "train/grad_norm"),
    (f"{VIT}/runs/v018?tab=logs", "step 0"),
    ("/ada/digits/sweeps", "lr and dropout"),
    ("/ada/digits/sweeps/SWEEP", "Suggested by random"),
    (f"{VIT}/alerts", "Loss jumps"),
    ("/ada/none", "Log your first run"),
]


@pytest.mark.parametrize(("path", "words"), PAGES)
def test_a_phone_never_scrolls_sideways(site: Any, phone: Page, path: str, words: str) -> None:
    phone.goto(site.at(path.replace("SWEEP", site.sweep)))
    expect(phone.locator("main")).to_contain_text(words)
    expect(phone.get_by_role("navigation", name="Pages").last).to_be_visible()
    wide = phone.evaluate(
        "[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth, innerWidth]"
    )
    assert max(wide) == 390


def test_light_and_dark(site: Any, open_tab: Callable[..., Page]) -> None:
    tab = open_tab(color_scheme="dark")
    tab.goto(site.address)
    shade = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(shade)
    tab.get_by_role("button", name="Light theme").click()
    light = tab.evaluate(shade)
    assert light != dark
    tab.reload()
    expect(tab.get_by_role("button", name="Dark theme")).to_be_visible()
    assert tab.evaluate(shade) == light


def test_the_stream_is_lost_and_found(site: Any, open_tab: Callable[..., Page]) -> None:
    tab = open_tab(allow="ERR_|Failed to load")
    tab.route("**/api/events**", lambda route: route.abort())
    tab.goto(site.at(VIT))
    expect(tab.get_by_role("status").filter(has_text="live stream is lost")).to_be_visible()
    matched(tab).to_have_text("90 runs")
    tab.unroute("**/api/events**")
    expect(tab.get_by_role("status").filter(has_text="live stream is lost")).to_be_hidden(timeout=30_000)


def test_an_address_that_names_nothing(site: Any, open_tab: Callable[..., Page]) -> None:
    tab = open_tab(allow="404")
    tab.goto(site.at("/ada/vit-distill/models/3"))
    expect(tab.get_by_role("heading", name="No such page")).to_be_visible()
    tab.goto(site.at(f"{VIT}/runs/nobody"))
    expect(tab.get_by_role("alert")).to_contain_text("nobody")


def test_two_goals_have_a_front(site: Any, tab: Page) -> None:
    goals = [{"name": "loss", "goal": "minimize"}, {"name": "latency", "goal": "minimize"}]
    config = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "metrics": goals}
    database = open_database(site.folder / "store" / "besom.db")
    hub = Hub(database)
    made = hub.create_sweep("ada", "goals", config)
    agent = hub.register(f"ada/goals/{made.id}", "gpu-2", 4712).id
    done: tuple[Done, ...] = ()
    for _ in range(6):
        command = hub.beat(agent, Beat((), done, 1)).commands[0]
        x = command.params["x"]
        run = Run(time=1.0, name=command.name, sweep=made.id, starts=True)
        records = (run, History(0, 1.0, {"loss": x, "latency": 1 - x}), Exit(2.0, 0, "finished"))
        hub.append(RunPath("ada", "goals", command.run), "s", Batch(0, 3, (0, 1, 2), records))
        done = (Done(command.run, command.attempt, 0, "finished"),)
    hub.beat(agent, Beat((), done, 0))
    database.close()
    tab.goto(site.at(f"/ada/goals/sweeps/{made.id}"))
    expect(tab.get_by_text("6 trials that no other beats in all goals")).to_be_visible()
    expect(tab.locator("circle.front")).to_have_count(6)
    expect(tab.locator("thead")).to_contain_text("latency")
