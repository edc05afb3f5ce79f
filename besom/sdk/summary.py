"""A run's summary: the last value of each metric, and what the user sets.

Reading folds the records that the run wrote since the last reading; `log()` itself does nothing for it. Keys are kept
flat with dotted names, and read back as nested views: ``run.summary["best"]["acc"]`` and ``run.summary["best.acc"]`` are
the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from besom.core import record as rec
from besom.core.names import flatten


class Summary(MutableMapping[str, Any]):
    """Summary of a run, or the part of it below `prefix`. `read()` gives the flat summary, `write(record)` changes it."""

    __slots__ = ("_prefix", "_read", "_write")

    def __init__(
        self, read: Callable[[], Mapping[str, Any]], write: Callable[[rec.Record], object], prefix: str = ""
    ) -> None:
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_write", write)
        object.__setattr__(self, "_prefix", prefix)

    def __getitem__(self, key: str) -> Any:
        flat, name = self._read(), self._prefix + key
        if name in flat:
            return flat[name]
        if any(other.startswith(name + ".") for other in flat):
            return Summary(self._read, self._write, name + ".")
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        name = self._prefix + key
        gone = tuple(other for other in self._read() if other == name or other.startswith(name + "."))
        if not gone:
            raise KeyError(key)
        self._write(rec.Summary({}, gone))

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        return iter([key[start:] for key in self._read() if key.startswith(self._prefix)])

    def __len__(self) -> int:
        return sum(key.startswith(self._prefix) for key in self._read())

    def __contains__(self, key: object) -> bool:
        name = f"{self._prefix}{key}"
        return any(other == name or other.startswith(name + ".") for other in self._read())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)  # to a spawned child it travels as plain data

    def update(self, data: Any = None, /, **more: Any) -> None:
        """Set many keys as one record; nested dictionaries become dotted keys."""
        changes = {**dict(data or {}), **more}
        flat = dict(flatten(changes, self._prefix.removesuffix(".")))
        if flat:
            self._write(rec.Summary(flat))
