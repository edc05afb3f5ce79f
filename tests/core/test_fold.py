"""What a run is follows from its records, however they are cut into batches."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.core import record as rec
from besom.core.batch import Batch, after, merge
from besom.core.errors import GapError
from besom.core.fold import Metric, Row, RunState, define_for, fold

keys = st.sampled_from(["loss", "acc", "val.loss", "epoch", "val.acc"])
numbers = st.one_of(st.integers(-5, 5), st.floats(allow_nan=False), st.booleans(), st.text(max_size=2))
maps = st.dictionaries(keys, numbers, max_size=3)
times = st.floats(0, 100)
rules = st.lists(st.sampled_from(["min", "max", "mean", "last", "first", "best", "none", "copy"]), max_size=2).map(
    tuple
)
records = st.one_of(
    st.builds(rec.Run, times, name=st.none() | st.just("n"), tags=st.none() | st.just(("t",)), starts=st.booleans()),
    st.builds(rec.Config, maps, st.lists(keys, max_size=1).map(tuple)),
    st.builds(rec.History, st.integers(0, 4), times, maps, st.booleans()),
    st.builds(rec.Summary, maps, st.lists(keys, max_size=1).map(tuple)),
    st.builds(rec.Define, st.sampled_from(["loss", "val.*", "*"]), st.none(), rules, st.none() | st.just("maximize")),
    st.builds(rec.Stats, times, st.just({})),
    st.builds(rec.Console, times, st.just("out"), st.just("x\n")),
    st.builds(rec.Preempt, times),
    st.builds(
        rec.Exit,
        times,
        st.none() | st.just(1),
        st.sampled_from(rec.ENDED),
        by=st.sampled_from(["run", "agent", "reaper"]),
    ),
)


@given(st.lists(records, max_size=12), st.integers(0, 12))
def test_folding_in_two_parts_is_folding_at_once(stream, cut):
    first = fold(RunState(), stream[:cut])
    second = fold(first.state, stream[cut:])
    whole = fold(RunState(), stream)
    assert second.state == whole.state
    assert first.rows + second.rows == whole.rows


@given(st.lists(records, max_size=12))
def test_folding_changes_neither_the_state_nor_the_records(stream):
    state = fold(RunState(), stream).state
    before, copies = repr(state), [repr(r) for r in stream]
    fold(state, stream)
    assert repr(state) == before
    assert [repr(r) for r in stream] == copies


@given(st.lists(records, max_size=12))
def test_every_value_logged_is_in_a_row_or_in_the_open_one(stream):
    state, rows = fold(RunState(), stream)
    logged = {(r.step, k) for r in stream if isinstance(r, rec.History) for k in r.data}
    kept = {(row.step, k) for row in rows for k in row.data}
    if state.open is not None:
        kept |= {(state.open[0], k) for k in state.open[2]}
    assert logged == kept


def rows_of(*stream):
    return fold(RunState(), stream).rows


def test_commit_false_joins_what_follows_at_the_same_step():
    assert rows_of(
        rec.History(0, 1.0, {"a": 1}, True),
        rec.History(0, 2.0, {"b": 2}, True),
        rec.History(0, 3.0, {"a": 9, "c": 3}),
        rec.History(1, 4.0, {"a": 4}),
    ) == [Row(0, 3.0, {"a": 9, "b": 2, "c": 3}), Row(1, 4.0, {"a": 4})]


def test_a_row_begun_is_kept_when_another_step_or_the_end_follows():
    first = rec.History(0, 1.0, {"a": 1}, True)
    assert rows_of(first, rec.History(1, 2.0, {"b": 2})) == [Row(0, 1.0, {"a": 1}), Row(1, 2.0, {"b": 2})]
    assert rows_of(first, rec.Exit(2.0, 0, rec.FINISHED)) == [Row(0, 1.0, {"a": 1})]
    assert rows_of(first, rec.Run(2.0, starts=True)) == [Row(0, 1.0, {"a": 1})]
    assert fold(RunState(), [first]).state.open == (0, 1.0, {"a": 1})


def test_a_step_that_goes_back_is_kept_where_it_belongs():
    state, rows = fold(RunState(), [rec.History(5, 1.0, {"a": 1}), rec.History(2, 2.0, {"a": 2})])
    assert rows == [Row(5, 1.0, {"a": 1}), Row(2, 2.0, {"a": 2})]
    assert state.last_step == 5
    assert state.summary == {"a": 2}


@pytest.mark.parametrize(
    ("rule", "goal", "expected"),
    [
        ("min", None, {"loss.min": 1.0}),
        ("max", None, {"loss.max": 3.0}),
        ("first", None, {"loss.first": 3.0}),
        ("last", None, {"loss.last": 2.0}),
        ("best", None, {"loss.best": 1.0}),
        ("best", "maximize", {"loss.best": 3.0}),
        ("mean", None, {"loss.mean": 2.0, "loss.count": 3}),
        ("none", None, {}),
        ("copy", None, {"loss": 2.0}),
    ],
)
def test_define_metric_says_what_the_summary_keeps(rule, goal, expected):
    stream = [rec.Define("loss", None, (rule,), goal)]
    stream += [rec.History(i, float(i), {"loss": v}) for i, v in enumerate([3.0, 1.0, math.nan, 2.0])]
    if rule == "copy" or rule == "last":
        assert fold(RunState(), stream).state.summary == expected
    else:
        assert fold(RunState(), [*stream, rec.History(9, 9.0, {"loss": "a text"})]).state.summary == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("min", {"loss.min": 2.0}), ("mean", {"loss.mean": math.inf, "loss.count": 2}), ("max", {"loss.max": 10**400})],
)
def test_a_summary_rule_bears_huge_integers_and_what_a_script_put_in_its_place(rule, expected):
    stream = [rec.Define("loss", None, (rule,)), rec.Summary({f"loss.{rule}": "a text"})]
    stream += [rec.History(i, float(i), {"loss": v}) for i, v in enumerate([10**400, 2.0])]
    assert fold(RunState(), stream).state.summary == expected


def test_the_longest_pattern_holds():
    metrics = {"*": Metric(goal="minimize"), "val/*": Metric(goal="maximize"), "val/acc": Metric(hidden=True)}
    assert define_for(metrics, "val/acc").hidden
    assert define_for(metrics, "val/f1").goal == "maximize"
    assert define_for(metrics, "loss").goal == "minimize"
    assert define_for({}, "loss") is None


def end(*stream):
    state = fold(RunState(), [rec.Run(0.0, starts=True), *stream]).state
    return state.state, state.exit_code


def test_the_agent_knows_best_how_a_run_ended_and_the_reaper_least():
    run = rec.Exit(2.0, 0, rec.FINISHED)
    agent = rec.Exit(3.0, 1, rec.FAILED, by="agent")
    reaper = rec.Exit(4.0, None, rec.CRASHED, by="reaper")
    assert end(run, agent, reaper) == (rec.FAILED, 1)
    assert end(agent, run) == (rec.FAILED, 1)
    assert end(reaper, run) == (rec.FINISHED, 0)
    assert end(run, reaper) == (rec.FINISHED, 0)
    assert end(reaper) == (rec.CRASHED, None)
    guess = rec.Exit(4.0, None, rec.CRASHED, "lost", by="reaper")
    assert fold(RunState(), [guess, run]).state.reason == ""  # a guess is no reason when another knows better


def test_a_run_that_writes_after_the_reaper_gave_it_up_was_never_dead():
    reaper = rec.Exit(4.0, None, rec.CRASHED, by="reaper")
    for life in (rec.History(9, 5.0, {"a": 1}), rec.Stats(5.0, {}), rec.Console(5.0, "out", "x\n")):
        assert end(reaper, life) == (rec.RUNNING, None)
    assert end(reaper, rec.History(9, 3.0, {"a": 1})) == (rec.CRASHED, None)  # written before, delivered late
    assert end(rec.Exit(4.0, 1, rec.FAILED), rec.History(9, 5.0, {"a": 1})) == (rec.FAILED, 1)


def test_a_preempted_run_that_fails_is_preempted_and_a_resumed_one_runs():
    preempt, failed = rec.Preempt(1.0), rec.Exit(2.0, 1, rec.FAILED)
    assert end(preempt, failed) == (rec.PREEMPTED, 1)
    assert end(preempt, rec.Exit(2.0, 0, rec.FINISHED)) == (rec.FINISHED, 0)
    assert end(preempt, failed, rec.Run(5.0, starts=True)) == (rec.RUNNING, None)
    state = fold(RunState(), [rec.Run(1.0, starts=True), rec.Run(5.0, starts=True)]).state
    assert (state.created, state.started) == (1.0, 5.0)


def cut(position, *seqs):
    """A batch from `position` to behind its last record; each record is a stats record at its own place."""
    end = seqs[-1] + 10 if seqs else position
    return Batch(position, end, seqs, tuple(rec.Stats(float(s), {}) for s in seqs))


@st.composite
def chains(draw, count=3):
    """Neighbouring batches of one stream, with holes where records were damaged."""
    position, batches = draw(st.integers(0, 50)), []
    for _ in range(count):
        places, at = [], position
        for _ in range(draw(st.integers(0, 4))):
            at += draw(st.integers(0, 30))
            places.append(at)
            at += draw(st.integers(1, 9))
        batches.append(Batch(position, at, tuple(places), tuple(rec.Stats(float(p), {}) for p in places)))
        position = at
    return batches


@given(chains())
def test_merging_is_associative(batches):
    a, b, c = batches
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(chains(), st.integers(0, 200))
def test_taking_what_is_new_twice_gives_nothing_the_second_time(batches, position):
    a, b, c = batches
    whole = merge(merge(a, b), c)
    position = max(position, whole.start)
    new = after(whole, position)
    if new is None:
        assert whole.end <= position
        return
    assert (new.start, new.end) == (position, whole.end)
    assert all(seq >= position for seq in new.seqs)
    assert after(new, position) == new
    assert after(new, new.end) is None
    old = [r for s, r in zip(whole.seqs, whole.records) if s < position]
    assert [*old, *new.records] == list(whole.records)


@given(chains(count=4), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_delivered_in_any_overlap_and_order_each_record_arrives_once(batches, deliveries):
    """The other end holds a position, and refuses gaps; sent again from there, all arrives."""
    position, held = batches[0].start, []

    def append(batch):
        nonlocal position
        new = after(batch, position)
        if new is not None:
            held.extend(new.records)
            position = new.end

    def joined(first, last):
        batch = batches[first]
        for other in batches[first + 1 : last + 1]:
            batch = merge(batch, other)
        return batch

    for first, last in deliveries:
        try:
            append(joined(min(first, last), max(first, last)))
        except GapError as gap:
            assert gap.position == position
    append(joined(0, 3))
    assert held == [r for batch in batches for r in batch.records]


def test_only_neighbours_merge_and_a_gap_says_where_to_go_on():
    with pytest.raises(GapError) as gap:
        merge(cut(0, 0, 10), cut(30, 30))
    assert gap.value.position == 20
    with pytest.raises(GapError) as gap:
        after(cut(30, 30), 20)
    assert gap.value.position == 20


def test_a_beginning_that_arrives_after_the_agents_word_does_not_bring_the_run_back_to_life():
    """With a server the agent may report an end before the last of the run's own journal is there."""
    told = fold(RunState(), [rec.Run(1.0, "r", starts=True, attempt=1), rec.Exit(9.0, 1, rec.FAILED, by="agent")]).state
    late = fold(told, [rec.Run(2.0, name="crisp", attempt=1, starts=True), rec.Exit(8.0, 0, rec.FINISHED)]).state
    assert (late.state, late.exit_code, late.name) == (rec.FAILED, 1, "crisp")
    again = fold(told, [rec.Run(10.0, attempt=2, starts=True)]).state
    assert (again.state, again.ended) == (rec.RUNNING, None)
