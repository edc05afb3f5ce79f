"""Files, media, tables and artifacts: thin, but what a script hands over is kept."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import besom
from besom.core import record as rec
from besom.core.errors import NotFound, UsageError
from besom.sdk.media import Image


def blob(store: Any, digest: str) -> bytes:
    content = (store.folder / "blobs" / digest[:2] / digest).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    return content


def pixels(png: bytes) -> Any:
    """The rows of a PNG without filters, as an array."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data = 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + content),)
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", content[:10])
        elif kind == b"IDAT":
            data += content
        at += 12 + size
    channels = {0: 1, 2: 3, 6: 4}[colour]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize(
    ("array", "shape", "largest"),
    [
        (np.zeros((4, 6), np.uint8) + 7, (4, 6, 1), 7),
        (np.full((4, 6, 3), 0.5), (4, 6, 3), 127),
        (np.full((3, 4, 6), 300), (4, 6, 3), 255),
        (np.ones((4, 6, 4), bool), (4, 6, 4), 255),
        (np.ones((1, 4, 6)), (4, 6, 1), 255),
        (np.full((4, 6), np.nan), (4, 6, 1), 0),
    ],
)
def test_arrays_become_pictures(store: Any, array: Any, shape: tuple[int, ...], largest: int) -> None:
    with besom.init() as run:
        run.log({"sample": Image(array, caption="a digit"), "loss": 1})
    ((_, data),) = store.rows()
    assert data["loss"] == 1 and data["sample._type"] == "image" and data["sample.caption"] == "a digit"
    picture = pixels(blob(store, data["sample.digest"]))
    assert picture.shape == shape and picture.max() == largest
    (file,) = store.of(rec.File)
    assert (
        file.digest == data["sample.digest"]
        and file.path.startswith("media/sample_")
        and file.size == data["sample.size"]
    )


def test_what_is_no_picture_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="a picture has the shape"):
        Image(np.zeros(5))


def test_figures_and_pil_pictures(store: Any, tmp_path: Path) -> None:
    class Figure:
        def savefig(self, file: Any, format: str) -> None:
            file.write(b"drawn as " + format.encode())

    class Picture:
        def getbands(self) -> tuple[str, ...]:
            return ("L",)

        def save(self, file: Any, format: str) -> None:
            file.write(b"saved as " + format.encode())

    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    with besom.init() as run:
        run.log({"f": Image(Figure()), "p": [Image(Picture()), Image(tmp_path / "a.jpg")]})
    ((_, data),) = store.rows()
    assert blob(store, data["f.digest"]) == b"drawn as png"
    assert blob(store, data["p.0.digest"]) == b"saved as PNG"
    assert blob(store, data["p.1.digest"]) == b"jpeg" and data["p.1.format"] == "jpg"


