"""Names: ids, readable run names, paths of runs and sweeps, dotted keys."""

from __future__ import annotations

import getpass
import os
import re
import socket
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from besom.core.errors import UsageError

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")

_ADJECTIVES = """
    amber ashen autumn bold brisk bright calm clear clever coastal copper crisp dappled dawn deep dewy dusky early
    eager evening fair fallow fern fleet fresh frosty gentle gilded golden green hardy hazel honest hushed inky
    ivory keen kind lively lofty lucid lunar mellow merry misty mossy nimble noble north pale patient plain polar
    proud quick quiet rapid rosy rustic sage sandy silver smooth snowy solar spry steady still stout sunny swift
    tawny tidal tranquil vivid warm wild winter wise woven
"""
_NOUNS = """
    acorn alder arbor aspen barley bay beech birch bloom bough bracken branch briar brook broom cedar clover cloud
    cove creek crest dale delta dune elm ember fen fern field fir fjord flax gale glade glen grove harbor haven
    hazel heath heron hill holly hollow iris island ivy juniper lake larch lark laurel leaf lichen ling linden
    maple marsh meadow mesa mist moor moss oak orchard otter peak pine plain poplar prairie rain reed ridge river
    robin rowan rush sedge shore sorrel sparrow spring spruce stone stream thicket thistle thorn tide vale wave
    willow wren yarrow yew
"""
_DOWN = "loss error err mse mae rmse nll perplexity ppl wer cer fid time latency"
"""Words of metrics that are better when they are smaller."""


class RunPath(NamedTuple):
    """The full name of a run. Ids are unique within a project."""

    entity: str
    project: str
    id: str


class SweepPath(NamedTuple):
    """The full name of a sweep. Prints as ``entity/project/id``."""

    entity: str
    project: str
    id: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"


def new_id(length: int = 8) -> str:
    """A random id of base-36 letters; 8 of them are 41 bits."""
    return "".join(_choice(ALPHABET) for _ in range(length))


def new_name() -> str:
    """A readable random run name, e.g. ``crisp-clover-412``."""
    return f"{_choice(_ADJECTIVES.split())}-{_choice(_NOUNS.split())}-{_below(900) + 100}"


def _below(n: int) -> int:
    """A random integer in [0, n), even to 1 in 2^50. (`secrets` would cost a script 4 ms at import.)"""
    return int.from_bytes(os.urandom(8), "big") % n


def _choice(items: Sequence[str]) -> str:
    return items[_below(len(items))]


def login_name() -> str:
    """The user's login name, the default entity; "local" where the machine does not know one."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in a container, no pwd module
        return "local"
    return clean(name) or "local"


def machine() -> str:
    """This host, with a mark of its boot and pid namespace: ``name#mark``. Pids compare only where it is the same."""
    try:
        marks = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux, or hidden
        marks = ""
    return f"{socket.gethostname()}#{zlib.crc32(marks.encode()):08x}"


def clean(text: str) -> str:
    """`text` with everything that may not stand in an id or a URL turned into dashes, at most 128 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:128]


def check_id(text: str, what: str = "id") -> str:
    """`text`, if it may stand in a path of a URL. Raises UsageError otherwise."""
    if not _ID.match(text) or text in (".", ".."):
        raise UsageError(f"a {what} has 1 to 128 of the characters A-Z a-z 0-9 _ . -, and {text!r} has not")
    return text


def parse_sweep_path(text: str, *, entity: str, project: str | None) -> SweepPath:
    """``ID``, ``PROJECT/ID`` or ``ENTITY/PROJECT/ID``; what is not named comes from the defaults.

    Raises UsageError for another form, or when an ID alone comes without a default project.
    """
    parts = text.strip().strip("/").split("/")
    if len(parts) == 1 and project:
        parts = [entity, project, *parts]
    elif len(parts) == 2:
        parts = [entity, *parts]
    if len(parts) != 3 or not all(parts):
        raise UsageError(
            f"a sweep is ENTITY/PROJECT/SWEEP_ID, PROJECT/SWEEP_ID or SWEEP_ID, and {text!r} is none of them"
        )
    return SweepPath(*parts)


def flatten(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) pairs of nested mappings; an empty mapping is a value. Not recursive, so depth is no limit.

    >>> dict(flatten({"a": {"b": 1}, "c": 2}))
    {'a.b': 1, 'c': 2}
    """
    stack = [(prefix, iter(data.items()))]
    while stack:
        before, items = stack[-1]
        for key, value in items:
            name = f"{before}.{key}" if before else str(key)
            if isinstance(value, Mapping) and value:
                stack.append((name, iter(value.items())))
                break
            yield name, value
        else:
            stack.pop()


def goal_of(metric: str, declared: str | None = None) -> str:
    """ "minimize" or "maximize": as declared, else by the habits of the field (loss, error and time go down)."""
    if declared in ("minimize", "maximize"):
        return declared
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    return "minimize" if words.intersection(_DOWN.split()) or metric.lower().endswith("loss") else "maximize"
