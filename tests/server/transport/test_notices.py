"""Log lines that an attacker can't make many of."""

import logging

import pytest

from serverpush.server.transport import notices
from tests.server.transport.conftest import Log


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(notices, "time", clock)
    return clock


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def make(log):
    def make():
        logger = logging.Logger("test", logging.DEBUG)
        logger.addHandler(log)
        return notices.Notices(logger)

    return make


def test_one_line_a_second_and_the_number_of_the_others(make, clock, log):
    said = make()
    for _ in range(5):
        said.say("it rained", detail="in Spain")
    clock.now += 1
    said.say("it rained", detail="in Kent")
    assert log.text.splitlines() == [
        "WARNING it rained: in Spain",
        "WARNING it rained: in Kent (4 more like this were not logged)",
    ]


def test_each_kind_has_its_own(make, clock, log):
    said = make()
    for _ in range(2):
        said.say("it rained")
        said.say("it snowed", level=logging.ERROR)
    assert log.text.splitlines() == ["WARNING it rained", "ERROR it snowed"]


def test_what_was_left_out_is_told_once(make, clock, log):
    said = make()
    for _ in range(3):
        said.say("it rained")
        said.say("it rained")
        clock.now += 2
    assert [record.getMessage() for record in log.records] == [
        "it rained",
        "it rained (1 more like this were not logged)",
        "it rained (1 more like this were not logged)",
    ]
