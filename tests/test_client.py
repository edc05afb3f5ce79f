"""The client: it waits when a server asks it to, gives up when it must, and turns every answer into a value or an error."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from besom.client import AppTransport, Client
from besom.core import exact, wire
from besom.core.batch import Batch
from besom.core.errors import ConfigError, FilterError, NotFound, Unavailable, UsageError
from besom.core.record import Config

HEALTHY = wire.Health("ok", "1")


class Script:
    """A server that answers what it was told to, in order; the last answer stays. Notes requests and waits."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **more: Any) -> Client:
        return Client("http://127.0.0.1:8080", transport=httpx.MockTransport(self), sleep=self.waits.append, **more)


def good(value: Any = HEALTHY) -> httpx.Response:
    return httpx.Response(200, content=exact.encode(value), headers={"content-type": "application/msgpack"})


def bad(
    status: int, error: str = "UsageError", message: str = "no", headers: Any = None, **more: Any
) -> httpx.Response:
    body = msgspec.json.encode(wire.Problem(error, message, **more))
    return httpx.Response(status, content=body, headers={"content-type": "application/json", **(headers or {})})


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500])
def test_a_busy_server_is_asked_again(status: int) -> None:
    script = Script(bad(status), bad(status), good())
    assert script.client().health() == HEALTHY
    assert len(script.waits) == 2 and script.waits[1] > script.waits[0] > 0


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")]
)
def test_a_broken_connection_is_tried_again(error: Exception) -> None:
    script = Script(error, error, good())
    assert script.client().health() == HEALTHY


def test_it_waits_as_long_as_the_server_asks() -> None:
    script = Script(bad(503, headers={"retry-after": "7"}), bad(503, retry_after=3.0), good())
    script.client().health()
    assert script.waits[0] == 7 and script.waits[1] >= 3


def test_it_gives_up_after_its_patience_and_says_why() -> None:
    script = Script(httpx.ConnectError("connection refused"))
    with pytest.raises(Unavailable, match="http://127.0.0.1:8080 is out of reach: connection refused"):
        script.client(patience=20).health()
    assert 10 < sum(script.waits) <= 20
    once = Script(bad(503, "Unavailable", "the store is locked", retry_after=2.0))
    with pytest.raises(Unavailable, match="the store is locked") as caught:
        once.client(patience=0).health()
    assert caught.value.retry_after == 2.0 and once.waits == [] and len(once.requests) == 1


def test_a_fault_of_the_server_is_not_tried_for_ever() -> None:
    script = Script(bad(500, "InternalError", "besom has a fault"))
    with pytest.raises(Unavailable, match="besom has a fault"):
        script.client().health()
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    "create",
    [
        lambda client: client.create_sweep("ada", "digits", {"method": "grid"}),
        lambda client: client.register("ada/digits/s1", "box", 7),
        lambda client: client.add_channel("slack", "https://hooks.example.com/x"),
    ],
)
def test_what_may_have_been_made_is_not_made_twice(create: Callable[[Client], Any]) -> None:
    script = Script(httpx.ReadTimeout("slow"))
    with pytest.raises(Unavailable):
        create(script.client())
    assert len(script.requests) == 1
    refused = Script(httpx.ConnectError("nobody there"))
    with pytest.raises(Unavailable):
        create(refused.client(patience=1))
    assert len(refused.requests) > 1  # it never arrived, so it may be sent again


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (bad(400, "FilterError", "a value is missing", position=12), FilterError, "a value is missing"),
        (bad(400, "ConfigError", "parameters.lr: min is above max"), ConfigError, "parameters.lr"),
        (bad(404, "NotFound", "there is no run r9"), NotFound, "r9"),
        (bad(403, "Refused", "not for you"), UsageError, "not for you"),
        (httpx.Response(404, text="<html>nginx</html>"), UsageError, "the answer was 404: <html>nginx"),
        (httpx.Response(502, text="bad gateway"), Unavailable, "bad gateway"),
        (httpx.Response(200, text="<html>a router's page</html>"), Unavailable, "is it a besom server"),
    ],
)
def test_every_answer_becomes_a_value_or_an_error(answer: httpx.Response, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        Script(answer).client(patience=0).health()
    if isinstance(caught.value, FilterError):
        assert caught.value.position == 12


def test_names_travel_whatever_is_in_them() -> None:
    script = Script(good(wire.Rows({})))
    script.client().rows("ada", "my project", "r/1?x#y", keys=["val/loss", "a,b"], limit=3)
    url = script.requests[0].url
    assert url.raw_path.partition(b"?")[0] == b"/api/runs/ada/my%20project/r%2F1%3Fx%23y/rows"
    assert url.params["keys"] == "val/loss,`a,b`" and url.params["limit"] == "3"


def test_the_key_goes_to_the_server_and_no_empty_parameter_does() -> None:
    script = Script(good(wire.RunPage((), 0, 0)))
    script.client(api_key="secret").runs("ada", "digits")
    assert script.requests[0].headers["authorization"] == "Bearer secret"
    assert set(script.requests[0].url.params) == {"entity", "project", "limit", "offset"}


@pytest.mark.parametrize("address", ["", "ftp://x", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="a server's address is like http://127.0.0.1:8080"):
        Client(address)


def test_a_bare_host_is_an_address() -> None:
    assert Client("box:8080/").address == "http://box:8080"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert Client("http://127.0.0.1:8080")._http._mounts == {}


def test_a_gap_comes_back_as_a_position() -> None:
    script = Script(good(wire.Position(100)))
    batch = Batch(200, 300, (200,), (Config({"lr": 0.1}),))
    assert script.client().append("ada", "digits", "r1", "s1", batch) == 100


# The application in this process as a server


def app_of(parts: list[bytes], fail: Exception | None = None, status: int = 200) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        if fail is not None:
            raise fail
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-path", scope["raw_path"])]})
        for part in [*parts, body]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def test_the_application_answers_in_this_process() -> None:
    client = httpx.Client(transport=AppTransport(app_of([b"a", b"b"])), base_url="http://localhost")
    reply = client.post("/api/x%2Fy?q=1", content=b"c")
    assert (reply.status_code, reply.content, reply.headers["x-path"]) == (200, b"abc", "/api/x%2Fy")


def test_a_fault_of_the_application_is_raised_where_it_was_called() -> None:
    client = httpx.Client(transport=AppTransport(app_of([], ZeroDivisionError("oops"))), base_url="http://localhost")
    with pytest.raises(ZeroDivisionError, match="oops"):
        client.get("/")


def test_who_leaves_a_stream_is_noticed() -> None:
    left: queue.Queue[str] = queue.Queue()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        left.put((await receive())["type"])

    client = httpx.Client(transport=AppTransport(endless), base_url="http://localhost")
    with client.stream("GET", "/") as reply:
        assert next(reply.iter_lines()) == "first"
    assert left.get(timeout=30) == "http.disconnect"
