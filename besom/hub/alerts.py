"""Alerts: what runs and sweeps have to tell a person, and the channels it goes to.

The walk it serves: ingest -> `Alerting.watch` (inside ingest's transaction: an Alert record or the end of a run becomes one
row, once) -> `deliver` -> notify. With and without a server it is the same; who calls `deliver` differs.

Quiet, so kept and shown but not sent: a run that was killed or preempted, a trial of a sweep that finished (the sweep tells
its own end), what is older than a week or imported, and a title that was sent within its `wait_duration`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import sqlalchemy as sa

from besom.core import record as rec
from besom.core.errors import UsageError, did_you_mean
from besom.core.fold import RunState
from besom.core.plain import as_float
from besom.core.wire import Alerts, AlertView, Channel, SweepView
from besom.hub import notify
from besom.hub.ingest import Appended
from besom.store.alerts import FAILED, SENT, WAITING, AlertRow, AlertStore, ChannelRow, NewAlert
from besom.store.database import Database
from besom.store.sweeps import SweepRow

KINDS = ("slack",)
OLD = 7 * 86400.0
"""Seconds after which nothing is sent any more."""
IMPORTED = "the run was imported"
LONGEST_PAUSE = 300.0
Send = Callable[[str, str], notify.Answer]


class Alerting:
    """Alerts over one store. `address`: of the page, for links; without one a message names the command to type."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        address: str = "",
        send: Send = notify.send,
    ) -> None:
        self._store = AlertStore(database)
        self.address = address
        self._clock, self._send = clock, send

    # In

    def watch(self, connection: sa.Connection, told: Appended) -> None:
        """A Watcher of ingest: keep what these records have to tell."""
        now = self._clock()
        for seq, record in zip(told.seqs, told.records, strict=True):
            if isinstance(record, rec.Alert):
                key = f"{told.pk}:{told.stream}:{seq}"
                quiet = IMPORTED if _imported(told.after) else "older than a week" if record.time < now - OLD else ""
                new = NewAlert(
                    key, record.time, record.title, record.text, record.level, told.pk, quiet=quiet, wait=record.wait
                )
                self._store.add(connection, new, now)
        before, after = told.before, told.after
        ended_before = before is not None and before.state in rec.ENDED and before.started == after.started
        if after.state in rec.ENDED and (not ended_before or (before is not None and before.state != after.state)):
            self._store.add(connection, run_end(told.pk, after, now), now)

    def sweep_ended(self, sweep: SweepRow, view: SweepView) -> None:
        """Keep the news that a sweep is finished, with its best."""
        now = self._clock()
        count = sum(view.counts.values())
        best = (
            f"best {view.metric} {view.best.value:.6g} by run {view.best.run}"
            if view.best and view.best.value is not None
            else ""
        )
        failed = view.counts.get("failed", 0) + view.counts.get("crashed", 0)
        parts = [f"{count} runs", f"{failed} of them failed" if failed else "", best, view.reason]
        text = ", ".join(part for part in parts if part)
        key = f"sweep:{sweep.pk}:{sweep.change}"
        self._store.add_now(NewAlert(key, now, f"Sweep {view.name} finished", text, "INFO", sweep=sweep.pk), now)

    # Channels

    def alerts(self) -> Alerts:
        """Channels, and the latest alerts with their delivery."""
        return Alerts(tuple(map(_channel, self._store.channels())), tuple(map(_alert, self._store.latest())))

    def add_channel(self, kind: str, url: str) -> Alerts:
        """Send alerts to `url` from now on. Raises UsageError. A loopback address is allowed: the user chose it."""
        if kind not in KINDS:
            raise UsageError(f"a channel is one of {', '.join(KINDS)}, not {kind!r}.{did_you_mean(kind, KINDS)}")
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or any(ch.isspace() for ch in url.strip()):
            raise UsageError(
                "a Slack channel is the address of an incoming webhook, https://hooks.slack.com/services/..."
            )
        self._store.add_channel(kind, url.strip())
        return self.alerts()

    def remove_channel(self, n: int) -> Alerts:
        """Forget channel number `n`. Raises NotFound."""
        self._store.remove_channel(n)
        return self.alerts()

    def test_channels(self) -> Alerts:
        """Send a test message to every channel now; the outcomes stand with the channels."""
        for channel in self._store.channels():
            answer = self._send(
                channel.url, "*besom* can reach this channel: alerts and the ends of runs will come here."
            )
            self._store.told(channel.id, self._clock(), answer.outcome)
        return self.alerts()

    # Out

    def deliver(self) -> int:
        """Send what is due, and return how many alerts still wait for their next try. Blocks while it sends."""
        while taken := self._store.take(self._clock()):
            channels = self._store.channels()
            for alert in taken:
                self._deliver(alert, channels)
        return self._store.waiting()

    def _deliver(self, alert: AlertRow, channels: list[ChannelRow]) -> None:
        done, reasons, again, pause = list(alert.done), [], False, 0.0
        text = message(alert, self.address)
        for channel in channels:
            if channel.id in done:
                continue
            answer = self._send(channel.url, text)
            self._store.told(channel.id, self._clock(), answer.outcome)
            if answer.ok or not answer.again:
                done.append(channel.id)
            if not answer.ok:
                reasons.append(f"channel {channel.id}: {answer.outcome}")
            again, pause = again or answer.again, max(pause, answer.pause)
        tries, now = alert.tries + 1, self._clock()
        if again and now - alert.time < OLD:
            due = now + max(pause, min(LONGEST_PAUSE, 2.0**tries))
            self._store.settle(alert.id, WAITING, done=done, tries=tries, due=due, reason="; ".join(reasons))
            return
        sent = len(reasons) < len(channels)
        reason = "; ".join(reasons) if channels else "there is no channel any more"
        self._store.settle(alert.id, SENT if sent else FAILED, done=done, tries=tries, due=now, reason=reason)


