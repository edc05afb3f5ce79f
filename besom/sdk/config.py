"""A run's config: hyperparameters as items and attributes, each change written as a record at once.

It behaves as a dictionary. Keys that a sweep chose are locked: setting one again is ignored with one warning, because
the sweep would otherwise learn from values that were never used. `plain` turns what scripts pass as config (an argparse
Namespace, an omegaconf config, a dataclass, absl flags, a YAML file) into nested plain data.
Does not know where records go: it is given a `write`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.sdk import notice
from besom.sdk.redact import redact_data


class Config(MutableMapping[str, Any]):
    """Config of a run. `write(record)` is called once for each change; without it, changes are only held."""

    __slots__ = ("_locked", "_values", "_write")

    def __init__(self, write: Callable[[rec.Record], object] | None = None) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_locked", {})
        object.__setattr__(self, "_write", write)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if key in self._locked:
            notice.warn(f"config.{key} was chosen by the sweep and stays", f"locked {key}")
            return
        del self._values[key]
        self._record(rec.Config({}, (key,)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                f"the config has no {name!r}; it has {', '.join(map(str, self)) or 'no keys yet'}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return repr(self._values)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self.as_dict(),)  # to a spawned child it travels as plain data

    def keys(self) -> Any:
        """The keys, as a dictionary gives them."""
        return self._values.keys()

    def items(self) -> Any:
        """(key, value) pairs, as a dictionary gives them."""
        return self._values.items()

    def as_dict(self) -> dict[str, Any]:
        """A copy as a plain dictionary."""
        return dict(self._values)

    def update(self, data: Any = None, /, allow_val_change: bool | None = None, **more: Any) -> None:
        """Set many keys as one record. `data`: whatever `plain` understands. `allow_val_change` is not needed here."""
        changes = {**plain(data), **more}
        for key in [key for key in changes if key in self._locked]:
            if changes.pop(key) != self._locked[key]:
                notice.warn(f"config.{key} was chosen by the sweep ({self._locked[key]!r}) and stays", f"locked {key}")
        if changes:
            self._values.update(changes)
            self._record(rec.Config(plain(changes)))

    def setdefaults(self, data: Any) -> dict[str, Any]:
        """Set the keys that are not set yet, and return the config as a dictionary."""
        self.update({key: value for key, value in plain(data).items() if key not in self._values})
        return self.as_dict()

    def begin(self, values: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        """What a run begins with, as one record. `chosen` by a sweep wins, and can no more be changed."""
        changes = {**plain(values), **plain(chosen)}
        self._locked.update({key: changes[key] for key in chosen})
        self._values.update(changes)
        if changes:
            self._record(rec.Config(changes))

    def take(self, values: Mapping[str, Any]) -> None:
        """What the run held before it was resumed; it is recorded already."""
        self._values.update(values)

    def _record(self, record: rec.Config) -> None:
        if self._write is not None:
            self._write(rec.Config(redact_data(record.update), record.remove))


def plain(data: Any) -> dict[str, Any]:
    """Config in any usual form as a dictionary with string keys; nested forms inside are turned too.

    Raises UsageError for something that holds no named values.
    """
    if data is None:
        return {}
    if isinstance(data, (str, Path)):
        data = _from_file(Path(data))
    found = _as_mapping(data)
    if found is None and isinstance(data, Iterable):
        try:
            found = dict(data)  # pairs
        except (TypeError, ValueError):
            found = None
    if found is None:
        raise UsageError(
            f"a config is a dictionary, an argparse Namespace, an omegaconf config, a dataclass or the name of a YAML file, not {type(data).__name__}"
        )
    return {str(key): _plain(value, (id(data),)) for key, value in found.items()}


def select(data: Mapping[str, Any], include: Iterable[str] | None, exclude: Iterable[str] | None) -> dict[str, Any]:
    """The keys named by `include`, or all but those named by `exclude`."""
    if include and exclude:
        raise UsageError("config_include_keys and config_exclude_keys exclude each other: give one")
    if include:
        return {key: data[key] for key in include if key in data}
    left_out = set(exclude or ())
    return {key: value for key, value in data.items() if key not in left_out}


def _plain(value: Any, above: tuple[int, ...]) -> Any:
    """`above`: ids of what holds the value. What holds itself, or lies below 60 levels, is left to the codec."""
    if value is None or isinstance(value, (str, int, float)) or id(value) in above or len(above) > 60:
        return value
    inside = (*above, id(value))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [_plain(item, inside) for item in value]
    found = _as_mapping(value)
    if found is not None:
        return {str(key): _plain(item, inside) for key, item in found.items()}
    return value


def _as_mapping(data: Any) -> Mapping[Any, Any] | None:
    """`data` as a mapping, when it is one in disguise. Third-party types are known by their shape, never imported."""
    if isinstance(data, dict):
        return data
    if type(data).__module__.partition(".")[0] == "omegaconf" and "omegaconf" in sys.modules:
        found = sys.modules["omegaconf"].OmegaConf.to_container(data, resolve=True)
        return found if isinstance(found, Mapping) else None
    if isinstance(data, Mapping):
        return data
    if "argparse" in sys.modules and isinstance(data, sys.modules["argparse"].Namespace):
        return dict(vars(data))
    if isinstance(data, msgspec.Struct):
        return msgspec.structs.asdict(data)
    if not isinstance(data, type):
        if hasattr(data, "__dataclass_fields__"):
            return {name: getattr(data, name) for name in data.__dataclass_fields__}
        for method in ("flag_values_dict", "model_dump", "_asdict"):  # absl flags, pydantic, named tuples
            if callable(getattr(data, method, None)):
                found = getattr(data, method)()
                return found if isinstance(found, Mapping) else None
    return None


def _from_file(path: Path) -> Any:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"a config given as text is the name of a YAML file, and {str(path)!r} cannot be read: {error}"
        ) from error
    return unwrap(found) if isinstance(found, dict) else found


def unwrap(data: Mapping[str, Any]) -> dict[str, Any]:
    """``{key: {value: x, desc: ...}}``, the form of W&B's files, as ``{key: x}``; other values stay as they are."""
    return {
        str(key): item["value"]
        if isinstance(item, Mapping) and "value" in item and set(item) <= {"value", "desc"}
        else item
        for key, item in data.items()
    }
