"""A team's server: who may do what, on every route and every GraphQL field, held against a table that people can read."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom import local
from besom.core import codec, wire
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import Unavailable
from besom.core.names import RunPath
from besom.hub.access import Who, level
from besom.hub.guarded import RULES, Guarded
from besom.hub.hub import Hub
from besom.hub.notify import Answer
from besom.server import gate
from besom.server.app import Application
from besom.server.native import ROUTES
from besom.server.wandb.door import Door
from besom.settings import Settings
from besom.store.schema import audit

CALLERS = ("stranger", "vera", "mia", "ada", "eve", "root")
"""Nobody; a viewer, a member and an admin of the team lab; the admin of the team rival; the admin of the server."""
SECRET = "9f" * 32
"""The digest of a file of lab's run."""
SWEEP = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}},
    "program": "t.py",
}
RUN = "/api/runs/lab/digits/{run}"
GIVE = codec.pack(Batch(0, 1, (0,), (rec.Summary({"x": 1}),)))


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value).encode(), "application/json"


READ, WRITE, ADMIN = (401, 200, 200, 200, 404, 200), (401, 403, 200, 200, 404, 200), (401, 403, 403, 403, 403, 200)
OPEN, MINE, EMPTY = (200,) * 6, (401, 200, 200, 200, 200, 200), (401, 403, 204, 204, 404, 204)
TABLE: dict[tuple[str, str], tuple[str, tuple[bytes, str] | None, tuple[int, ...]]] = {
    ("GET", "/api/projects"): ("/api/projects", None, MINE),
    ("GET", "/api/runs"): ("/api/runs?entity=lab&project=digits", None, READ),
    ("GET", "/api/runs/{entity}/{project}/{id}"): (RUN, None, READ),
    ("GET", "/api/runs/{entity}/{project}/{id}/rows"): (RUN + "/rows", None, READ),
    ("GET", "/api/runs/{entity}/{project}/{id}/console"): (RUN + "/console", None, READ),
    ("GET", "/api/runs/{entity}/{project}/{id}/files"): (RUN + "/files", None, READ),
    ("GET", "/api/artifacts/{entity}/{project}/{id}"): ("/api/artifacts/lab/digits/model", None, READ),
    ("GET", "/api/keys"): ("/api/keys?entity=lab&project=digits", None, READ),
    ("GET", "/api/groups"): ("/api/groups?entity=lab&project=digits&by=config.lr", None, READ),
    ("GET", "/api/curves"): ("/api/curves?entity=lab&project=digits&keys=loss", None, READ),
    ("PATCH", "/api/runs/{entity}/{project}/{id}"): (RUN, _json({"notes": "n"}), WRITE),
    ("DELETE", "/api/runs/{entity}/{project}/{id}"): (RUN, None, EMPTY),
    ("POST", "/api/append/{entity}/{project}/{id}/{stream}"): (
        "/api/append/lab/digits/{run}/s2", (GIVE, "application/octet-stream"), WRITE),
    ("GET", "/api/append/{entity}/{project}/{id}/{stream}"): ("/api/append/lab/digits/{run}/s", None, WRITE),
    ("POST", "/api/alive"): ("/api/alive", _json({"runs": [["lab", "digits", "r1"]]}), (401, 204, 204, 204, 204, 204)),
    ("POST", "/api/sweeps"): ("/api/sweeps", _json({"entity": "lab", "project": "digits", "config": SWEEP}), WRITE),
    ("GET", "/api/sweeps"): ("/api/sweeps", None, MINE),
    ("GET", "/api/sweeps/{entity}/{project}/{id}"): ("/api/sweeps/{sweep}", None, READ),
    ("GET", "/api/sweeps/{entity}/{project}/{id}/importance"): ("/api/sweeps/{sweep}/importance", None, READ),
    ("PATCH", "/api/sweeps/{entity}/{project}/{id}"): ("/api/sweeps/{sweep}", _json({"state": "paused"}), WRITE),
    ("POST", "/api/agents"): ("/api/agents", (b'{"sweep": "{sweep}", "host": "h", "pid": 1}', "application/json"), WRITE),
    ("POST", "/api/agents/{id}/beat"): ("/api/agents/{agent}/beat", _json({"alive": [], "done": [], "want": 0}), WRITE),
    ("POST", "/api/agents/{id}/leave"): ("/api/agents/{agent}/leave", None, EMPTY),
    ("GET", "/api/alerts"): ("/api/alerts", None, MINE),
    ("POST", "/api/alerts/channels"): (
        "/api/alerts/channels", _json({"kind": "slack", "url": "https://8.8.8.8/x"}), ADMIN),
    ("DELETE", "/api/alerts/channels/{n}"): ("/api/alerts/channels/{channel}", None, ADMIN),
    ("POST", "/api/alerts/test"): ("/api/alerts/test", None, ADMIN),
    ("GET", "/api/runs/{entity}/{project}/{id}/files/{name:path}"): (RUN + "/files/w.pt", None, (401, 404, 404, 404, 404, 404)),
    ("GET", "/api/blobs/{digest}"): ("/api/blobs/" + SECRET, None, (401, 404, 404, 404, 404, 404)),
    ("PUT", "/api/blobs/{digest}"): (
        "/api/blobs/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", (b"hello", "application/octet-stream"),
        (401, 204, 204, 204, 204, 204)),
    ("POST", "/graphql"): ("/graphql", _json({"query": "{ viewer { name } }"}), MINE),
    ("POST", "/files/{entity}/{project}/{run}/file_stream"): ("/files/lab/digits/{run}/file_stream", _json({"files": {}}), WRITE),
    ("PUT", "/wandb/files/{entity}/{project}/{run}/{name:path}"): (
        "/wandb/files/lab/digits/{run}/a.txt", (b"a", "text/plain"), WRITE),
    ("GET", "/wandb/files/{entity}/{project}/{run}/{name:path}"): (
        "/wandb/files/lab/digits/{run}/none", None, (401, 404, 404, 404, 404, 404)),
    ("POST", "/sdk/otel/{rest:path}"): ("/sdk/otel/v1/traces", (b"", "text/plain"), OPEN),
    ("GET", "/api/health"): ("/api/health", None, OPEN),
    ("GET", "/api/events"): ("/api/events", None, MINE),
    ("GET", "/api/openapi.json"): ("/api/openapi.json", None, OPEN),
    ("GET", "/login"): ("/login", None, OPEN),
    ("POST", "/login"): ("/login", (b"", "text/plain"), (415,) * 6),
    ("POST", "/logout"): ("/logout", None, (303,) * 6),
    ("GET", "/api/{path:path}"): ("/api/none", None, (404,) * 6),
    ("GET", "/{path:path}"): ("/lab/digits", None, (303, 200, 200, 200, 200, 200)),
}  # fmt: skip
"""Route -> what is asked, its body, and the status for each of CALLERS. 403: they see it and may not do this; 404: not there."""


