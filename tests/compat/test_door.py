"""The door without the client: what it makes of odd requests, and that no answer ever makes that client give up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from besom.client import AppTransport, Client
from besom.core import record as rec
from besom.core.errors import StoreError, Unavailable
from besom.core.names import RunPath
from besom.hub.hub import Hub
from besom.server.app import Application
from besom.server.route import Permission
from besom.server.wandb import graphql, words
from besom.server.wandb.door import Door
from besom.store.blobs import Blobs
from besom.store.migrations import open_database

GIVES_UP = {400, 401, 403, 404, 409, 410, 413, 422, 501}
STREAM = "/files/ann/digits/r1/file_stream"
PATH = RunPath("ann", "digits", "r1")


class Desk:
    """The application with the door, called in this process; `broken` is raised instead of giving the hub."""

    def __init__(self, folder: Path) -> None:
        self.broken: Exception | None = None
        self.late = 0.0
        self.hub = Hub(open_database(folder / "besom.db"), clock=lambda: time.time() + self.late)
        self.door = Door(self._open, Blobs(folder / "blobs"), "ann")
        self.app = Application(self._open, doors=self.door.routes)
        self.client = TestClient(self.app, base_url="http://localhost:8080", raise_server_exceptions=False)

    def _open(self) -> Hub:
        if self.broken is not None:
            raise self.broken
        return self.hub

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables, "operationName": ""})
        assert answer.status_code == 200
        return answer.json()

    def upsert(self, **given: Any) -> Any:
        query = "mutation A($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted bucket { id name sweepName historyLineCount } } }"
        return self.ask(query, i={"modelName": "digits", "name": "r1", **given})["data"]["upsertBucket"]

    def send(self, **body: Any) -> Any:
        answer = self.client.post(STREAM, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def history(self, offset: int, *rows: dict[str, Any]) -> None:
        self.send(files={"wandb-history.jsonl": {"offset": offset, "content": [json.dumps(row) for row in rows]}})

    def output(self, offset: int, *lines: str) -> None:
        self.send(files={"output.log": {"offset": offset, "content": list(lines)}})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.app.close()
    made.hub.database.close()


def test_a_chunk_sent_twice_or_again_in_part_counts_once(desk: Desk) -> None:
    desk.upsert()
    rows = [{"_step": i, "x": i} for i in range(5)]
    desk.history(0, *rows[:3])
    desk.history(0, *rows[:3])
    desk.history(1, *rows[1:5])
    assert desk.hub.rows(PATH).columns["x"] == [0, 1, 2, 3, 4]
    assert desk.upsert()["bucket"]["historyLineCount"] == 5


def test_lines_before_the_first_ones_that_arrive_are_not_waited_for(desk: Desk) -> None:
    desk.history(10, {"_step": 10, "x": 1})
    assert desk.hub.rows(PATH).columns["x"] == [1]
    assert desk.hub.run(PATH).state == "running"


def test_a_progress_bar_shows_its_last_state(desk: Desk) -> None:
    desk.upsert()
    stamp = "2026-01-02T03:04:05.000006"
    desk.output(0, f"{stamp} begin", f"ERROR {stamp}  10%|#   |")
    desk.output(1, f"ERROR {stamp}  90%|### |")
    desk.output(1, f"ERROR {stamp} 100%|####|", f"{stamp} end")
    desk.output(2, f"{stamp} end")
    shown = [(line.stream, line.text) for line in desk.hub.console(PATH).lines]
    assert shown == [("out", "begin"), ("err", "100%|####|"), ("out", "end")]


def test_an_end_that_is_told_twice_is_one_end(desk: Desk) -> None:
    desk.upsert(host="here")
    desk.send(complete=True, exitcode=3)
    first = desk.hub.run(PATH)
    desk.late = 5
    desk.send(complete=True, exitcode=3)
    assert (first.state, first.exit_code) == ("failed", 3)
    assert desk.hub.run(PATH).ended == first.ended
    desk.upsert(displayName="by hand")
    assert desk.hub.run(PATH).state == "failed", "a change by hand does not bring a run back to life"
    desk.upsert(host="here")
    assert desk.hub.run(PATH).state == "running", "a process does"


def test_a_run_that_was_thought_lost_and_logs_again_lives(desk: Desk) -> None:
    desk.upsert()
    desk.late = 120
    assert desk.hub.reap() == [PATH]
    desk.history(0, {"_step": 0, "x": 1})
    assert desk.hub.run(PATH).state == "running"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"files": 3}', b'{"files": {"wandb-history.jsonl": {"offset": "x", "content": [3, "{", "[]"]}}}',
     b'{"complete": true, "exitcode": "?"}', b'{"files": {"output.log": {"offset": -4, "content": [""]}}}',
     b'{"files": {"wandb-history.jsonl": {"offset": 0, "content": ["{\\"_step\\": 1e400, \\"x\\": 1' + b"0" * 400 + b'}"]}}}',
     b'{"files": {"wandb-summary.json": {"offset": 0, "content": ["\\ud800"]}}}', b"[" * 100_000],
)  # fmt: skip
def test_no_odd_body_makes_the_client_give_up(desk: Desk, body: bytes) -> None:
    for path in (STREAM, "/graphql", "/files/ann/di gits/../file_stream"):
        assert desk.client.post(path, content=body).status_code not in GIVES_UP - ({404} if ".." in path else set())
    desk.history(0, {"_step": 0, "x": 1})


@pytest.mark.parametrize(
    "fault", [Unavailable("starting", retry_after=2), StoreError("locked"), OSError(28, "full"), KeyError("?")]
)
def test_a_state_of_the_server_is_told_so_that_the_client_comes_again(desk: Desk, fault: Exception) -> None:
    desk.broken = fault
    for answer in (
        desk.client.post(STREAM, json={}),
        desk.client.post("/graphql", json={"query": "{ viewer { id } }"}),
        desk.client.put("/wandb/files/ann/digits/r1/a.txt", content=b"x"),
    ):
        assert answer.status_code >= 500 and answer.status_code not in GIVES_UP


def test_fields_types_and_arguments_that_we_do_not_know_are_left_out(desk: Desk) -> None:
    query = """
    query Q($name: Strange!, $more: [Odd!]) {
      result: viewer { id ...F color(of: $more) ... on Robot { id } }
      project(name: $name, entityName: "ann", since: 3) { name readOnly banner }
    }
    fragment F on Person { username }
    """
    assert desk.ask(query, name="digits")["data"] == {
        "result": {"id": "ann", "username": "ann"}, "project": {"name": "digits", "readOnly": False},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ nonsense { id } }", "besom does not answer nonsense"),
        ("{ viewer { id ", "Syntax Error"),
        ("{ viewer { ...A } } fragment A on User { teams { edges { node { ...A } } } }", "at most 2000 fields"),
        ("{" + "viewer { id } " * 3000 + "}", "tokens"),
        ("{ viewer { " + "...A " * 1200 + "} } fragment A on User { id name }", "at most 2000 fields"),
        ("{" + "a {" * 5000 + "}" * 5001, ""),
        ('mutation { deleteRun(input: {id: "nobody"}) { success } }', "no id of this server"),
        ('mutation { upsertSweep(input: {config: "method: gird"}) { sweep { name } } }', "method"),
        ("mutation { agentHeartbeat(input: {id: 5}) { commands } }", "int"),
        ("mutation { agentHeartbeat(input: {}) { commands } }", "id"),
        ("mutation { upsertBucket(input: [1]) { bucket { id } } }", "needs the id or the name"),
        ('mutation { createRunFiles(input: {runName: "r1", files: 5}) { runID } }', "not iterable"),
        ('{ project(name: "digits") { runs(after: "x") { totalCount } } }', "invalid literal"),
    ],
)
def test_a_wrong_question_is_answered_in_words(desk: Desk, query: str, said: str) -> None:
    assert said in desk.ask(query)["errors"][0]["message"]


def test_every_field_of_the_door_declares_a_permission(desk: Desk) -> None:
    assert all(isinstance(route.permission, Permission) for route, _ in desk.door.routes)
    assert all(isinstance(root.permission, Permission) for root in desk.door.api.roots.values())
    with pytest.raises(RuntimeError, match="declares no permission"):
        graphql.Api([root for root in desk.door.api.roots.values() if root.name != "deleteRun"])


def test_variables_that_are_none_are_no_fault_of_ours(desk: Desk) -> None:
    for odd in (5, [1], "x"):
        answer = desk.client.post("/graphql", json={"query": "{ viewer { id } }", "variables": odd})
        assert answer.json() == {"data": {"viewer": {"id": "ann"}}}


def test_a_bool_is_no_number(desk: Desk) -> None:
    desk.upsert(config=json.dumps({"_wandb": {"value": {"m": [{"1": "x", "8": [1]}]}}}))
    desk.history(0, {"_step": True, "x": 1})
    desk.send(complete=True, exitcode=True)
    with Client("http://localhost", transport=AppTransport(desk.app)) as client:
        run = client.run(*PATH)
    assert (run.exit_code, run.last_step, run.state) == (None, 0, "failed")


def test_a_file_that_is_not_there_is_said_in_words(desk: Desk) -> None:
    places = {"ann/digits/none/x": 404, "ann/digits/%20/x": 400}
    for place, status in places.items():
        answer = desk.client.get(f"/wandb/files/{place}")
        assert answer.status_code == status and answer.json()["error"]


def test_files_come_back_under_their_names(desk: Desk) -> None:
    desk.upsert()
    query = 'mutation M($f: [String!]!) { createRunFiles(input: {projectName: "digits", runName: "r1", files: $f}) { files { name uploadUrl } } }'
    names = ["a b c/ü.txt", "deep/er/name", "empty"]
    places = desk.ask(query, f=names)["data"]["createRunFiles"]["files"]
    assert [place["name"] for place in places] == names
    for place, content in zip(places, (b"one", b"two", b""), strict=True):
        assert desk.client.put(place["uploadUrl"], content=content).status_code == 200
    assert desk.client.get(places[0]["uploadUrl"]).content == b"one"
    assert {file.path for file in desk.hub.files(PATH).files} >= set(names)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-01-02T03:04:05.5 text here", (1767323045.5, "out", "text here")),
        ("ERROR 2026-01-02T03:04:05.5 bad", (1767323045.5, "err", "bad")),
        ('{"ts":"2026-01-02T03:04:05.5","content":"a {b}","level":"error"}', (1767323045.5, "err", "a {b}")),
        ('{"ts":"2026-01-02T03:04:05.5","content":"plain"}', (1767323045.5, "out", "plain")),
        ("no time", (7.0, "out", "no time")),
    ],
)
def test_lines_of_console(line: str, told: tuple[float, str, str]) -> None:
    assert words.console(line, 7.0) == told


def test_metric_definitions() -> None:
    sent = [{"1": "loss", "7": [1, 3], "8": 1}, {"2": "val/*", "5": 3, "6": [2]}, {"1": "epoch"}, {"7": [1]}, "odd"]
    assert list(words.defines({"m": sent})) == [
        rec.Define("loss", None, ("min", "mean"), "minimize"), rec.Define("val/*", "epoch", (), None, True), rec.Define("epoch"),
    ]  # fmt: skip


def test_its_agent_is_given_a_lost_command_again_and_a_program_without_a_run_failed(desk: Desk) -> None:
    config = "{method: grid, program: train.py, run_cap: 2, parameters: {a: {values: [1, 2]}}, retry: 0}"
    made = desk.ask(
        "mutation A($c: String) { upsertSweep(input: {config: $c, projectName: p}) { sweep { id name } } }", c=config
    )
    sweep = made["data"]["upsertSweep"]["sweep"]
    query = "mutation B($s: String!) { createAgent(input: {host: h, projectName: p, sweep: $s}) { agent { id } } }"
    agent = desk.ask(query, s=sweep["name"])["data"]["createAgent"]["agent"]["id"]

    def beat(*running: str) -> list[dict[str, Any]]:
        query = "mutation H($i: ID!, $r: JSONString) { agentHeartbeat(input: {id: $i, runState: $r}) { agent { id } commands } }"
        answer = desk.ask(query, i=agent, r=json.dumps(dict.fromkeys(running, True)))
        commands: list[dict[str, Any]] = json.loads(answer["data"]["agentHeartbeat"]["commands"])
        return commands

    first = beat()
    assert (first[0]["type"], first[0]["program"], first[0]["args"]) == ("run", "train.py", {"a": {"value": 1}})
    assert beat() == first, "its answer was lost"
    run = first[0]["run_id"]
    assert beat(run) == []
    assert beat(run, "foreign") == [{"type": "stop", "run_id": "foreign"}]
    (second,) = beat()
    assert second["args"] == {"a": {"value": 2}}
    path = RunPath("ann", "p", second["run_id"])
    desk.ask(
        "mutation C($i: X!) { upsertBucket(input: $i) { inserted } }",
        i={"modelName": "p", "name": path.id, "host": "h", "sweep": sweep["name"]},
    )
    assert beat(path.id) == []
    desk.client.post(f"/files/ann/p/{path.id}/file_stream", json={"complete": True, "exitcode": 0})
    (view,) = desk.hub.sweeps("ann", "p").sweeps
    assert view.counts == {"failed": 1, "finished": 1}, "known before the agent says so: it may leave now"
    assert beat(path.id) == [], "a process on its way out is left alone"
    assert [command["type"] for command in beat()] == ["exit"]
    assert desk.hub.sweeps("ann", "p").sweeps[0].state == "finished"


def test_a_run_that_was_logged_offline_began_when_its_process_did(desk: Desk) -> None:
    desk.upsert(host="here")
    own = {
        "_wandb": {"value": {"e": {"w": {"startedAt": "2026-01-02T03:04:05Z", "host": "there"}}}},
        "lr": {"value": 1},
    }
    desk.upsert(config=json.dumps(own))
    run = desk.hub.run(PATH)
    assert (run.created, run.meta["host"], run.config) == (1767323045.0, "there", {"lr": 1})
