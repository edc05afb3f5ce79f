"""Pictures, histograms, pages and the like, as values in a row: thin, but what is logged is kept.

A medium becomes its bytes, kept under their SHA-256, and a small map in the row that names them. `resolve` is called only
for rows in which the codec met a value that it does not know, so that the hot path never looks for media.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Keep = Callable[[bytes, str], str]
"""Keeps (content, name within the run) and gives its SHA-256 in hex, or "" when nothing is kept."""


class Medium:
    """A value that is more than a number. `kind` names it in the row."""

    kind = "medium"

    def record(self, keep: Keep, key: str) -> dict[str, Any]:
        """The map that stands in the row for it."""
        raise NotImplementedError

    def _kept(self, keep: Keep, key: str, content: bytes, suffix: str, **more: Any) -> dict[str, Any]:
        digest = keep(content, f"media/{key}_{zlib.crc32(content):08x}{suffix}")
        facts = {name: value for name, value in more.items() if value is not None}
        return {"_type": self.kind, "digest": digest, "size": len(content), "format": suffix.lstrip("."), **facts}


class _File(Medium):
    """A medium that is given as a path or as bytes."""

    def __init__(self, data: Any, suffix: str, caption: str | None) -> None:
        self._suffix, self._caption = suffix, caption
        if isinstance(data, (str, Path)):
            self._content = Path(data).read_bytes()
            self._suffix = Path(data).suffix or suffix
        else:
            self._content = data.read() if hasattr(data, "read") else bytes(data)

    def record(self, keep: Keep, key: str) -> dict[str, Any]:
        return self._kept(keep, key, self._content, self._suffix, caption=self._caption)


class Image(Medium):
    """A picture: a path, a PIL image, a matplotlib figure, or an array of (h, w), (h, w, 3) or (h, w, 4).

    Arrays of floats are taken as 0 to 1, of integers as 0 to 255; (3, h, w) tensors are turned.
    """

    kind = "image"

    def __init__(self, data_or_path: Any, mode: str | None = None, caption: str | None = None, **_: Any) -> None:
        self._caption = caption
        self._suffix = ".png"
        if isinstance(data_or_path, (str, Path)):
            self._content = Path(data_or_path).read_bytes()
            self._suffix = Path(data_or_path).suffix or ".png"
        else:
            self._content = _picture(data_or_path)

    def record(self, keep: Keep, key: str) -> dict[str, Any]:
        return self._kept(keep, key, self._content, self._suffix, caption=self._caption)


class Html(_File):
    """A page: its text, an open file, or (`data_is_not_path` False) the name of a file."""

    kind = "html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = True) -> None:
        text = isinstance(data, str) and (data_is_not_path or not Path(data).is_file())
        super().__init__(
            data.encode() if text else data.read().encode() if isinstance(data, io.StringIO) else data, ".html", None
        )


class Audio(_File):
    """A sound: the name of a file, or its bytes."""

    kind = "audio"

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        super().__init__(data_or_path, ".wav", caption)


class Video(_File):
    """A film: the name of a file, or its bytes."""

    kind = "video"

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: int | None = None, format: str = "mp4"
    ) -> None:
        super().__init__(data_or_path, f".{format}", caption)


class Histogram(Medium):
    """Counts of a sequence in `num_bins` equal bins, or ready as ``np_histogram=(counts, edges)``. NaN and Inf are left out."""

    kind = "histogram"

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        if np_histogram is not None:
            counts, edges = np_histogram
            self.counts, self.edges = [float(n) for n in counts], [float(x) for x in edges]
        else:
            self.counts, self.edges = _histogram(_numbers(sequence), max(1, min(int(num_bins), 512)))

    def record(self, keep: Keep, key: str) -> dict[str, Any]:
        return {"_type": self.kind, "values": self.counts, "bins": self.edges}


def resolve(data: dict[str, Any], keep: Keep, prefix: str = "") -> dict[str, Any]:
    """`data` with media as maps; `data` itself when it holds none."""
    changed = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Medium):
            changed[key] = value.record(keep, _file_name(name))
        elif isinstance(value, (list, tuple)) and value and all(isinstance(item, Medium) for item in value):
            changed[key] = {str(i): item.record(keep, f"{_file_name(name)}_{i}") for i, item in enumerate(value)}
        elif isinstance(value, Mapping):
            inner = dict(value)
            found = resolve(inner, keep, f"{name}.")
            if found is not inner:
                changed[key] = found
    return {**data, **changed} if changed else data


def _file_name(key: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in key)[:80]


def _numbers(sequence: Any) -> list[float]:
    for method in ("detach", "cpu", "ravel", "tolist"):
        if hasattr(sequence, method):
            sequence = getattr(sequence, method)()
    return [x for x in map(float, sequence if isinstance(sequence, Iterable) else [sequence]) if x - x == 0]


def _histogram(values: list[float], bins: int) -> tuple[list[float], list[float]]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = [0.0] * bins
    for value in values:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    return counts, [low + (high - low) * i / bins for i in range(bins + 1)]


def _picture(data: Any) -> bytes:
    """PNG bytes of whatever looks like a picture."""
    file = io.BytesIO()
    figure: Any = data if hasattr(data, "savefig") else getattr(data, "figure", None)
    if hasattr(figure, "savefig"):
        figure.savefig(file, format="png")
        return file.getvalue()
    if callable(getattr(data, "save", None)) and hasattr(data, "getbands"):  # PIL
        data.save(file, format="PNG")
        return file.getvalue()
    return _png(data)


def _png(array: Any) -> bytes:
    import numpy as np

    for method in ("detach", "cpu"):
        if hasattr(array, method):
            array = getattr(array, method)()
    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError(f"a picture has the shape (h, w), (h, w, 3) or (h, w, 4), not {pixels.shape}")
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels) * 255
    elif pixels.dtype.kind == "b":
        pixels = pixels * 255
    pixels = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2 if pixels.shape[2] == 3 else 6
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)), (b"IDAT", zlib.compress(lines))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in [*parts, (b"IEND", b"")])


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
