"""How the parts of a push server are made for where things are."""

from __future__ import annotations

import sys

import pytest

from serverpush.conf import config
from serverpush.exceptions import CannotStart
from serverpush.protocol import Position
from serverpush.server.parts import Parts


@pytest.fixture
def make(settings):
    def make(**chosen):
        for name, value in chosen.items():
            setattr(settings, f"SERVERPUSH_{name}", value)
        return Parts(config(), models={}, served="127.0.0.1:0", health=dict)

    return make


@pytest.mark.parametrize(
    ("chosen", "skew"),
    [
        ({}, 0),
        ({"NOTIFIER_HOST": "192.0.2.1"}, 1),
        ({"BACKEND": "redis://localhost/0"}, 0),
        ({"BACKEND": "unix:///run/redis.sock"}, 0),
        ({"BACKEND": "redis://127.0.0.1:6379"}, 0),
        ({"BACKEND": "redis://redis.example.org/0"}, 1),
        ({"BACKEND": "rediss://:pass@192.0.2.1/0", "NOTIFIER_HOST": "127.0.0.1"}, 1),
    ],
)
def test_the_clock_of_a_site_on_another_machine_may_be_ahead(make, chosen, skew):
    at = make(**chosen).dispatch.at(1000.0)
    assert at == Position(1_000_000 - 1000 * skew, 0, at.epoch)


def test_without_the_package_for_redis_it_can_not_start(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    for name in [each for each in sys.modules if each.startswith("redis.")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("serverpush.server.cluster", "serverpush.stream"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(CannotStart, match=r"pip install 'django-serverpush\[redis\]'"):
        make(BACKEND="redis://localhost/0")


def test_what_is_not_open_yet_takes_nobody(make):
    parts = make(BACKEND="redis://localhost/0")
    assert not parts.opened.is_set()
    assert not parts.transport.is_open()
    assert make(BACKEND="memory").transport.is_open()