class Lab:
    """The server of a team in this process, with what its users own."""

    def __init__(self, folder: Path, raw: Any) -> None:
        self.settings = Settings(dir=folder, entity="owner")
        self.hub: Hub = local.hub(self.settings)
        self.raw, self.keys, self._n = raw, {"stranger": ""}, 0
        access = self.hub.access
        for name in ("root", "vera", "mia", "otto", "ada", "eve"):
            access.add_user("test", name, admin=name == "root")
            self.keys[name] = access.create_key("test", name)
        for team, name, role in (
            ("lab", "vera", "viewer"),
            ("lab", "otto", "member"),
            ("lab", "mia", "member"),
            ("lab", "ada", "admin"),
            ("rival", "eve", "admin"),
        ):
            access.set_role("test", team, name, role)
        for path in (
            RunPath("lab", "digits", "r1"),
            RunPath("lab", "secret", "r1"),
            RunPath("lab", "open", "r1"),
            RunPath("rival", "x", "r1"),
        ):
            self.log(path)
        access.share("test", "lab", "secret", "private", "mia")
        access.share("test", "lab", "open", "public", "mia")
        self.hub.alerting._send = lambda *_: Answer(True, "sent")
        self.app = self.assemble()

    def close(self) -> None:
        self.app.close()
        local.close(self.settings)

    def assemble(self, **more: Any) -> Application:
        return local.assemble(self.settings, lambda: self.hub, lambda: None, doors=[Door], team=True, **more)

    def log(self, path: RunPath) -> RunPath:
        """A run that has ended, with a metric, a file, an artifact and an alert."""
        records = (
            rec.Run(1.0, *path, starts=True), rec.Config({"lr": 0.1}), rec.History(0, 1.0, {"loss": 0.5}),
            rec.File("w.pt", SECRET, 5, 1.0), rec.Artifact("model", "model", {"w": SECRET}), rec.Alert(1.0, f"of {path.project}"),
            rec.Exit(2.0, 0, rec.FINISHED),
        )  # fmt: skip
        self.hub.append(path, "s", Batch(0, len(records), tuple(range(len(records))), records))
        return path

    def ask(
        self,
        caller: str,
        method: str,
        path: str,
        body: tuple[bytes, str] | None = None,
        app: Any = None,
        **headers: str,
    ) -> Any:
        sent = [("host", "localhost:8080"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        if self.keys.get(caller):
            sent.append(("authorization", f"Bearer {self.keys[caller]}"))
        if body:
            sent.append(("content-type", body[1]))
        return self.raw(app or self.app, method, path, sent, body[0] if body else b"")

    def fresh(self) -> dict[str, str]:
        """Things of lab's that a call may change or remove."""
        self._n += 1
        sweep = self.hub.create_sweep("lab", "digits", SWEEP)
        path = f"lab/digits/{sweep.id}"
        channel = self.hub.add_channel("slack", "http://127.0.0.1:9/x").channels[-1]
        return {
            "run": self.log(RunPath("lab", "digits", f"n{self._n}")).id, "sweep": path,
            "agent": self.hub.register(path, "h", 1).id, "channel": str(channel.id),
        }  # fmt: skip

    def graphql(self, caller: str, query: str, **variables: Any) -> Any:
        reply = self.ask(caller, "POST", "/graphql", _json({"query": query, "variables": variables}))
        assert reply.status == 200
        return json.loads(reply.body)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, raw: Any) -> Iterator[Lab]:
    """One for all tests that change no user."""
    made = Lab(tmp_path_factory.mktemp("lab"), raw)
    yield made
    made.close()


@pytest.fixture
def own(tmp_path: Path, raw: Any) -> Iterator[Lab]:
    """One for this test alone."""
    made = Lab(tmp_path, raw)
    yield made
    made.close()


def test_the_table_names_every_route(lab: Lab) -> None:
    served = {(method, place.path) for place in lab.app.places for method in place.methods or () if method != "HEAD"}
    served = {(m, p) for m, p in served if p != "/api/{path:path}" or m == "GET"}
    assert served == set(TABLE)
    assert {route.call for route in ROUTES} <= set(RULES)
    assert set(RULES) <= set(dir(Hub))


@pytest.mark.parametrize(("method", "route"), list(TABLE), ids=" ".join)
def test_every_route_for_every_caller(method: str, route: str, lab: Lab) -> None:
    path, body, expected = TABLE[method, route]
    found = []
    for caller in CALLERS:
        things = (
            lab.fresh() if "{" in path + (body[0].decode("latin-1") if body and b"{sweep}" in body[0] else "") else {}
        )
        asked = path
        for name, value in things.items():
            asked = asked.replace(f"{{{name}}}", value)
        sent = (
            (body[0].replace(b"{sweep}", things["sweep"].encode()), body[1]) if body and b"{sweep}" in body[0] else body
        )
        app = lab.assemble() if route == "/api/events" else None
        status = lab.ask(caller, method, asked, sent, app).status
        if route == "/{path:path}" and status == 404:
            status = 200  # the page is not built here
        if route.endswith("/importance") and status == 400:
            status = 200  # too few trials to say
        found.append(status)
        if app is not None:
            app.close()
    assert tuple(found) == expected


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/runs?entity=lab&project={}", None),
        ("GET", "/api/runs/lab/{}/r1", None),
        ("GET", "/api/keys?entity=lab&project={}", None),
        ("GET", "/api/runs/lab/{}/r1/files/w.pt", None),
        ("GET", "/api/append/lab/{}/r1/s", None),
        ("DELETE", "/api/runs/lab/{}/r1", None),
        ("PATCH", "/api/runs/lab/{}/r1", _json({"name": "x"})),
        ("POST", "/files/lab/{}/r1/file_stream", _json({"complete": True})),
        ("PUT", "/wandb/files/lab/{}/r1/a", (b"a", "text/plain")),
    ],
)
def test_nothing_tells_the_hidden_from_the_missing(method: str, path: str, body: Any, lab: Lab) -> None:
    for caller, hidden in (("eve", "digits"), ("vera", "secret"), ("stranger", "digits"), ("eve", "secret")):
        there = lab.ask(caller, method, path.format(hidden), body)
        absent = lab.ask(caller, method, path.format("nosuch"), body) if caller != "vera" else None
        assert there.status == (401 if caller == "stranger" else 404)
        if absent is not None:
            assert (there.status, there.body) == (absent.status, absent.body.replace(b"nosuch", hidden.encode()))


