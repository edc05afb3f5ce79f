"""The value zoo through the whole house: what a script logs is what the Api gives and what the server can say."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

import besom
from besom import local, settings
from besom.store.meta import short
from besom.testing import values


def same(left: Any, right: Any) -> bool:
    """Equal, with floats bit by bit."""
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def in_column(value: Any) -> Any:
    """Columns of metrics are float64, so a whole number that one holds exactly comes back as a float."""
    return float(value) if type(value) is int and abs(value) <= 2**53 else value


@pytest.fixture
def run(own_home: Path) -> Any:
    """A finished run with the zoo: a row for each value, under the key "k"; and all of it as config and as summary."""
    logged = besom.init(project="zoo", config=dict(values.EXACT))
    for number, (what, value, *_) in enumerate([*values.EXACT, *values.CHANGED, *values.ODD]):
        besom.log({"k": value, "number": number, f"only {what}": value})
    for what, value, _ in values.NESTED:
        if what not in ("10,000 keys", "5,000 levels"):
            besom.log({"k": value})
    for what, value in values.EXACT:
        logged.summary[what] = value
    besom.finish()
    return besom.Api().runs("zoo")[0]


def test_every_value_is_read_as_it_was_logged(run: Any) -> None:
    rows = {row["number"]: row for row in run.scan_history() if "number" in row}
    expected = [*values.EXACT, *((what, read) for what, _, read in values.CHANGED)]
    wrong = [what for number, (what, value) in enumerate(expected) if not same(rows[number].get("k"), in_column(value))]
    assert wrong == []
    assert [what for what, value in values.EXACT if not same(run.config[what], value)] == []
    assert [what for what, value in values.EXACT if not same(run.summary[what], value)] == []


def test_nested_values_are_read_under_dotted_keys(run: Any) -> None:
    found: dict[str, Any] = {}
    for row in run.scan_history():
        found.update(row)
    for what, _, flat in values.NESTED:
        if what not in ("10,000 keys", "5,000 levels"):
            assert [key[:80] for key in flat if short(key) not in found] == []


def test_the_server_can_say_all_of_it_as_json(run: Any) -> None:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(local.application(settings.load()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            place = f"entity={run.entity}&project=zoo"
            here = f"/api/runs/{run.entity}/zoo/{run.id}"
            paths = [here, f"{here}/rows", f"/api/runs?{place}", f"/api/keys?{place}", f"/api/curves?{place}&keys=k"]
            return [await client.get(path) for path in paths]

    for answer in asyncio.run(ask()):
        assert answer.status_code == 200, answer.text[:300]
        answer.json(parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
