"""TensorBoard's folders: scalars of both kinds of writer, hyperparameters, several runs, files that are cut or damaged."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from besom.exchange.tensorboard import _masked, events
from besom.settings import load


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tensorboard.summary import Writer
    from tensorboardX import SummaryWriter

    root = tmp_path_factory.mktemp("tb") / "digits"
    with SummaryWriter(str(root / "a")) as writer:
        for step in range(4):
            writer.add_scalar("loss/train", 1 / (step + 1), step, walltime=1000.0 + step)
            writer.add_scalar("acc", step / 4, step, walltime=1000.0 + step)
        writer.add_scalar("acc", 0.9, 3, walltime=1010.0)
        writer.add_histogram("weights", [1, 2, 3], 3)
        writer.add_text("note", "hello", 3)
        writer.add_scalar("inf", float("inf"), 4)
    with SummaryWriter(str(root / "hp")) as writer:
        writer.add_hparams({"lr": 0.1, "layers": 2, "opt": "adam", "amsgrad": True}, {"acc": 0.75}, name="one")
    for part in ("train", "validation"):
        keras = Writer(str(root / "keras" / part))
        for step in range(3):
            keras.add_scalar("epoch_loss", 0.5**step, step)
        keras.close()
    return root


def test_every_folder_is_a_run(besom, runs, client, logs: Path) -> None:
    assert "in" in besom("import", "tensorboard", logs).stdout
    found = runs("digits")
    assert set(found) == {"a", "hp/one", "keras/train", "keras/validation"}
    assert {run.state for run in found.values()} == {"finished"}
    rows = client.rows(load().entity, "digits", found["a"].id).columns
    assert rows["_step"] == [0, 1, 2, 3, 3, 4]  # a value that came again at step 3 is not lost
    assert rows["acc"] == pytest.approx([0, 0.25, 0.5, 0.75, 0.9, None]) and rows["inf"][-1] == float("inf")
    assert rows["loss/train"][:4] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4]) and rows["_time"][0] == 1000.0
    assert set(rows) == {"_step", "_time", "acc", "loss/train", "inf"}
    assert found["hp/one"].config == {"lr": 0.1, "layers": 2, "opt": "adam", "amsgrad": True}
    assert found["hp/one"].metrics["acc"].last == 0.75
    keras = found["keras/validation"]
    assert keras.group == "keras" and client.rows(load().entity, "digits", keras.id).columns["epoch_loss"] == [
        1,
        0.5,
        0.25,
    ]


def test_importing_a_part_again_adds_nothing(besom, kept, logs: Path) -> None:
    besom("import", "tensorboard", logs)
    before = kept("digits")
    for place in (logs, logs / "a", logs / "keras", next((logs / "a").iterdir())):
        besom("import", "tensorboard", place, "-p", "digits")
    after = kept("digits")
    assert before.keys() == after.keys() and all(before[id]["rows"] == after[id]["rows"] for id in before)


def test_a_run_that_went_on_is_continued(besom, kept, logs: Path, tmp_path: Path) -> None:
    (file,) = (logs / "a").iterdir()
    whole = file.read_bytes()
    growing = tmp_path / "a" / file.name
    growing.parent.mkdir()
    for size in (150, 400, len(whole)):
        growing.write_bytes(whole[:size])
        besom("import", "tensorboard", growing, "-p", "digits")
    besom("import", "tensorboard", logs / "a", "-p", "at-once")
    assert kept("digits") == kept("at-once")


def test_a_damaged_file_gives_no_wrong_value(logs: Path, tmp_path: Path) -> None:
    (file,) = (logs / "a").iterdir()
    whole, hurt = file.read_bytes(), tmp_path / "hurt"
    all_of_it = list(events(file, pytest.fail))
    for size in range(12, len(whole), 5):
        hurt.write_bytes(whole[:size])
        some = list(events(hurt, pytest.fail))
        assert some == all_of_it[: len(some)]
    dice = random.Random(3)
    for _ in range(100):
        at = dice.randrange(12, len(whole))
        hurt.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        warnings: list[str] = []
        assert set(events(hurt, warnings.append)) < set(all_of_it) and "byte" in warnings[0]


@pytest.mark.parametrize("size", [1 << 40, (1 << 64) - 1])
def test_a_length_beyond_the_file_is_not_believed(logs: Path, tmp_path: Path, size: int) -> None:
    (file,) = (logs / "a").iterdir()
    length, hurt = struct.pack("<Q", size), tmp_path / "hurt"
    hurt.write_bytes(file.read_bytes() + length + struct.pack("<I", _masked(length)) + b"x" * 100)
    assert list(events(hurt, pytest.fail)) == list(events(file, pytest.fail))
