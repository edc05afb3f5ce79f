"""Contents are kept once, whole, under the name of what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.core.errors import NotFound, UsageError
from besom.store.blobs import Blobs


def test_a_content_comes_back_and_is_kept_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    (tmp_path / "model.bin").write_bytes(b"weights" * 1000)
    blob = blobs.put_file(tmp_path / "model.bin")
    assert blob == (hashlib.sha256(b"weights" * 1000).hexdigest(), 7000)
    assert blobs.put([b"weights"] * 1000) == blob
    with blobs.open(blob.digest) as file:
        assert file.read() == b"weights" * 1000
    assert (
        blobs.path(blob.digest).relative_to(blobs.folder).as_posix() == f"{blob.digest[:2]}/{blob.digest}"
    )  # as sdk/artifact.py
    assert len([path for path in blobs.folder.rglob("*") if path.is_file()]) == 1
    blobs.delete(blob.digest)
    blobs.delete(blob.digest)
    assert not blobs.has(blob.digest)


def test_a_content_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(ConnectionError):
        blobs.put(broken())
    assert list(blobs.folder.iterdir()) == []


def test_a_content_that_is_not_what_was_promised_is_refused(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(UsageError, match="was promised"):
        blobs.put([b"other"], expect="0" * 64)
    assert list(blobs.folder.iterdir()) == []


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_reaches_no_file(tmp_path: Path, digest: str) -> None:
    with pytest.raises(UsageError):
        Blobs(tmp_path).open(digest)


def test_a_content_that_is_not_kept_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Blobs(tmp_path).open("0" * 64)
