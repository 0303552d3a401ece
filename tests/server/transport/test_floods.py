"""Clients that send too much, and what others notice of it."""

import time

import pytest

from serverpush.server.transport import loop
from tests.server.transport.test_inbound import masked

FRAMES = {
    "messages": masked(1, b"6"),
    "events": masked(1, b'42["a"]'),
    "pings": masked(9, b"x"),
    "pongs": masked(10, b""),
    "fragments": masked(0, b"", False),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_flood_is_closed(start, kind):
    server = start(packet_burst=20, packets_per_second=1)
    other = server.websocket()
    ws = server.websocket()
    server.handlers.wait("joined", 2)
    first = masked(1, b"", False) if kind == "fragments" else b""
    ws.ws.sock.sendall(first + FRAMES[kind] * 25)
    assert server.handlers.wait("disconnect")[0][2] == "flood"
    assert ws.closed()
    assert len(server.handlers.of("event")) <= 20
    assert len(server.log.records) == 1
    other.emit("ask", ack=1)
    assert other.packet() == "431[]"


def test_a_burst_within_the_limit_is_taken(start):
    server = start(packet_burst=30, packets_per_second=1)
    ws = server.websocket()
    server.client()
    ws.ws.sock.sendall(FRAMES["events"] * 28)
    server.handlers.wait("event", 28)
    assert server.handlers.of("disconnect") == []


def test_tokens_come_back(start):
    server = start(packet_burst=5, packets_per_second=100)
    ws = server.websocket()
    for number in range(20):
        ws.emit("ask", ack=number)
        assert ws.packet() == f"43{number}[]"
        # The pace is what is tested: twice as long as a token takes to come back.
        time.sleep(0.02)


def test_a_flood_of_packets_in_posts_is_closed(start):
    server = start(packet_burst=20, packets_per_second=1)
    poller = server.polling()
    server.client()
    poller.post("\x1e".join(["6"] * 30))
    assert server.handlers.wait("disconnect")[0][2] == "flood"


def test_a_flood_of_polls_is_closed(start):
    server = start(packet_burst=20, packets_per_second=1)
    poller = server.polling()
    server.client()
    ws = server.websocket(query="&sid=" + poller.params["sid"])
    ws.ws.send("2probe")  # from here each poll is answered at once
    assert ws.text() == "3probe"
    answers = [poller.get().status_code for _ in range(25)]
    assert answers[0] == 200
    assert answers[-1] == 400
    assert server.handlers.wait("disconnect")[0][2] == "flood"


def test_others_take_turns_with_a_flood(start):
    server = start(packet_burst=10_000, packets_per_second=1)
    turns, ticks = [], [0]
    server.handlers.event = lambda client, name, args: turns.append(ticks[0])
    ws = server.websocket()
    server.client()

    def tick():
        while len(turns) < 2000:
            ticks[0] += 1
            loop.sleep(0)

    server.call(loop.spawn, tick)
    ws.ws.sock.sendall(FRAMES["events"] * 2000)
    server.handlers.wait("event", 2000)
    assert len(set(turns)) > 1900


def test_reading_takes_turns(start):
    """Nothing but frames that need no answer: what yields is the reading itself."""
    server = start(packet_burst=10_000_000, packets_per_second=1)
    ws = server.websocket()
    channel = server.client()._channel
    most, real = [0], channel._inbound.feed

    class Counting:
        def feed(self, data):
            most[0] = max(most[0], len(data))
            ticks.append(tick[0])
            real(data)

        next = channel._inbound.next

    tick, ticks, done = [0], [], []

    def count():
        while not done:
            tick[0] += 1
            loop.sleep(0)

    server.call(loop.spawn, count)
    channel._inbound = Counting()
    ws.ws.sock.sendall(FRAMES["pongs"] * 100_000)
    ws.emit("last", ack=1)
    assert ws.packet() == "431[]"
    done.append(1)
    assert len(ticks) > 5
    assert len(set(ticks)) == len(ticks)
    assert most[0] <= 65536


def test_pending_events_of_a_slow_handler_are_bounded(start):
    server = start(packet_burst=20, packets_per_second=1000)
    server.handlers.event = lambda client, name, args: loop.sleep(60)
    ws = server.websocket()
    server.client()
    for _ in range(40):
        ws.emit("slow")
        # Slower than the packets' limit, so that only the events' limit can close it.
        time.sleep(0.002)
        if server.transport.clients == {}:
            break
    assert ws.closed()
    assert server.transport.clients == {}
