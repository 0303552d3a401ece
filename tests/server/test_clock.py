"""The clock: it goes on where the machine's is set back."""

from __future__ import annotations

import time

import pytest

from serverpush.server.clock import Clock


@pytest.fixture
def machine(monkeypatch):
    """The machine's clock, to be set."""
    shown = {"time": 1000.0, "monotonic": 5.0}
    for name in shown:
        monkeypatch.setattr(time, name, lambda name=name: shown[name])
    return shown


def test_it_shows_the_machines_time(machine):
    assert Clock()() == 1000


def test_it_goes_on_when_the_machines_is_set_back(machine):
    clock = Clock()
    machine["time"], machine["monotonic"] = 940.0, 7.0
    assert clock() == 1002
    assert clock.ahead == 62


def test_it_follows_when_the_machines_is_set_forward(machine):
    clock = Clock()
    machine["time"], machine["monotonic"] = 1060.0, 7.0
    assert clock() == 1060
    assert clock.ahead == 0
    machine["monotonic"] = 8.0
    assert clock() == 1061


def test_it_may_be_set_back_where_nothing_has_a_position_by_it(machine):
    clock = Clock()
    machine["time"] = 940.0
    assert clock() == 1000
    clock.begin()
    assert (clock(), clock.ahead) == (940, 0)


def test_another_clock_may_be_set_back_then(machine):
    clock = Clock()
    clock.follow(5000.0)
    assert clock() == 5000
    clock.begin(3000.0)
    assert (clock(), clock.ahead) == (3000, 0)


def test_it_knows_how_far_ahead_another_clock_is(machine):
    clock = Clock()
    machine["time"] = 940.0
    assert (clock(), clock.shift()) == (1000, 0), "a machine's own is not ahead of itself"
    for shown, shift in ((5000.0, 4060), (900.0, -40)):
        clock.follow(shown)
        assert clock.shift() == shift


def test_another_clock_is_followed_and_never_back(machine):
    clock = Clock()
    clock.follow(5000.0)
    machine["monotonic"] += 1
    assert clock() == 5001.0
    clock.follow(8000.0)
    assert clock() == 8000.0
    clock.follow(5000.0)
    machine["monotonic"] += 1
    assert (clock(), clock.ahead) == (8000.0, 0)
