"""Leases and changes: what dies is seen to die, and what changes is told once."""

from __future__ import annotations

from typing import Any

from besom.core import record as rec
from besom.core.names import SweepPath


def test_a_remote_run_that_goes_silent_crashes_after_its_lease(lab: Any) -> None:
    lab.add("remote", state="running")
    lab.send("remote", rec.History(0, lab.now, {"a": 1.0}), lease=60.0)
    lab.add("local", state="running")
    lab.now += 59
    assert lab.hub.reap() == []
    lab.now += 31
    assert lab.hub.reap() == [lab.path("remote")]
    assert lab.hub.reap() == []
    view = lab.hub.run(lab.path("remote"))
    assert (view.state, view.reason) == ("crashed", "no sign of life for 60 s")
    assert lab.hub.run(lab.path("local")).state == "running"


def test_a_heartbeat_renews_the_lease(lab: Any) -> None:
    lab.add("r", state="running")
    lab.send("r", rec.History(0, lab.now, {"a": 1.0}), lease=60.0)
    for _ in range(5):
        lab.now += 50
        lab.hub.alive([lab.path("r"), lab.path("unknown")])
        assert lab.hub.reap() == []
    lab.now += 61
    assert lab.hub.reap() == [lab.path("r")]


def test_a_server_that_was_down_takes_no_run_before_it_could_be_heard(lab: Any) -> None:
    lab.add("r", state="running")
    lab.send("r", rec.History(0, lab.now, {"a": 1.0}), lease=60.0)
    lab.now += 10_000
    restarted = lab.open()
    assert restarted.reap() == []
    restarted.alive([lab.path("r")])
    lab.now += 30
    assert restarted.reap() == []
    restarted.database.close()


def test_the_true_end_of_a_run_wins_over_the_lease(lab: Any) -> None:
    lab.add("r", state="running")
    lab.send("r", rec.History(0, lab.now, {"a": 1.0}), lease=60.0)
    lab.now += 100
    lab.hub.reap()
    lab.send("r", rec.Exit(lab.now, 0, "finished"))
    assert lab.hub.run(lab.path("r")).state == "finished"


def test_a_run_that_was_only_cut_off_runs_again_when_it_is_heard_of(lab: Any) -> None:
    lab.add("r", state="running")
    lab.send("r", rec.History(0, lab.now, {"a": 1.0}), lease=60.0)
    lab.now += 100
    lab.hub.reap()
    lab.now += 1
    lab.send("r", rec.History(1, lab.now, {"a": 2.0}), lease=60.0)
    view = lab.hub.run(lab.path("r"))
    assert (view.state, view.reason, view.ended) == ("running", "", None)
    lab.now += 100
    assert lab.hub.reap() == [lab.path("r")]


def test_changes_are_told_once_and_in_order(lab: Any) -> None:
    assert lab.hub.changes(0).runs == ()
    lab.add("a", state="running")
    lab.add("b", state="running")
    first = lab.hub.changes(0)
    assert first.runs == (lab.path("a"), lab.path("b"))
    assert lab.hub.changes(first.seq) == type(first)(first.seq)
    lab.send("a", rec.History(0, lab.now, {"x": 1.0}))
    second = lab.hub.changes(first.seq)
    assert second.runs == (lab.path("a"),)
    config = {"method": "random", "parameters": {"a": {"value": 1}}}
    sweep = lab.hub.create_sweep(lab.entity, lab.project, config)
    third = lab.hub.changes(second.seq)
    assert third.sweeps == (SweepPath(lab.entity, lab.project, sweep.id),)
    lab.send("a", rec.Exit(lab.now, 0, "finished"))
    lab.hub.delete(lab.path("a"))
    last = lab.hub.changes(third.seq)
    assert last.seq > third.seq


def test_another_process_sees_the_same_numbers(lab: Any) -> None:
    other = lab.open()
    lab.add("a")
    assert other.changes(0) == lab.hub.changes(0)
    other.database.close()