@pytest.mark.parametrize(
    ("caller", "projects"),
    [
        ("vera", {"lab/digits", "lab/open"}),
        ("mia", {"lab/digits", "lab/open", "lab/secret"}),
        ("ada", {"lab/digits", "lab/open", "lab/secret"}),
        ("eve", {"rival/x", "lab/open"}),
        ("root", {"lab/digits", "lab/open", "lab/secret", "rival/x"}),
    ],
)
def test_lists_show_what_one_may_see(caller: str, projects: set[str], lab: Lab) -> None:
    """A private project is its owner's and the team admins', a public one every user's; the same in every list."""
    for project in ("lab/digits", "lab/open", "lab/secret", "rival/x"):
        lab.hub.create_sweep(*project.split("/"), SWEEP)
    found = {}
    for what in ("projects", "sweeps", "alerts"):
        rows = json.loads(lab.ask(caller, "GET", f"/api/{what}").body)[what]
        found[what] = {f"{row['entity']}/{row['project']}" for row in rows}
    reply = lab.ask(caller, "GET", "/api/events?since=0").body.decode()
    change = json.loads(reply.partition("data: ")[2].partition("\n")[0])
    found["events"] = {"/".join(path[:2]) for path in (*change["runs"], *change["sweeps"])}
    named = {path.split("/")[0] for path in projects}
    found["graphql"] = set()
    for entity in ("lab", "rival"):
        told = lab.graphql(caller, "query($e: String) { models(entityName: $e) { edges { node { name } } } }", e=entity)
        found["graphql"] |= {f"{entity}/{edge['node']['name']}" for edge in told["data"]["models"]["edges"]}
    assert found == dict.fromkeys(found, projects) and named


