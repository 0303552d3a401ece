"""The messages of topics: how far back, and what is known of what is no more."""

from __future__ import annotations

import pytest

from serverpush.messages import Message
from serverpush.protocol import Change, Gap, Position
from serverpush.server.core import topics as module
from serverpush.server.core.log import Log

NEWS, CHAT = "channel:news", "channel:chat"
LIMITS = {NEWS: (3, 100.0), CHAT: (1000, 1000.0)}


@pytest.fixture
def log():
    return Log(
        epoch="e", now=1000, size=10, seconds=10, limits=lambda topic: LIMITS.get(topic, (10, 10.0))
    )


def send(log, topic, *data, now=1000.0):
    return [log.append(Message((topic,), "channel", each), now) for each in data]


def kept(log, topic, since=None):
    since = log.topics.floor if since is None else since
    return [message.data for _, message in log.topics.since(topic, since)]


def test_what_came_after_a_position_in_its_order(log):
    one, two, _ = send(log, NEWS, "1", "2", "3")
    send(log, CHAT, "x")
    assert kept(log, NEWS) == ["1", "2", "3"]
    assert kept(log, NEWS, one) == ["2", "3"]
    assert kept(log, NEWS, two) == ["3"]
    assert kept(log, "channel:none") == []


def test_by_number(log):
    start = log.head
    one, *_ = send(log, NEWS, "1", "2", "3", "4")
    assert kept(log, NEWS) == ["2", "3", "4"]
    assert not log.covers_topic(NEWS, start)
    assert log.covers_topic(NEWS, one)
    assert log.covers_topic(CHAT, start), "nothing of it was lost"


def test_by_age_of_each_topic(log):
    start = log.head
    send(log, NEWS, "1")
    send(log, CHAT, "x")
    log.topics.trim(log.at(1500))
    assert kept(log, CHAT) == ["x"]
    assert kept(log, NEWS) == []
    assert not log.covers_topic(NEWS, start), "what is known of it is gone, and so it is"
    assert log.covers_topic(CHAT, start)


def test_a_topic_that_is_forgotten_is_not_taken_for_one_that_never_was(log):
    start = log.head
    send(log, NEWS, "1")
    log.topics.trim(log.at(5000))
    assert len(list(log.topics)) == 0
    assert not log.covers_topic(NEWS, start)
    assert not log.covers_topic("channel:none", start), "nobody knows any more"
    assert log.covers_topic(NEWS, log.head)


def test_a_topic_is_remembered_as_long_as_any_may_be_kept():
    """What is forgotten of one is forgotten of all: of those, too, that keep more."""
    log = Log(
        epoch="e",
        now=1000,
        size=10,
        seconds=10,
        limits=lambda topic: LIMITS.get(topic, (10, 10.0)),
        longest=1000,
    )
    start = log.head
    send(log, "route:/api/", "1")
    log.topics.trim(log.at(1500))
    send(log, CHAT, "x", now=1500)
    assert log.covers_topic(CHAT, start)
    assert kept(log, CHAT, start) == ["x"]
    assert not log.covers_topic("route:/api/", start)


def test_the_changes_that_come_do_not_push_messages_out(log):
    start = log.head
    send(log, CHAT, "x")
    for pk in range(100):
        log.append(Change("shop.book", pk), 1000)
    assert kept(log, CHAT) == ["x"]
    assert log.covers_topic(CHAT, start)


def test_a_gap_is_one_for_messages_too_however_long_ago(log):
    start = log.head
    log.append(Gap("overflow"), 1000)
    send(log, CHAT, "x")
    for pk in range(100):
        log.append(Change("shop.book", pk), 1000)
    assert not log.covers_topic(CHAT, start)
    assert log.covers_topic(CHAT, log.head)


def test_another_epoch_is_not_covered(log):
    assert not log.covers_topic(CHAT, Position(2_000_000, 1, "other"))


def test_all_together_have_an_end(log, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 2 * module.OVERHEAD + 100)
    start = log.head
    send(log, CHAT, "a" * 40)
    send(log, NEWS, "b" * 40)
    send(log, CHAT, "c" * 40)
    assert kept(log, CHAT) == ["c" * 40]
    assert kept(log, NEWS) == ["b" * 40]
    assert not log.covers_topic(CHAT, start)
    assert log.covers_topic(NEWS, start)


def test_what_was_dropped_is_not_remembered_for_ever(log):
    for number in range(5 * module.SWEPT):
        send(log, NEWS, str(number))
    assert len(log.topics) == 3
    assert len(log.topics._order) <= 2 * 3 + module.SWEPT + 1


def test_the_next_start_goes_on(log):
    start = log.head
    one, *_ = send(log, NEWS, "1", "2", "3", "4")
    send(log, "user:7", '{"a":"é"}')
    lines = list(log.dump())
    after = Log(epoch="x", now=2000, size=10, seconds=10, limits=lambda topic: (10, 10.0))
    after.load(lines)
    assert kept(after, NEWS, one) == ["2", "3", "4"]
    assert kept(after, "user:7", one) == ['{"a":"é"}']
    assert not after.covers_topic(NEWS, start)
    assert after.covers_topic(NEWS, one)
    assert after.topics.last_to_users == after.head
    assert list(after.dump()) == lines


def test_one_for_many_is_handed_over_once(log):
    users = tuple(f"user:{number}" for number in range(50))
    log.append(Message(users, "message", '"data"'), 1000)
    send(log, NEWS, "1")
    lines = list(log.dump())
    assert sum("data" in line for line in lines) == 1
    later = Log(epoch="later", now=1001, size=10, seconds=10)
    later.load(lines)
    assert kept(later, "user:7") == ['"data"']
    assert kept(later, NEWS) == ["1"]
    assert later.topics._bytes == log.topics._bytes
    assert later.topics.since("user:7", later.topics.floor)[0][1].topics == users


def test_one_for_many_counts_its_data_once(log, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 20 * module.OVERHEAD)
    start = log.head
    send(log, CHAT, "x")
    users = tuple(f"user:{number}" for number in range(10))
    log.append(Message(users, "message", "y" * 5000), 1000)
    assert kept(log, CHAT) == ["x"]
    assert all(log.covers_topic(each, start) for each in users)


def test_an_emptied_topic_is_remembered_and_makes_no_other_seem_to_have_lost_anything(log):
    LIMITS["channel:typing"] = (0, 100.0)
    start = log.head
    send(log, "channel:typing", "1")
    log.topics.trim(log.at(1001))
    assert not log.covers_topic("channel:typing", start)
    assert log.covers_topic(CHAT, start)
    log.topics.trim(log.at(1100))
    assert not log.covers_topic(CHAT, start), "nobody knows any more"


def test_after_a_restart_there_may_have_been_one_for_users(log):
    send(log, "user:7", "x")
    log.topics.trim(log.at(5000))
    send(log, CHAT, "x", now=5000)
    after = Log(epoch="x", now=6000, size=10, seconds=10, limits=lambda topic: (10, 10.0))
    after.load(list(log.dump()))
    assert after.topics.last_to_users is not None