def _imported(state: RunState) -> bool:
    """It ran elsewhere, and its news is no news any more."""
    return bool(state.meta.get("imported"))


def run_end(pk: int, state: RunState, now: float) -> NewAlert:
    """The alert that the end of a run is. The same life of a run has one; a later word about it replaces an unsent one."""
    quiet = ""
    if state.state in (rec.KILLED, rec.PREEMPTED):
        quiet = f"the run was {state.state}"
    elif state.state == rec.FINISHED and state.sweep:
        quiet = "a trial of a sweep; the sweep tells its own end"
    elif _imported(state):
        quiet = IMPORTED
    elif (state.ended or now) < now - OLD:
        quiet = "older than a week"
    parts = [_lasted(state)]
    if state.state != rec.FINISHED and state.reason:
        parts.append(state.reason)
    plain = {k: x for k, x in state.summary.items() if isinstance(x, (int, float)) and not isinstance(x, bool)}
    numbers = [(key, as_float(x) if isinstance(x, int) else x) for key, x in plain.items()]
    parts += [f"{key} {x:.6g}" for key, x in numbers[:5] if math.isfinite(x)]
    return NewAlert(
        key=f"{pk}:end:{state.started!r}",
        time=state.ended or now,
        title=f"Run {state.name or state.id} {state.state}",
        text=", ".join(part for part in parts if part),
        level="INFO" if state.state == rec.FINISHED else "ERROR",
        run=pk,
        quiet=quiet,
        replaces=True,
    )


def message(alert: AlertRow, address: str) -> str:
    """An alert in Slack's markup, with where to see it: a link, or the command to type."""
    sign = {"WARN": ":warning: ", "ERROR": ":red_circle: "}.get(alert.level, "")
    lines = [f"{sign}*{notify.escape(alert.title)}*"]
    if alert.text:
        lines.append(notify.escape(alert.text))
    if alert.about:
        path = f"{alert.entity}/{alert.project}/{alert.about}"
        command = f"besom run {path}" if alert.kind == "run" else f"besom sweep show {path}"
        page = f"{address}/{alert.entity}/{alert.project}/{alert.kind}s/{alert.about}"
        where = f"<{page}|open it>" if address else f"`{command}`"
        lines.append(
            f"{alert.kind} {notify.escape(alert.name or alert.about)} in {alert.entity}/{alert.project} · {where}"
        )
    return "\n".join(lines)


def _lasted(state: RunState) -> str:
    if not state.ended or not state.started or state.ended < state.started:
        return ""
    seconds = int(state.ended - state.started)
    hours, minutes = divmod(seconds // 60, 60)
    return (
        f"after {hours} h {minutes} min"
        if hours
        else f"after {minutes} min {seconds % 60} s"
        if minutes
        else f"after {seconds} s"
    )


def _channel(row: ChannelRow) -> Channel:
    return Channel(row.id, row.kind, notify.shortened(row.url), row.last, row.outcome)


def _alert(row: AlertRow) -> AlertView:
    run = row.about if row.kind == "run" else ""
    return AlertView(
        row.id, row.time, run, row.project, row.entity, row.title, row.text, row.level, row.state, row.tries, row.reason
    )
