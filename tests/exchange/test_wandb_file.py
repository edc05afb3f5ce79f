"""W&B's offline runs: what the real client wrote comes over, also when the file is cut, damaged, or goes on later."""

from __future__ import annotations

import math
import random
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from besom import Api as api
from besom.core.record import History
from besom.exchange.wandb_file import BLOCK, HEAD, find, transactions
from besom.settings import load

from .conftest import python

SCRIPT = """
import sys, time, wandb
from wandb import Settings

run = wandb.init(mode="offline", project="dkt", name="first", id="run1", group="g", job_type="train", notes="a note",
                 tags=["a", "b"], config={"lr": 1e-3, "opt": {"name": "adam", "betas": [0.9, 0.99]}},
                 settings=Settings(x_stats_sampling_interval=0.1))
run.define_metric("loss", summary="min")
run.define_metric("val/*", step_metric="epoch")
for i in range(5):
    run.log({"loss": 1 / (i + 1), "epoch": i, "val/x": [0.0, 1.0, float("nan"), float("inf"), -1.0][i],
             "deep": {"er": i}, "word": "hi", "big": 2**60})
    print(f"\\rstep {i}", end="")
print("\\rdone", flush=True)
print("careful", file=sys.stderr)
run.log({"p": 1}, commit=False)
run.log({"q": 2})
run.log({"loss": 0.05}, step=20)
run.config.update({"drop": 0.3, "lr": 0.01, "long": "x" * 100_000}, allow_val_change=True)
run.log({"picture": wandb.Html("<b>x</b>")}, step=21)
run.summary["final"] = {"acc": 0.9}
run.alert(title="Low", text="accuracy")
time.sleep(0.3)
run.finish()
wandb.init(mode="offline", project="dkt", name="second", id="run2", reinit="return_previous").finish(exit_code=3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("offline")
    python(SCRIPT, place, WANDB_ERROR_REPORTING="false", WANDB_SILENT="true")
    return place / "wandb"


@pytest.fixture
def file(folder: Path) -> Path:
    return next(folder.glob("*/run-run1.wandb"))


def test_an_offline_run_comes_over_whole(besom, runs, client, folder: Path) -> None:
    assert "2 runs" in besom("import", "wandb", folder).stdout
    run = runs("dkt")["first"]
    assert (run.id, run.state, run.group, run.job_type, run.notes, run.tags) == ("run1", "finished", "g", "train", "a note", ("a", "b"))  # fmt: skip
    assert run.config == {"lr": 0.01, "opt": {"name": "adam", "betas": [0.9, 0.99]}, "drop": 0.3, "long": "x" * 100_000}
    expected = {"loss.min": 0.05, "final.acc": 0.9, "deep.er": 4, "word": "hi", "big": 2**60, "val/x": -1, "p": 1, "q": 2, "epoch": 4}  # fmt: skip
    own = {key: value for key, value in run.summary.items() if not key.startswith("picture.")}
    assert own == expected
    assert run.meta["imported"] == "wandb" and run.meta["python"].startswith("CPython") and run.meta["host"]
    rows = client.rows(load().entity, "dkt", "run1").columns
    assert rows["_step"] == [0, 1, 2, 3, 4, 5, 20, 21]
    assert rows["loss"] == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, None, 0.05, None] and (rows["p"][5], rows["q"][5]) == (1, 2)
    assert math.isnan(rows["val/x"][2]) and rows["val/x"][3] == math.inf and rows["big"][0] == 2**60
    assert run.created < rows["_time"][0] < rows["_time"][-1] <= run.ended
    lines = client.console(load().entity, "dkt", "run1", start=0).lines
    assert ("out", "done") in [(line.stream, line.text) for line in lines]
    assert ("err", "careful") in [(line.stream, line.text) for line in lines]
    assert client.rows(load().entity, "dkt", "run1", keys=["system.memory_percent"]).columns["system.memory_percent"]
    found = api().run("dkt/run1")
    assert "output.log" in [file.name for file in found.files()]
    assert b"<b>x</b>" in found.file(rows["picture.path"][-1]).read()
    second = runs("dkt")["second"]
    assert (second.state, second.exit_code, second.reason) == ("failed", 3, "exit code 3")


def test_old_news_is_not_sent(besom, client, folder: Path) -> None:
    client.add_channel("slack", "http://127.0.0.1:9/hook")
    besom("import", "wandb", folder)
    told = client.alerts().alerts
    assert {"Low", "Run second failed"} <= {alert.title for alert in told}
    assert {(alert.state, alert.reason) for alert in told} == {("quiet", "the run was imported")}


def test_importing_again_adds_nothing(besom, kept, folder: Path, tmp_path: Path) -> None:
    besom("import", "wandb", folder)
    before = kept("dkt")
    elsewhere = tmp_path / "moved"
    shutil.copytree(folder, elsewhere)
    assert "0 with something new, 0 records" in besom("import", "wandb", elsewhere).stdout
    assert kept("dkt") == before


def test_a_run_that_went_on_is_continued(besom, kept, runs, file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    shutil.copytree(file.parent / "files", tmp_path / "files")
    growing = tmp_path / "run-run1.wandb"
    for size in (whole.index(b"xxxx"), len(whole) - 40, len(whole)):
        growing.write_bytes(whole[:size])
        besom("import", "wandb", growing)
        state = runs("dkt")["first"].state
        assert state == ("finished" if size == len(whole) else "crashed")
    besom("import", "wandb", file, "-p", "at-once")
    assert kept("dkt") == kept("at-once")


def test_a_file_cut_anywhere_gives_what_lies_before_the_cut(file: Path, tmp_path: Path) -> None:
    whole, cut = file.read_bytes(), tmp_path / "cut.wandb"
    all_of_it = list(transactions(file, pytest.fail))
    assert len(all_of_it) > 40 and len(max(all_of_it, key=len)) > 100_000
    found = set()
    for size in [*range(len(HEAD), 3000, 7), *range(3000, len(whole), 1501)]:
        cut.write_bytes(whole[:size])
        some = list(transactions(cut, pytest.fail))
        assert some == all_of_it[: len(some)]
        found.add(len(some))
    assert len(found) > 10


def test_a_damaged_file_gives_no_wrong_value(file: Path, tmp_path: Path) -> None:
    whole, hurt = file.read_bytes(), tmp_path / "hurt.wandb"
    all_of_it = set(transactions(file, pytest.fail))
    dice = random.Random(7)
    for _ in range(150):
        at = dice.randrange(len(HEAD), len(whole))
        hurt.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        warnings: list[str] = []
        some = list(transactions(hurt, warnings.append))
        assert set(some) < all_of_it
        assert all("byte" in text and "damaged" in text for text in warnings)


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack("<IHB", zlib.crc32(bytes([kind]) + body), len(body), kind) + body


def written(folder: Path, *bodies: bytes, id: str = "new") -> Path:
    """A file with these records."""
    file = folder / f"run-{id}.wandb"
    file.write_bytes(HEAD + b"".join(chunk(1, body) for body in bodies))
    return file


def test_a_record_whose_head_ends_a_block_is_there(tmp_path: Path) -> None:
    file = tmp_path / "run.wandb"
    filler = b"a" * (BLOCK - len(HEAD) - 7 - 7)
    file.write_bytes(HEAD + chunk(1, filler) + chunk(2, b"") + chunk(4, b"row") + chunk(1, b"next"))
    assert list(transactions(file, pytest.fail)) == [filler, b"row", b"next"]


@pytest.mark.parametrize(
    "odd",
    [
        b"\x0b",  # a group, which nobody writes
        b"\x10\x05",  # history as a number
        b"\x12\x02\x0a",  # cut off inside
        b"\x12\x04\x0a\x02\x08\x05",  # a key that is a number
        b"\x12\x0b\x0a\x09\x0a\x03big\x82\x01\x01[",  # no JSON
        b"\x2a\x09\x12\x07\x12\x02lr\x12\x01x",  # a key below a number is taken away
        b"\x3a\x02\x10\x05",  # a time that is no message
    ],
)
def test_a_record_of_another_kind_is_passed_over(tmp_path: Path, odd: bytes) -> None:
    from wandb.proto import wandb_internal_pb2 as pb

    run = pb.Record(run=pb.RunRecord(run_id="new", project="dkt"))
    run.run.config.update.add(key="lr", value_json="1")
    row = pb.Record(history=pb.HistoryRecord(step=pb.HistoryStep(num=3)))
    row.history.item.add(key="loss", value_json="0.5")
    warnings: list[str] = []
    (source,) = find(written(tmp_path, odd, run.SerializeToString(), odd, row.SerializeToString()), warnings.append)
    records = [record for part in source.read() for record in part.records]
    assert [record.data for record in records if isinstance(record, History)] == [{"loss": 0.5}]
    assert all("another kind" in text for text in warnings)


def test_ids_that_may_not_stand_in_a_path_stay_apart(besom, runs, tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2 as pb

    for n, id in enumerate(("../../x", "my run", "my-run", "\u65e5\u672c")):
        body = pb.Record(run=pb.RunRecord(run_id=id, display_name=id, project="dkt")).SerializeToString()
        written(tmp_path, body, id=str(n))
    besom("import", "wandb", tmp_path)
    found = runs("dkt")
    assert len({run.id for run in found.values()}) == 4 and found["my-run"].id == "my-run"


def test_values_by_type_as_newer_clients_write_them(tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2 as pb

    run = pb.Record(run=pb.RunRecord(run_id="new", project="dkt"))
    row = pb.Record(history=pb.HistoryRecord(step=pb.HistoryStep(num=3)))
    typed = {
        "b": {"boolean": True},
        "i": {"integer": -5},
        "f": {"number": 0.1},
        "t": {"text": "hi"},
        "j": {"json": "[1]"},
    }
    for key, value in typed.items():
        row.history.item.add(nested_key=[key], **value)
    (source,) = find(written(tmp_path, run.SerializeToString(), row.SerializeToString()), pytest.fail)
    records = [record for part in source.read() for record in part.records]
    (history,) = [record for record in records if isinstance(record, History)]
    assert (history.step, history.data) == (3, {"b": True, "i": -5, "f": 0.1, "t": "hi", "j": [1]})
