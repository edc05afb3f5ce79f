"""What an answer looks like as bytes: every number survives, and every error says what to do next."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

import pytest

from besom.core import exact, wire
from besom.core.errors import ConfigError, FilterError, JournalFull, NotFound, StoreError, Unavailable, UsageError
from besom.server.answer import accepts_gzip, answer, described, problem, to_json
from besom.server.route import TooLarge, WrongType

ZOO: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "ninf": -math.inf,
    "zero": -0.0,
    "big": 2**53 + 1,
    "bigger": 2**64,
    "huge": 10**400,
    "monstrous": 10**5000,
    "small": 5e-324,
    "text": "grün ☃",
    "surrogate": "\ud800x",
    "nested": {"list": [1, [math.nan, {"deep": None}]], "true": True},
    "": "",
    "a.b/c": 1,
}


def run(**changes: Any) -> wire.RunView:
    return wire.RunView("r1", "ada", "digits", "crisp-clover-1", "running", 1.0, 2.0, 3.0, **changes)


def test_a_browser_reads_every_value_without_losing_a_digit() -> None:
    config = json.loads(to_json(run(config=ZOO)))["config"]
    assert config["nan"] == "NaN" and config["inf"] == "Infinity" and config["ninf"] == "-Infinity"
    assert config["big"] == "9007199254740993" and config["bigger"] == str(2**64) and config["huge"] == "1" + "0" * 400
    assert int(config["monstrous"], 16) == 10**5000
    assert config["small"] == 5e-324 and str(config["zero"]) == "-0.0"
    assert config["text"] == "grün ☃" and config["surrogate"] == "\\ud800x"
    assert config["nested"] == {"list": [1, ["NaN", {"deep": None}]], "true": True}
    assert config["a.b/c"] == 1


def test_our_client_reads_every_value_exactly() -> None:
    back = exact.decode(exact.encode(run(config=ZOO, notes="\udfff")), wire.RunView)
    assert back.config.pop("monstrous") == 10**5000
    assert repr(back.config) == repr({key: value for key, value in ZOO.items() if key != "monstrous"})
    assert back.notes == "\udfff"


def test_a_run_that_diverged_says_nan_and_its_curve_has_a_hole() -> None:
    stat = wire.MetricStat(math.nan, 0.5, math.inf, math.nan, 0.5, "minimize", 3, 2)
    assert json.loads(to_json(run(metrics={"loss": stat})))["metrics"]["loss"]["last"] == "NaN"
    series = wire.Series("r1", "loss", (1, 0), (0.5, math.nan), (0.5, None), (0.5, None), (0.5, None))
    curves = json.loads(to_json(wire.Curves((0.0, 1.0), (series,), 2)))
    assert curves["series"][0]["mean"] == [0.5, None]
    assert json.loads(to_json(wire.Rows({"loss": [1.0, math.nan, None]})))["columns"]["loss"] == [1.0, "NaN", None]


def test_a_config_as_deep_as_a_well_is_still_an_answer() -> None:
    deep: Any = "bottom"
    for _ in range(1000):
        deep = {"down": deep}
    assert b"nested too deep" in to_json(run(config=deep))


@pytest.mark.parametrize(
    ("accept", "packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_large_answers_are_packed_for_who_can_unpack_them(accept: str, packed: bool) -> None:
    assert accepts_gzip({"accept-encoding": accept}) is packed
    large = wire.Rows({"loss": [0.25] * 1000})
    reply = answer(large, {"accept-encoding": accept})
    assert (reply.headers.get("content-encoding") == "gzip") is packed
    body = bytes(reply.body)
    assert json.loads(gzip.decompress(body) if packed else body)["columns"]["loss"] == [0.25] * 1000
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in answer(wire.Rows({}), {"accept-encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (UsageError("limit is 1 to 1000"), 400, "UsageError"),
        (ConfigError("min is above max", where="parameters.lr"), 400, "ConfigError"),
        (FilterError("a value is missing", position=12), 400, "FilterError"),
        (NotFound("there is no run r9"), 404, "NotFound"),
        (TooLarge("at most 4 MB"), 413, "UsageError"),
        (WrongType("takes JSON"), 415, "UsageError"),
        (Unavailable("database is locked"), 503, "Unavailable"),
        (StoreError("the file is damaged"), 503, "StoreError"),
        (JournalFull("no room"), 503, "JournalFull"),
        (OSError(28, "No space left on device"), 503, "Unavailable"),
        (ZeroDivisionError("x"), 500, "InternalError"),
    ],
)
def test_an_error_says_whose_fault_it_is(error: Exception, status: int, name: str) -> None:
    got, found = described(error)
    assert (got, found.error) == (status, name)
    reply = problem(error, {})
    assert (reply.headers.get("retry-after") is not None) == (status == 503)
    if isinstance(error, FilterError):
        assert found.position == 12
    if status == 500:
        assert "division" not in found.message and "server's log" in found.message


def test_the_wait_is_told_in_whole_seconds() -> None:
    assert problem(Unavailable("starting", retry_after=0.2), {}).headers["retry-after"] == "1"
    assert problem(Unavailable("starting", retry_after=2.5), {}).headers["retry-after"] == "3"