def test_histograms_pages_and_sounds(store: Any, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with besom.init() as run:
        run.log({
            "h": besom.Histogram([0.0, 1.0, 1.0, float("nan")], num_bins=2),
            "e": besom.Histogram(np_histogram=np.histogram([1, 2, 3], bins=2)),
            "c": besom.Histogram([5, 5]),
            "page": besom.Html("<b>x</b>"),
            "sound": besom.Audio(str(tmp_path / "a.wav")),
            "nested": {"film": besom.Video(io.BytesIO(b"film"), format="gif")},
        })  # fmt: skip
    ((_, data),) = store.rows()
    assert (data["h.values"], data["h.bins"]) == ([1.0, 2.0], [0.0, 0.5, 1.0])
    assert (data["e.values"], data["e.bins"]) == ([1.0, 2.0], [1.0, 2.0, 3.0])
    assert sum(data["c.values"]) == 2
    assert blob(store, data["page.digest"]) == b"<b>x</b>" and blob(store, data["sound.digest"]) == b"RIFF"
    assert blob(store, data["nested.film.digest"]) == b"film" and data["nested.film.format"] == "gif"


def test_tables(store: Any) -> None:
    table = besom.Table(columns=["id", "score"])
    table.add_data(1, np.float32(0.5))
    table.add_data("two", float("nan"))
    table.add_column("odd", [object, {"a": 1}])
    with pytest.raises(UsageError, match="one value for each of the 3 columns, not 1"):
        table.add_data(1)
    with pytest.raises(UsageError, match="one value for each of the 2 rows, not 1"):
        table.add_column("x", [1])
    with besom.init() as run:
        run.log({"t": table})
    ((_, data),) = store.rows()
    assert (data["t._type"], data["t.rows"], data["t.columns"]) == ("table", 2, 3)
    assert json.loads(blob(store, data["t.digest"])) == {
        "columns": ["id", "score", "odd"], "data": [[1, 0.5, "<class 'object'>"], ["two", "nan", {"a": 1}]]
    }  # fmt: skip
    assert table.get_column("id") == [1, "two"]


def test_a_frame_becomes_a_table() -> None:
    import pandas

    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for table in (besom.Table(dataframe=frame), besom.Table(data=frame)):
        assert (table.columns, table.data) == (["a", "b"], [[1, "x"], [2, "y"]])


def test_files_are_kept_as_they_are_now(store: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("first")
    (tmp_path / "out" / "b.bin").write_bytes(b"b")
    with besom.init() as run:
        assert besom.save("out/*.txt") == ["out/a.txt"]
        (tmp_path / "out" / "a.txt").write_text("second")
        assert run.save(str(tmp_path / "out"), base_path=str(tmp_path / "out")) == ["a.txt", "b.bin"]
        assert run.save("nothing*") == []
    files = store.of(rec.File)
    assert [(file.path, blob(store, file.digest)) for file in files] == [
        ("out/a.txt", b"first"), ("a.txt", b"second"), ("b.bin", b"b")
    ]  # fmt: skip
    assert not list((store.folder / "blobs").glob("incoming*"))


def test_many_threads_keep_the_same_content(store: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a" * 3_000_000)
    picture = besom.Html("<b>same</b>")
    with besom.init() as run, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: (run.save(tmp_path / "a.txt"), run.log({"p": picture})), range(40)))
    assert run.dropped == {} and {type(data["p._type"]) for _, data in store.rows()} == {str}
    assert {(len(blob(store, file.digest)), file.size) for file in store.of(rec.File)} == {
        (3_000_000, 3_000_000),
        (11, 11),
    }
    assert len([path for path in (store.folder / "blobs").rglob("*") if path.is_file()]) == 2


def test_artifacts(store: Any, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x").write_text("x")
    (tmp_path / "model.pt").write_bytes(b"weights")
    with besom.init() as run:
        made = besom.Artifact("model", type="model", metadata={"acc": 0.5})
        made.add_file(str(tmp_path / "model.pt"))
        made.add_dir(str(tmp_path / "data"), name="data")
        made.add_reference("s3://bucket/big.bin")
        besom.log_artifact(made, aliases=["best"]).wait()
        run.log_artifact(str(tmp_path / "model.pt"), name="plain", type="file")
        besom.use_artifact("dataset:latest")
    first, second, used = store.of(rec.Artifact)
    assert (first.name, first.type, first.aliases, first.use) == ("model", "model", ("best",), False)
    assert first.meta == {"acc": 0.5, "references": {"big.bin": "s3://bucket/big.bin"}}
    assert {name: blob(store, digest) for name, digest in first.entries.items()} == {
        "model.pt": b"weights", "data/deep/x": b"x"
    }  # fmt: skip
    assert (second.name, list(second.entries)) == ("plain", ["model.pt"])
    assert (used.name, used.use) == ("dataset:latest", True)
    with pytest.raises(NotFound, match="there is no file"):
        made.add_file("none")
    with pytest.raises(NotFound, match="there is no folder"):
        made.add_dir("none")


def test_a_folder_for_the_run(store: Any) -> None:
    with besom.init() as run:
        (Path(run.dir) / "x").write_text("x")
        assert Path(run.dir).is_relative_to(store.folder)


def test_a_store_without_room_for_files_keeps_the_numbers(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("a")

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("besom.sdk.artifact._place", full)
    with besom.init() as run:
        run.log({"sample": Image(np.zeros((2, 2))), "loss": 1})
        assert run.save("a.txt") == []
        run.log_artifact("a.txt")
    ((_, data),) = store.rows()
    assert data["loss"] == 1 and "Image" in data["sample"]
    assert sum(run.dropped.values()) == 2
    assert "No space left on device" in capsys.readouterr().err
