"""Positions, history and trimming."""

from __future__ import annotations

import pytest

from serverpush.exceptions import BadMessage
from serverpush.protocol import Change, Position
from serverpush.server.core.log import Log


def change(pk):
    return Change("shop.book", pk)


@pytest.fixture
def log():
    return Log(epoch="e", now=100.0, size=5, seconds=60)


def test_positions_grow_as_texts_too(log):
    positions = [log.append(change(pk), 100 + pk / 3) for pk in range(4)]
    positions += [log.append(change(9), 101) for _ in range(3)]
    assert positions == sorted(positions)
    assert [str(each) for each in positions] == sorted(str(each) for each in positions)


def test_a_clock_that_goes_back_does_not_take_positions_back(log):
    later = log.append(change(1), 200)
    assert log.append(change(2), 150) > later


def test_what_came_after_a_position(log):
    positions = [log.append(change(pk), 100 + pk) for pk in range(4)]
    assert [entry.pk for _, entry in log.since(positions[1])] == [2, 3]
    assert log.since(log.head) == []


def test_a_time_stands_before_what_came_in_the_same_millisecond(log):
    log.append(change(1), 100.5)
    assert len(log.since(log.at(100.5))) == 1
    assert log.since(log.at(100.501)) == []


def test_size_trims_and_what_is_trimmed_is_not_covered(log):
    positions = [log.append(change(pk), 101) for pk in range(7)]
    assert len(log) == 5
    assert log.covers(positions[1])
    assert not log.covers(positions[0])


def test_age_trims(log):
    first = log.append(change(1), 100)
    log.append(change(2), 100 + 61)
    assert len(log) == 1
    assert log.covers(first)
    assert not log.covers(log.at(99.9))


def test_before_its_beginning_and_in_another_epoch_nothing_is_covered(log):
    assert not log.covers(log.at(99))
    assert not log.covers(Position(10**12, 1, "other"))


@pytest.mark.parametrize("text", ["", "x", "1-2", "1-2-3-4", "zz-00001-e", "1-1-e", "-1-1-e"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(BadMessage):
        Position.parse(text)


def test_a_position_survives_its_text():
    position = Position(1795218990214, 7, "ab12")
    assert Position.parse(str(position)) == position
