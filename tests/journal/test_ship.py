"""Carried in pieces, twice, or to an end that forgot: each record arrives once."""

from __future__ import annotations

import random

import pytest

from besom.core import codec
from besom.core.batch import after
from besom.core.errors import GapError, Unavailable
from besom.journal.file import Journal
from besom.journal.ship import ship


class End:
    """What the hub does: holds a position, refuses gaps, takes nothing twice."""

    def __init__(self) -> None:
        self.position, self.steps, self.calls = 0, [], 0

    def __call__(self, head, batch) -> int:
        self.calls += 1
        new = after(batch, self.position)
        if new is not None:
            self.steps += [record.step for record in new.records]
            self.position = new.end
        return self.position


@pytest.fixture
def journal(tmp_path):
    made = Journal.create(tmp_path, run="r", entity="e", project="p")
    yield made
    made.close()


def log(journal, *steps):
    for step in steps:
        journal.append(codec.encode_history(step, 1.5, {"a": step}))


def test_shipping_carries_what_is_there_and_later_what_came(journal):
    end = End()
    assert ship(journal.path, 0, end) == 0  # nothing yet: nothing is sent
    assert end.calls == 0
    log(journal, 0, 1, 2)
    position = ship(journal.path, 0, end)
    assert position == journal.position
    log(journal, 3)
    assert ship(journal.path, position, end) == journal.position
    assert end.steps == [0, 1, 2, 3]


def test_a_shipper_that_forgot_where_it_was_sends_nothing_twice(journal):
    end = End()
    log(journal, *range(10))
    ship(journal.path, 0, end)
    log(journal, *range(10, 20))
    ship(journal.path, 0, end)
    assert end.steps == list(range(20))


def test_an_end_that_forgot_is_sent_what_it_misses(journal):
    end = End()
    log(journal, 0, 1, 2)
    middle = ship(journal.path, 0, end)
    log(journal, 3, 4)
    end.position, end.steps = 0, []  # restored from an old backup
    assert ship(journal.path, middle, end) == journal.position
    assert end.steps == [0, 1, 2, 3, 4]


def test_an_end_that_always_forgets_is_not_fed_for_ever(journal):
    log(journal, 0)

    def amnesia(head, batch):
        raise GapError(batch.start)

    with pytest.raises(GapError):
        ship(journal.path, 0, amnesia)
    with pytest.raises(GapError):
        ship(journal.path, 0, lambda head, batch: batch.start)


def test_the_header_travels_with_each_batch(journal):
    log(journal, 0)
    heads = []
    ship(journal.path, 0, lambda head, batch: heads.append(head) or batch.end)
    assert [(h.run, h.stream) for h in heads] == [("r", journal.stream)]


def test_over_a_network_that_fails_each_record_arrives_once(journal):
    """Lost on the way there, lost on the way back, delivered twice: sent again until it is confirmed."""
    end, chance = End(), random.Random(3)

    def send(head, batch):
        fate = chance.random()
        if fate < 0.3:
            raise Unavailable("lost on the way")
        held = end(head, batch)
        if fate < 0.5:
            raise Unavailable("the answer was lost")
        if fate < 0.7:
            end(head, batch)
        return held

    position = 0
    for step in range(200):
        log(journal, step)
        try:
            position = ship(journal.path, position, send)
        except Unavailable:
            continue
    while position < journal.position:
        try:
            position = ship(journal.path, position, send)
        except Unavailable:
            continue
    assert end.steps == list(range(200))