FIELDS: dict[str, tuple[str, str]] = {
    "viewer": ("{ viewer { name } }", "yyyyy"),
    "serverInfo": ("{ serverInfo { features { name } } }", "yyyyy"),
    "entity": ('{ entity(name: "lab") { name } }', "yyyyy"),
    "project": ('{ project(name: "digits", entityName: "lab") { run(name: "r1") { id } } }', "yyynY"),
    "model": ('{ model(name: "digits", entityName: "lab") { bucket(name: "r1") { id } } }', "yyynY"),
    "models": ('{ models(entityName: "lab") { edges { node { name } } } }', "yyyyy"),
    "upsertModel": ('mutation { upsertModel(input: {name: "digits", entityName: "lab"}) { inserted } }', "yyyyy"),
    "upsertBucket": ('mutation { upsertBucket(input: {id: "lab/digits/r1", notes: "n"}) { bucket { id } } }', "nyynY"),
    "deleteRun": ('mutation { deleteRun(input: {id: "lab/digits/RUN"}) { success } }', "nyynY"),
    "notifyScriptableRunAlert": (
        'mutation { notifyScriptableRunAlert(input: {entityName: "lab", projectName: "digits", runName: "r1", title: "t", text: "t"}) { success } }',
        "nyynY"),
    "createRunFiles": (
        'mutation { createRunFiles(input: {entityName: "lab", projectName: "digits", runName: "r1", files: ["a"]}) { files { name } } }', "yyyyy"),
    "markRunFilesUploaded": ("mutation { markRunFilesUploaded(input: {}) { success } }", "yyyyy"),
    "upsertSweep": ('mutation { upsertSweep(input: {id: "SWEEP", state: "PAUSED"}) { sweep { id } } }', "nyynY"),
    "createAgent": ('mutation { createAgent(input: {sweep: "SWEEP", host: "h"}) { agent { id } } }', "nyynY"),
    "agentHeartbeat": ('mutation { agentHeartbeat(input: {id: "SWEEP/AGENT"}) { commands } }', "nyynY"),
    "createArtifact": (
        'mutation { createArtifact(input: {entityName: "lab", projectName: "digits", runName: "r1", artifactTypeName: "m", digest: "d"}) { artifact { id } } }',
        "yyyyy"),
    "createArtifactManifest": ('mutation { createArtifactManifest(input: {artifactID: "ARTIFACT"}) { artifactManifest { id } } }', "yyyyy"),
    "updateArtifactManifest": ('mutation { updateArtifactManifest(input: {artifactManifestID: "ARTIFACT"}) { artifactManifest { id } } }', "yyyyy"),
    "createArtifactFiles": ('mutation { createArtifactFiles(input: {artifactFiles: [{artifactID: "ARTIFACT", name: "a"}]}) { files { edges { node { name } } } } }', "yyyyy"),
    "commitArtifact": ('mutation { commitArtifact(input: {artifactID: "ARTIFACT"}) { artifact { id } } }', "nyynY"),
}  # fmt: skip
"""GraphQL field -> a query, and whether vera, mia, ada, eve and root are answered. Those that all may ask tell nothing but what
was asked, and an address that refuses whoever may not write there."""


