"""Records come in: once, whole, in order, whatever the network does."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.contents import FileView
from besom.core.errors import NotFound, UsageError
from besom.core.names import RunPath
from besom.hub.ingest import Delivery
from besom.testing.values import EXACT


def everything(lab: Any, id: str) -> Any:
    """All that can be asked of a run."""
    path = lab.path(id)
    return lab.hub.run(path), lab.hub.rows(path), lab.hub.console(path)


def story(lab: Any) -> list[Any]:
    rows = [{"loss": i % 7 / 8, "acc": i, "note": f"row {i}"} for i in range(30)]
    records = lab.records("r", {"lr": 0.1, "opt": {"name": "adam"}}, rows, tags=("base",))
    return [*records[:-1], rec.Console(1.0, "out", "hello\nhalf "), rec.Console(2.0, "out", "a line\n"), records[-1]]


def test_the_same_batch_twice_changes_nothing(lab: Any) -> None:
    batch = lab.batch(story(lab))
    assert lab.hub.append(lab.path("r"), "s", batch) == batch.end
    before = everything(lab, "r")
    assert lab.hub.append(lab.path("r"), "s", batch) == batch.end
    assert everything(lab, "r") == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 33), st.integers(1, 12)), max_size=12))
def test_overlapping_late_and_repeated_batches_give_what_one_batch_gives(
    lab: Any, pieces: list[tuple[int, int]]
) -> None:
    """Deliver any pieces in any order, then go on from the position told, as every shipper does."""
    for id in ("whole", "pieces"):
        if lab.ids(f"id = {id}" if lab.runs().total else ""):
            lab.hub.delete(lab.path(id))
    records = story(lab)
    lab.hub.append(lab.path("whole"), "s", lab.batch(records))
    position = 0
    for first, count in [*pieces, (0, 0)]:
        some = records[first : first + count] if count else records[position // 10 :]
        start = first * 10 if count else position
        answer = lab.hub.append(lab.path("pieces"), "s", lab.batch(some, start))
        assert answer == (position if start > position else max(position, start + 10 * len(some)))
        position = answer
    whole, pieced = everything(lab, "whole"), everything(lab, "pieces")
    assert pieced[1:] == whole[1:]
    assert pieced[0].metrics == whole[0].metrics
    assert pieced[0].summary == whole[0].summary


def test_a_gap_is_answered_with_the_position_held_and_makes_no_run(lab: Any) -> None:
    assert lab.hub.append(lab.path("r"), "s", lab.batch([rec.Config({"a": 1})], start=500)) == 0
    assert lab.runs().total == 0


def test_several_batches_of_one_stream_in_one_call_follow_each_other(lab: Any) -> None:
    records = story(lab)
    parts = [lab.batch(records[i : i + 5], 10 * i) for i in range(0, len(records), 5)]
    answers = lab.hub.append_many([Delivery(lab.path("r"), "s", part) for part in [*parts, parts[0]]])
    assert answers == [*(part.end for part in parts), parts[-1].end]
    assert len(lab.hub.rows(lab.path("r")).columns["loss"]) == 30


def test_a_wrong_batch_undoes_the_whole_call(lab: Any) -> None:
    def refuse(c: Any, appended: Any) -> None:
        if appended.path.id == "bad":
            raise RuntimeError

    lab.hub.watchers.append(refuse)
    with pytest.raises(RuntimeError):
        lab.hub.append_many([Delivery(lab.path(id), "s", lab.batch(story(lab))) for id in ("good", "bad")])
    assert lab.runs().total == 0
    assert lab.hub.append(lab.path("good"), "s", lab.batch(story(lab))) > 0


def test_watchers_are_told_what_was_new_and_only_that(lab: Any) -> None:
    told = []
    lab.hub.watchers.append(lambda c, appended: told.append(appended))
    records = story(lab)
    lab.hub.append(lab.path("r"), "s", lab.batch(records[:3]))
    lab.hub.append(lab.path("r"), "s", lab.batch(records))
    lab.hub.append(lab.path("r"), "s", lab.batch(records))
    assert [len(a.records) for a in told] == [3, len(records) - 3]
    assert told[0].before is None
    assert (told[1].before.state, told[1].after.state) == ("running", "finished")
    assert told[1].seqs[0] == 30


def test_ranks_that_log_to_one_run_are_streams_of_it(lab: Any) -> None:
    lab.add("r", rows=[{"loss": 1.0}, {"loss": 2.0}], state="running")
    lab.send("r", rec.History(0, 1.0, {"rank1": 5.0}), rec.History(1, 2.0, {"rank1": 6.0}), stream="rank1")
    rows = lab.hub.rows(lab.path("r")).columns
    assert rows["_step"] == [0, 0, 1, 1]
    assert rows["loss"] == [1.0, None, 2.0, None]
    assert rows["rank1"] == [None, 5.0, None, 6.0]


def test_a_hole_where_the_journal_was_damaged_is_passed(lab: Any) -> None:
    batch = Batch(0, 100, (0, 90), (rec.Run(1.0, starts=True), rec.History(7, 1.0, {"x": 1.0})))
    assert lab.hub.append(lab.path("r"), "s", batch) == 100
    assert lab.hub.append(lab.path("r"), "s", Batch(100, 250)) == 250
    assert lab.hub.run(lab.path("r")).last_step == 7


@pytest.mark.parametrize(("what", "value"), EXACT, ids=[what for what, _ in EXACT])
def test_a_value_is_read_as_it_was_logged(lab: Any, what: str, value: Any) -> None:
    rows = [{"v": value, "other": 1.0}]
    lab.add("r", {"v": value}, rows)
    column = lab.hub.rows(lab.path("r")).columns.get("v", [None])
    assert repr(column) == repr([value])
    view = lab.hub.run(lab.path("r"))
    assert repr(view.config["v"]) == repr(value)
    assert repr(view.summary["v"]) == repr(value)
    assert lab.hub.keys(lab.entity, lab.project).keys  # the index holds with it


def test_integers_stay_integers_and_floats_floats(lab: Any) -> None:
    lab.add("r", rows=[{"epoch": 1, "mixed": 1, "loss": 1.0}, {"epoch": 2, "mixed": 0.5, "loss": 2.0}])
    rows = lab.hub.rows(lab.path("r")).columns
    assert repr(rows["epoch"]) == "[1, 2]"
    assert repr(rows["mixed"]) == "[1.0, 0.5]"
    assert repr(rows["loss"]) == "[1.0, 2.0]"


def test_the_best_of_a_metric_follows_what_the_run_declared(lab: Any) -> None:
    lab.add("r", rows=[{"score": 3.0, "val_loss": 3.0}, {"score": 1.0, "val_loss": 1.0}], state="running")
    metrics = lab.hub.run(lab.path("r")).metrics
    assert (metrics["score"].best, metrics["val_loss"].best) == (3.0, 1.0)
    lab.send("r", rec.Define("score", goal="minimize"))
    assert lab.hub.run(lab.path("r")).metrics["score"].best == 1.0


def test_the_best_of_a_metric_follows_the_goal_of_the_sweep(lab: Any) -> None:
    config = {"method": "random", "metric": {"name": "val_loss", "goal": "maximize"}, "parameters": {"a": {"value": 1}}}
    sweep = lab.hub.create_sweep(lab.entity, lab.project, config)
    lab.add("r", rows=[{"val_loss": 1.0}, {"val_loss": 2.0}], sweep=sweep.id)
    assert lab.hub.run(lab.path("r")).metrics["val_loss"].best == 2.0


def test_system_metrics_are_charts_but_no_rows_and_no_columns(lab: Any) -> None:
    lab.add("r", rows=[{"loss": 1.0}], state="running")
    lab.send("r", rec.Stats(lab.began + 5, {"cpu": 50.0}), rec.Stats(lab.began + 10, {"cpu": 70.0}))
    assert list(lab.hub.run(lab.path("r")).metrics) == ["loss"]
    assert list(lab.hub.rows(lab.path("r")).columns) == ["_step", "_time", "loss"]
    (series,) = lab.hub.curves(lab.entity, lab.project, keys=["system.cpu"], x="_relative").series
    assert series.mean == (50.0, 70.0)
    assert lab.hub.keys(lab.entity, lab.project).metrics == ("loss", "system.cpu")


def test_files_and_artifacts_are_kept_by_digest(lab: Any) -> None:
    file, model = rec.File("a.txt", "0" * 64, 3, 1.0), rec.Artifact("model", "model", {"w.bin": "1" * 64}, ("best",))
    lab.add("r", state="running")
    lab.send("r", file, model, rec.File("a.txt", "2" * 64, 4, 2.0))
    assert lab.hub.files(lab.path("r")).files == (FileView("a.txt", "2" * 64, 4, 2.0),)
    found = lab.hub.artifact(lab.path("model:best"))
    assert (found.name, found.version, found.entries) == ("model", "v0", {"w.bin": "1" * 64})


def test_a_name_is_changed_on_the_page_and_the_time_last_heard_of_is_not(lab: Any) -> None:
    lab.add("r", notes="old", tags=("a",))
    seen = lab.hub.run(lab.path("r")).seen
    view = lab.hub.patch(lab.path("r"), name="brisk elm", tags=["b", "c"])
    assert (view.name, view.notes, view.tags, view.seen) == ("brisk elm", "old", ("b", "c"), seen)
    assert lab.ids("tags = b") == ["r"]
    assert lab.ids("tags = a") == []
    assert lab.hub.patch(lab.path("r"), notes="").notes == ""


def test_a_run_that_ended_is_deleted_with_all_it_had(lab: Any) -> None:
    lab.add("r", {"lr": 1}, [{"loss": 1.0}])
    lab.add("live", state="running")
    lab.hub.delete(lab.path("r"))
    assert lab.ids() == ["live"]
    with pytest.raises(UsageError, match="running"):
        lab.hub.delete(lab.path("live"))
    for call in (lab.hub.run, lab.hub.delete, lab.hub.rows, lab.hub.console, lab.hub.patch):
        with pytest.raises(NotFound, match="no run r in ann/dkt"):
            call(lab.path("r"))


@pytest.mark.parametrize("path", [RunPath("", "p", "r"), RunPath("e", "../p", "r"), RunPath("e", "p", "r/x")])
def test_a_path_that_could_not_stand_in_a_url_is_refused(lab: Any, path: RunPath) -> None:
    with pytest.raises(UsageError, match="1 to 128"):
        lab.hub.append(path, "s", lab.batch(story(lab)))


def test_a_run_in_several_hubs_over_one_file_is_one_run(lab: Any) -> None:
    other = lab.open()
    batch = lab.batch(story(lab))
    lab.hub.append(lab.path("r"), "s", batch)
    assert other.position(lab.path("r"), "s") == batch.end
    assert other.append(lab.path("r"), "s", batch) == batch.end
    assert len(other.rows(lab.path("r")).columns["loss"]) == 30
    other.database.close()


def test_a_nan_at_the_end_is_the_last_value_but_not_the_best(lab: Any) -> None:
    lab.add("r", rows=[{"loss": 2.0}, {"loss": 1.0}, {"loss": math.nan}])
    stat = lab.hub.run(lab.path("r")).metrics["loss"]
    assert math.isnan(stat.last)
    assert (stat.min, stat.best, stat.mean, stat.count) == (1.0, 1.0, 1.5, 3)
    assert repr(lab.hub.metric_values(lab.path("r"), "loss")) == "[2.0, 1.0, nan]"
    assert lab.hub.metric_values(lab.path("none"), "loss") == []


@pytest.mark.parametrize(
    "odd",
    [
        rec.History(2**70, 1.0, {"loss": 1.0}),
        rec.History(1, math.nan, {"note": "text"}),
        rec.Exit(math.nan, 0, "finished"),
        rec.Exit(1.0, 10**400, "finished"),
        rec.Alert(math.nan, "title"),
        rec.File("p", "digest", 2**63),
        rec.Console(1.0, "\ud800", "text\n"),
    ],
    ids=lambda odd: repr(odd)[:40],
)
def test_a_record_that_can_never_be_kept_is_the_callers_fault(lab: Any, odd: rec.Record) -> None:
    """A server's fault would be tried again for ever, and hold up everything behind it."""
    with pytest.raises(UsageError, match="a record of r cannot be kept"):
        lab.send("r", rec.Run(1.0, starts=True), odd)
    assert lab.runs().total == 0


def test_an_alert_may_hold_any_text(lab: Any) -> None:
    lab.send("r", rec.Run(1.0, starts=True), rec.Alert(lab.began, "\ud800", "lone \udfff", wait=60.0))
    (alert,) = lab.hub.alerts().alerts
    assert (alert.title, alert.text) == ("\\ud800", "lone \\udfff")
