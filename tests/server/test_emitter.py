"""The emitter: what pages are told, and what is counted of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import pytest

from serverpush.protocol import Condition, Dependency, Page, Position, Serializer
from serverpush.server.clock import Clock
from serverpush.server.core.actions import End, Refresh, Send
from serverpush.server.emitter import Emitter
from serverpush.server.telemetry import Telemetry
from serverpush.tokens import MAX_TOKEN

META = {"id": "1", "safe": "1", "model": "shop.book", "pk": 1, "action": "changed"}
FIELDS = Serializer("fields")


@dataclass
class Client:
    id: str


@dataclass
class Transport:
    clients: dict[str, Client]
    sent: list[tuple[str, str]] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def send(self, clients, frame):
        self.sent += [(each.id, frame.payload.decode()) for each in clients]

    def close_after(self, client, frame):
        self.send([client], frame)


@pytest.fixture
def transport():
    return Transport({"here": Client("here")})


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def emitter(transport, telemetry):
    return Emitter(
        transport,
        telemetry,
        Clock(),
        send_buffer=100_000,
        forget=transport.clients.get,
        untell=transport.untold.extend,
    )


def counted(telemetry, name):
    lines = telemetry.metrics().decode().splitlines()
    return sum(float(each.split()[-1]) for each in lines if each.startswith(f"serverpush_{name}"))


def send(*connections, page=None):
    return Send(connections, "book", "1", META, None, page)


def test_who_is_gone_is_not_counted(emitter, telemetry):
    emitter.do([send("here", "gone"), Refresh(("here", "gone"), "gap")])
    assert counted(telemetry, "deliveries_total") == 1
    assert counted(telemetry, 'refreshes_total{reason="gap"}') == 1


def test_who_is_ended_to_load_another_page_is_told_to_refresh(emitter, telemetry, transport):
    emitter.do([End(("here",), "access")])
    assert transport.sent == [("here", '42["serverpush:refresh",{"reason":"access"}]')]
    assert counted(telemetry, 'refreshes_total{reason="access"}') == 1
    assert counted(telemetry, 'ends_total{reason="access"}') == 1


def test_what_is_too_large_is_a_refresh_of_its_channel(emitter, transport):
    meta = {"id": "1-1-e", "safe": "1-1-e", "channel": "news"}
    emitter.do([Send(("here",), "line", json.dumps("x" * 100_000), meta, None)])
    told = '42["serverpush:refresh",{"channel":"news","reason":"error"}]'
    assert transport.sent == [("here", told)]


def test_who_is_told_to_refresh_shows_what_it_fetches(emitter, transport):
    emitter.do([send("here"), Refresh(("here", "gone"), "gap")])
    assert transport.untold == ["here", "gone"]


def test_a_renewed_page_goes_with_the_event(emitter, transport, settings):
    page = Page("/", dependencies=(Dependency("book", Condition("shop.book"), FIELDS),))
    emitter.do([send("here", page=page)])
    ((_, told),) = transport.sent
    assert json.loads(told[2:])[2]["page"]


def test_one_that_fits_no_token_is_told_to_refresh(emitter, transport):
    # It would come back with its first dependencies.
    at = Position(1, 1, "e")
    keys = tuple(f"{at}-{number}" * 3 for number in range(MAX_TOKEN))
    page = Page("/", dependencies=(Dependency("book", Condition("shop.book"), FIELDS, keys=keys),))
    emitter.do([send("here", page=page)])
    assert transport.sent == [("here", '42["serverpush:refresh",{"reason":"error"}]')]


def test_a_clock_that_was_set_back_does_not_spread_refreshes(emitter, transport, monkeypatch):
    ahead = time.time() + 3600
    monkeypatch.setattr(emitter, "_clock", lambda: ahead)
    emitter.do([Refresh(("here",), "gap")])
    monkeypatch.setattr(emitter, "_clock", time.time)
    emitter.do([Refresh(("here",), "gap")])
    assert [payload for _, payload in transport.sent] == [transport.sent[0][1]] * 2
    assert "within" not in transport.sent[1][1]