@pytest.mark.parametrize("field", list(FIELDS))
def test_every_graphql_field_for_every_caller(field: str, lab: Lab) -> None:
    query, expected = FIELDS[field]
    made = base64.urlsafe_b64encode(json.dumps([["lab", "digits", "r1"], "m", "t", "d", [], {}]).encode()).decode()
    for caller, answered in zip(CALLERS[1:], expected.lower(), strict=True):
        things = lab.fresh()
        asked = query.replace("RUN", things["run"]).replace("SWEEP", things["sweep"]).replace("AGENT", things["agent"])
        before = lab.hub.changes(0).seq
        told = lab.graphql(caller, asked.replace("ARTIFACT", made))
        inner = (told.get("data") or {}).get(field)
        none = "errors" in told or inner is None or any(v in (None, []) for v in inner.values())
        assert ("n" if none else "y") == answered, (caller, told)
        if none:
            assert lab.hub.changes(0).seq == before, f"{caller} changed something"


def test_the_fields_are_those_of_the_schema(lab: Lab) -> None:
    assert set(Door(lambda: lab.hub, None, "x").api.roots) == set(FIELDS)  # type: ignore[arg-type]


def test_a_method_of_the_hub_without_a_rule_is_nobodys(lab: Lab) -> None:
    for name in ("database", "deliver", "reap", "access", "alerting", "made_tomorrow"):
        with pytest.raises(AttributeError, match="has no rule"):
            getattr(Guarded(lab.hub, Who("root", admin=True)), name)


def test_a_key_that_reads_changes_nothing(lab: Lab) -> None:
    lab.keys["reader"] = lab.hub.access.create_key("test", "root", reads_only=True)
    for (method, route), (path, body, expected) in TABLE.items():
        if expected in (WRITE, EMPTY, ADMIN):
            for name, value in lab.fresh().items():
                path = path.replace(f"{{{name}}}", value)
                body = (body[0].replace(f"{{{name}}}".encode(), value.encode()), body[1]) if body else None
            assert lab.ask("reader", method, path, body).status == 403, (method, route)
    assert lab.ask("reader", "GET", "/api/runs/rival/x/r1").status == 200
    for field, (query, expected) in FIELDS.items():
        if query.startswith("mutation"):
            told = lab.graphql("reader", query.replace("RUN", "r1"))
            assert "this key can only read" in json.dumps(told), field


