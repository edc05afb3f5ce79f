"""Runs from MLflow: its database, or its older folder `mlruns`. An experiment is a project.

Params, which MLflow keeps as text, become the numbers that they spell. Needs no MLflow: the tables are read through
SQLAlchemy (any database that it speaks), the folder as the text files that it is. Does not know where records go.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import sqlalchemy as sa
import yaml

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.exchange.source import Part, Source, Warn, ended, last, meta, number, rows, run_id

_STATES = {
    "RUNNING": rec.RUNNING,
    "SCHEDULED": rec.RUNNING,
    "FINISHED": rec.FINISHED,
    "FAILED": rec.FAILED,
    "KILLED": rec.KILLED,
}
_NUMBERED = ("", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
"""States as the folder numbers them."""
Point = tuple[float, int, str, float]
"""(milliseconds, step, metric, value): in this order a run writes them."""


class _Found(NamedTuple):
    """What both stores tell of a run. Times are milliseconds since the epoch."""

    id: str
    name: str
    project: str
    state: str
    begun: float
    ended: float | None
    user: str
    artifacts: str
    """Address of the folder with its files."""


class _Content(NamedTuple):
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Iterable[Point]


def find(path: Path | str, warn: Warn) -> list[Source]:
    """The runs of a database (a file, or an address like `postgresql://...`) or of a folder. Raises UsageError."""
    if isinstance(path, Path) and path.is_dir():
        inside = path / "mlruns" if (path / "mlruns").is_dir() else path
        if (path / "mlflow.db").is_file() and not any(path.glob("*/*/meta.yaml")):
            return _in_database(path / "mlflow.db")
        return _in_folder(inside, warn)
    return _in_database(path)


def _source(run: _Found, content: Callable[[], _Content]) -> Source:
    folder = Path(unquote(run.artifacts.removeprefix("file://"))).absolute()
    here = folder if folder.parts[-2:] == (run.id, "artifacts") and folder.is_dir() else None
    return Source(run_id(run.id), run.name or run.id, run.project, lambda: _read(run, content()), here)


def _read(run: _Found, content: _Content) -> Iterator[Part]:
    begun, end = run.begun / 1000, (run.ended or run.begun) / 1000
    kind = meta("mlflow")
    points = ((step, time / 1000, key, value) for time, step, key, value in sorted(content.points))
    log = _log(rec.Run(begun, starts=True, meta=kind), points)
    yield Part(f"mlflow-{run_id(run.id)}", log)
    tags = dict(content.tags)
    facts = meta(
        "mlflow",
        user=run.user or tags.get("mlflow.user"),
        program=tags.get("mlflow.source.name"),
        git_commit=tags.get("mlflow.source.git.commit"),
        git_remote=tags.get("mlflow.source.git.repoURL"),
    )
    words = tuple(f"{key}={value}" for key, value in sorted(tags.items()) if not key.startswith("mlflow."))
    named = rec.Run(
        end,
        name=run.name or None,
        group=tags.get("mlflow.parentRunId"),
        tags=words,
        notes=tags.get("mlflow.note.content"),
        meta=facts,
    )
    config = rec.Config({key: number(value) for key, value in content.params.items()})
    yield last("mlflow", named, config, ended(end, _STATES.get(run.state, rec.FAILED)))


def _log(first: rec.Run, points: Iterable[tuple[int, float, str, Any]]) -> Iterator[rec.Record]:
    yield first
    yield from rows(points)


# A database


def _in_database(place: Path | str) -> list[Source]:
    try:
        engine = sa.create_engine(read_only(place) if isinstance(place, Path) else place)
        with engine.connect() as c:
            found = c.execute(sa.text(
                "SELECT r.run_uuid, r.name, e.name, r.status, r.start_time, r.end_time, r.user_id, r.artifact_uri FROM runs r"
                " JOIN experiments e ON e.experiment_id = r.experiment_id"
                " WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid"
            )).all()  # fmt: skip
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise UsageError(f"{place}: this is no database of MLflow: {reason}") from error
    if not found:
        raise UsageError(f"{place}: there is no run of MLflow here")
    runs = [
        _Found(id, name or "", of, state, begun or 0, end, user or "", artifacts or "")
        for id, name, of, state, begun, end, user, artifacts in found
    ]
    return [_source(run, partial(_of_database, engine, run.id)) for run in runs]


def read_only(file: Path) -> str:
    """The address of a file of SQLite that is opened as it is: never made, never changed."""
    named = sa.URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query={"mode": "ro", "uri": "true"})
    return named.render_as_string()


def _of_database(engine: sa.Engine, id: str) -> _Content:
    with engine.connect() as c:

        def ask(columns: str, table: str) -> list[Any]:
            return list(c.execute(sa.text(f"SELECT {columns} FROM {table} WHERE run_uuid = :id"), {"id": id}))

        params, tags = dict(map(tuple, ask("key, value", "params"))), dict(map(tuple, ask("key, value", "tags")))
        metrics = ask("timestamp, step, key, value, is_nan", "metrics")
    points = [(time, step, key, math.nan if nan else _real(value)) for time, step, key, value, nan in metrics]
    return _Content(params, tags, points)


def _real(value: float) -> float:
    """MLflow keeps an infinity as the largest number."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value


# A folder


def _in_folder(root: Path, warn: Warn) -> list[Source]:
    found = []
    for file in sorted(root.glob("*/*/meta.yaml")):
        try:
            run, experiment = _yaml(file), _yaml(file.parent.parent / "meta.yaml")
            if run.get("lifecycle_stage") == "active" and "run_id" in run:
                found.append(_source(_described(file, run, experiment), partial(_of_folder, file.parent)))
        except (UsageError, KeyError, IndexError, TypeError, ValueError) as error:
            warn(
                str(error)
                if isinstance(error, UsageError)
                else f"{file}: a run of MLflow is described here, but not in full"
            )
    if not found:
        raise UsageError(f"{root}: there is no run of MLflow here; a run is a folder mlruns/EXPERIMENT/RUN")
    return found


def _described(file: Path, run: Mapping[str, Any], experiment: Mapping[str, Any]) -> _Found:
    state, user = _NUMBERED[int(run["status"])], run.get("user_id") or ""
    ended = run.get("end_time")
    return _Found(
        str(run["run_id"]),
        str(run.get("run_name") or ""),
        str(experiment["name"]),
        state,
        float(run["start_time"]),
        None if ended is None else float(ended),
        str(user),
        str(file.parent / "artifacts"),
    )


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(_text(file))
    except (OSError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: this is no YAML: {str(error).partition(chr(10))[0]}") from error
    return found if isinstance(found, dict) else {}


def _of_folder(folder: Path) -> _Content:
    points = []
    for file, key in _files(folder / "metrics"):
        for n, line in enumerate(_text(file).splitlines(), 1):
            try:
                time, value, step = line.split(" ")[:3]
                points.append((float(time), int(step), key, float(value)))
            except ValueError:
                raise UsageError(f"{file}: line {n}: a point is TIME VALUE STEP, and this is {line[:80]!r}") from None
    params, tags = ({key: _text(file) for file, key in _files(folder / name)} for name in ("params", "tags"))
    return _Content(params, tags, points)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """(file, key): a key with slashes lies in folders."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file, file.relative_to(folder).as_posix()
