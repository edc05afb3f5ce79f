"""Who a run is: what never changes while it lives, and the fields that a script may assign to. The base of `Run`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from besom.core import record as rec
from besom.sdk import notice
from besom.settings import Settings


class Facts(NamedTuple):
    """What does not change while a run lives."""

    id: str
    entity: str
    project: str
    sweep: str = ""
    resumed: bool = False
    started: float = 0.0


class Identity:
    """Names and places of a run. An assignment to a field is a record at once."""

    _facts: Facts
    _settings: Settings
    _fields: dict[str, Any]
    """What was said last of name, notes, tags, group and job type."""
    _step: int
    _first_step: int

    def _write(self, record: rec.Record) -> bool:
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The run's id, unique within its project."""
        return self._facts.id

    @property
    def entity(self) -> str:
        """Who owns the run."""
        return self._facts.entity

    @property
    def project(self) -> str:
        """The run's project."""
        return self._facts.project

    def project_name(self) -> str:
        """The run's project."""
        return self._facts.project

    @property
    def path(self) -> str:
        """ENTITY/PROJECT/ID."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def sweep_id(self) -> str | None:
        """The sweep of the run, or None."""
        return self._facts.sweep or None

    @property
    def url(self) -> str | None:
        """The run's page; None without a server."""
        return page(self._settings.server, self.path) if self._settings.server else None

    def get_url(self) -> str | None:
        """The run's page; None without a server."""
        return self.url

    @property
    def project_url(self) -> str | None:
        """The project's page; None without a server."""
        return f"{self._settings.server}/{self.entity}/{self.project}" if self._settings.server else None

    @property
    def step(self) -> int:
        """The step that the next row without one gets."""
        return self._step

    @property
    def starting_step(self) -> int:
        """The first step of this process: 0, or where a resumed run goes on."""
        return self._first_step

    @property
    def start_time(self) -> float:
        """When `init()` was called, in seconds since the epoch."""
        return self._facts.started

    @property
    def resumed(self) -> bool:
        """True when a run of this id was there before."""
        return self._facts.resumed

    @property
    def offline(self) -> bool:
        """True when nothing is sent to a server."""
        return not self._settings.server

    @property
    def disabled(self) -> bool:
        """True when nothing is written at all."""
        return self._settings.mode == "disabled"

    @property
    def settings(self) -> Settings:
        """The settings that hold for this run."""
        return self._settings

    @property
    def dir(self) -> str:
        """A folder where the script may put files of this run; it is made when first asked for."""
        folder = self._settings.home / "files" / self.id
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            notice.warn(f"the folder of the run's files cannot be made: {error}")
        return str(folder)

    @property
    def name(self) -> str:
        """A readable name, not necessarily unique."""
        return str(self._fields.get("name", ""))

    @name.setter
    def name(self, value: str) -> None:
        self._set(name=str(value))

    @property
    def notes(self) -> str:
        """Free text."""
        return str(self._fields.get("notes", ""))

    @notes.setter
    def notes(self, value: str | None) -> None:
        self._set(notes=str(value or ""))

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find the run by; ``run.tags += ("new",)`` works."""
        return tuple(self._fields.get("tags", ()))

    @tags.setter
    def tags(self, value: Iterable[str] | str | None) -> None:
        self._set(tags=as_tags(value))

    @property
    def group(self) -> str:
        """Runs of one group are drawn together."""
        return str(self._fields.get("group", ""))

    @group.setter
    def group(self, value: str | None) -> None:
        self._set(group=str(value or ""))

    @property
    def job_type(self) -> str:
        """What kind of work this is: train, eval."""
        return str(self._fields.get("job_type", ""))

    @job_type.setter
    def job_type(self, value: str | None) -> None:
        self._set(job_type=str(value or ""))

    def _set(self, **fields: Any) -> None:
        self._fields.update(fields)
        self._write(rec.Run(time.time(), **fields))


def page(server: str, path: str) -> str:
    """The address of a run's page. `path`: ENTITY/PROJECT/ID."""
    return f"{server}/{path.rpartition('/')[0]}/runs/{path.rpartition('/')[2]}"


def as_tags(value: Iterable[str] | str | None) -> tuple[str, ...]:
    """Tags as a tuple without repeats; one text is one tag."""
    return tuple(dict.fromkeys([value] if isinstance(value, str) else map(str, value or ())))