@pytest.mark.parametrize(
    "config",
    [
        {**SWEEP, "method": "custom", "custom": "evil.py:suggest"},
        {**SWEEP, "method": " Custom", "custom": "os:system"},
        {**SWEEP, "custom": "os:system"},
        {**SWEEP, "warm_start": ["lab/secret/SECRET"]},
        {**SWEEP, "warm_start": ["rival/x/r1"]},
    ],
)
def test_a_sweep_brings_no_code_and_reads_nobody_elses_trials(config: dict[str, Any], lab: Lab) -> None:
    secret = lab.hub.create_sweep("lab", "secret", SWEEP).id
    mine = lab.fresh()["sweep"]
    sent = json.dumps(config).replace("SECRET", secret)
    for method, path, body in (
        ("POST", "/api/sweeps", f'{{"entity": "lab", "project": "digits", "config": {sent}}}'),
        ("PATCH", f"/api/sweeps/{mine}", f'{{"config": {sent}}}'),
    ):
        reply = lab.ask("otto", method, path, (body.encode(), "application/json"))
        assert reply.status == 400 and json.loads(reply.body)["error"] == "ConfigError", reply.body


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://10.0.0.1/x", "http://[::1]/x",
                                 "http://169.254.169.254/x", "http://0x7f000001/x", "http://2130706433/x"])  # fmt: skip
def test_a_channel_leads_nowhere_inside(url: str, lab: Lab) -> None:
    assert lab.ask("root", "POST", "/api/alerts/channels", _json({"kind": "slack", "url": url})).status == 400
    assert url not in [channel.url for channel in lab.hub.alerts().channels]


def test_contents_are_given_to_those_who_see_a_run_with_them(lab: Lab) -> None:
    content, digest = (
        (b"hello", "application/octet-stream"),
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    )
    assert lab.ask("mia", "PUT", f"/api/blobs/{digest}", content).status == 204
    for caller in ("mia", "eve", "root"):
        assert lab.ask(caller, "HEAD", f"/api/blobs/{digest}").status == 404
    lab.hub.append(RunPath("lab", "digits", "r1"), "f", Batch(0, 1, (0,), (rec.File("hello", digest, 5, 1.0),)))
    lab.hub.append(RunPath("rival", "x", "r1"), "f", Batch(0, 1, (0,), (rec.Artifact("a", "t", {"z": digest}),)))
    statuses = {who: lab.ask(who, "GET", f"/api/blobs/{digest}").status for who in CALLERS}
    assert statuses == {"stranger": 401, "vera": 200, "mia": 200, "ada": 200, "eve": 200, "root": 200}
    assert lab.ask("vera", "GET", "/api/runs/lab/digits/r1/files/hello").headers["content-length"] == "5"


def test_a_foreign_client_sends_its_files_by_a_signed_address(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    query = 'mutation { createRunFiles(input: {entityName: "lab", projectName: "digits", runName: "r1", files: ["a b.txt"]}) { files { uploadUrl } } }'
    url = lab.graphql("mia", query)["data"]["createRunFiles"]["files"][0]["uploadUrl"]
    path = url.removeprefix("http://localhost:8080").replace("%20", " ")
    body = (b"content", "text/plain")
    assert lab.ask("stranger", "PUT", path, body).status == 200
    for wrong in (
        path.replace("by=mia", "by=root"), path.replace("reads=0", "reads="), path.replace("digits", "secret"),
        path.replace("a b", "b"), path[:-1] + ("0" if path[-1] != "0" else "1"), path.partition("?")[0], path.replace("mac=", "mac=%C3%A9"),
        path.replace("until=", "until=9"),
    ):  # fmt: skip
        assert lab.ask("stranger", "PUT", wrong, body).status == 401, wrong
    assert lab.ask("stranger", "GET", "/api/projects?" + path.partition("?")[2]).status == 401
    again = lab.assemble()
    assert lab.ask("stranger", "PUT", path, body, again).status == 200, "a restart keeps addresses good"
    again.close()
    assert oct((lab.settings.dir / "signing.key").stat().st_mode)[-3:] == "600"
    foreign = lab.graphql("eve", query)["data"]["createRunFiles"]["files"][0]["uploadUrl"]
    assert (
        lab.ask("stranger", "PUT", foreign.removeprefix("http://localhost:8080").replace("%20", " "), body).status
        == 404
    )
    monkeypatch.setattr(gate.time, "time", lambda: 4e9)
    assert lab.ask("stranger", "PUT", path, body).status == 401


def test_keys_come_as_bearer_or_as_the_password_of_basic_and_end(own: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLDS", 0.0)
    access, key = own.hub.access, own.keys["mia"]

    def status(header: str) -> int:
        return int(own.ask("stranger", "GET", "/api/projects", authorization=header).status)

    basic = base64.b64encode(f"api:{key}".encode()).decode()
    assert [status(f"Bearer {key}"), status(f"basic {basic}"), status(f"Basic {basic}")] == [200] * 3
    for wrong in (
        "Bearer",
        "Bearer ",
        f"Bearer {key[:-1]}",
        f"Bearer {key}x",
        "Basic !!",
        "Basic 4pyT",
        f"Token {key}",
        "Basic " + "A" * 9,
    ):
        assert status(wrong) == 401, wrong
    brief = access.create_key("test", "mia", lasts=3600)
    assert status(f"Bearer {brief}") == 200
    own.hub.access._clock = lambda: time.time() + 3601
    assert status(f"Bearer {brief}") == 401 and status(f"Bearer {key}") == 200
    access.revoke_key("test", next(k.digest[:8] for k in access.api_keys() if k.user == "mia" and not k.expires))
    assert status(f"Bearer {key}") == 401
    access.remove_user("test", "eve")
    assert status(f"Bearer {own.keys['eve']}") == 401


def test_no_key_and_no_password_lies_in_the_store(own: Lab) -> None:
    own.hub.access.add_user("test", "lena", password="correct horse battery")
    token = own.hub.access.login("lena", "correct horse battery")
    local.close(own.settings)
    kept = b"".join(path.read_bytes() for path in own.settings.dir.rglob("*") if path.is_file())
    assert token and b"$argon2id$" in kept
    for secret in (*filter(None, own.keys.values()), token, "correct horse battery"):
        assert secret.encode() not in kept


def _login(lab: Lab, password: str, onward: str = "/", name: str = "lena", **headers: str) -> Any:
    body = f"name={name}&password={password}&next={onward}".encode()
    return lab.ask("stranger", "POST", "/login", (body, "application/x-www-form-urlencoded"), **headers)


def test_a_person_logs_in_looks_and_logs_out(own: Lab) -> None:
    own.hub.access.add_user("test", "lena", password="correct horse battery")
    own.hub.access.set_role("test", "lab", "lena", "viewer")
    first = own.ask("stranger", "GET", "/lab/digits?x=1")
    assert first.status == 303 and first.headers["location"] == "/login?next=/lab/digits%3Fx%3D1"
    assert b"<form" in own.ask("stranger", "GET", first.headers["location"]).body
    wrong = _login(own, "wrong")
    assert wrong.status == 401 and "set-cookie" not in wrong.headers and b"is wrong" in wrong.body
    entered = _login(own, "correct+horse+battery", "/lab/digits%3Fx%3D1")
    assert entered.status == 303 and entered.headers["location"] == "/lab/digits?x=1"
    set_ = entered.headers["set-cookie"]
    assert "HttpOnly" in set_ and "SameSite=strict" in set_ and "Secure" not in set_
    cookie = set_.partition(";")[0]
    assert own.ask("stranger", "GET", "/api/runs/lab/digits/r1", cookie=cookie).status == 200
    assert own.ask("stranger", "DELETE", "/api/runs/lab/digits/r1", cookie=cookie).status == 403
    assert (
        own.ask("stranger", "DELETE", "/api/runs/lab/digits/r1", cookie=cookie, origin="http://evil.com").status == 403
    )
    again = _login(own, "correct+horse+battery", cookie=cookie)
    assert again.headers["set-cookie"].partition(";")[0] != cookie
    assert own.ask("stranger", "POST", "/logout", cookie=cookie).status == 303
    own.app = own.assemble()  # nothing is believed from before
    assert own.ask("stranger", "GET", "/api/projects", cookie=cookie).status == 401
    acts = [entry.act for entry in own.hub.access.audit()]
    assert acts[-3:] == ["wrong login", "log in", "log in"] and own.hub.access.tampered() is None


@pytest.mark.parametrize("onward", ["//evil.com", "/%5Cevil.com", "https://evil.com", "/%09/evil.com", "%5C%5Cevil", "javascript:alert(1)", "",
                                    "/%0d%0aSet-Cookie:x", "evil.com", "/%2F%2Fevil.com%00", "%2F%2Fevil.com"])  # fmt: skip
def test_a_login_leads_back_here_only(onward: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(lab.hub.access), "login", lambda *_: "token")
    assert _login(lab, "x", onward).headers["location"] == "/"


def test_ten_wrong_passwords_wait(own: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(type(own.hub.access), "login", lambda _, name, password: tried.append(name))
    replies = [_login(own, "wrong") for _ in range(13)]
    assert [reply.status for reply in replies] == [401] * 10 + [429] * 3 and len(tried) == 10
    assert 50 <= int(replies[-1].headers["retry-after"]) <= 60
    assert _login(own, "wrong", name="other").status == 429, "the same address waits for every name"


def test_who_has_no_password_cannot_log_in(own: Lab) -> None:
    for password in ("", "x"):
        assert _login(own, password, name="root").status == 401
        assert _login(own, password, name="nobody").status == 401


def test_a_store_without_users_is_its_owners(tmp_path: Path, raw: Any) -> None:
    """As on any own machine: no key, no login; until there is a user."""
    settings = Settings(dir=tmp_path, entity="owner")
    hub = local.hub(settings)
    app = local.assemble(settings, lambda: hub, lambda: None, doors=[Door])
    here = [("host", "localhost:8080")]
    assert raw(app, "GET", "/api/projects", here).status == 200
    assert raw(app, "GET", "/login", here).headers["location"] == "/"
    told = raw(
        app,
        "POST",
        "/graphql",
        [*here, ("content-type", "application/json")],
        b'{"query": "{ viewer { name admin } }"}',
    )
    assert json.loads(told.body)["data"]["viewer"] == {"name": "owner", "admin": True}
    hub.access.add_user("test", "ann", admin=True)
    app.close()
    app = local.assemble(settings, lambda: hub, lambda: None, doors=[Door])
    assert raw(app, "GET", "/api/projects", here).status == 401
    assert raw(app, "GET", "/api/projects", [("host", "labbox:8080")]).status == 403
    app.close()
    local.close(settings)


def test_while_the_store_opens_everybody_is_asked_to_come_again(tmp_path: Path, raw: Any) -> None:
    def hub() -> Hub:
        raise Unavailable("besom is starting", retry_after=1.0)

    app = local.assemble(Settings(dir=tmp_path), hub, lambda: None, doors=[Door], team=True)
    for (method, route), (path, body, _) in TABLE.items():
        if route in ("/api/openapi.json", "/api/{path:path}", "/{path:path}", "/sdk/otel/{rest:path}") or (
            method,
            route,
        ) == ("POST", "/login"):
            continue
        reply = raw(
            app,
            method,
            re.sub("[{}]", "", path.replace("{sweep}", "lab/digits/s")),
            [("host", "labbox"), ("authorization", "Bearer " + "k" * 40)],
            body[0] if body else b"",
        )
        assert (reply.status, reply.headers.get("retry-after")) == (503, "1"), (method, route)
    app.close()


@pytest.mark.parametrize(
    ("who", "place", "rank"),
    [
        (Who(""), ("lab", "p"), 0), (Who("mia"), ("mia", "p"), 3), (Who("mia"), ("lab", "p"), 0), (Who(""), ("", ""), 0),
        (Who("mia", teams={"lab": "member"}), ("lab", "p"), 2), (Who("mia", teams={"lab": "emperor"}), ("lab", "p"), 0),
        (Who("mia", shares={("lab", "p"): ("private", "mia")}), ("lab", "p"), 0),
        (Who("eve", shares={("lab", "p"): ("public", "mia")}), ("lab", "p"), 1),
        (Who("", shares={("lab", "p"): ("public", "mia")}), ("lab", "p"), 0),
    ],
)  # fmt: skip
def test_ranks(who: Who, place: tuple[str, str], rank: int) -> None:
    assert level(who, *place) == rank


def test_a_changed_line_of_the_audit_log_is_found(own: Lab) -> None:
    access = own.hub.access
    assert access.tampered() is None
    own.hub.database.write(lambda c: c.execute(audit.update().where(audit.c.pk == 3).values(what="nothing")))
    assert access.tampered() == access.audit()[2]


def test_the_answer_about_health_is_the_same_for_all(lab: Lab) -> None:
    assert json.loads(lab.ask("stranger", "GET", "/api/health").body)["status"] == wire.Health("ok", "").status
