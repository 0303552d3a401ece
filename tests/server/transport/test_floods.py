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


def test_a_poll_for_each_event_is_no_flood(start):
    server = start(packet_burst=5, packets_per_second=0.001)
    poller = server.polling()
    server.client()
    for number in range(20):
        server.send(str(number))
        assert poller.poll() == [f'42["news",{number}]']
    assert server.handlers.of("disconnect") == []


def test_handling_takes_turns(start):
    """What has gathered behind a slow handler is not handled without a pause."""
    server = start(packet_burst=10_000, packets_per_second=1)
    count, tick, turns = 500, [0], []
    gate = server.call(loop.Event)

    def event(client, name, args):
        gate.wait()
        turns.append(tick[0])

    def count_turns():
        while len(turns) < count:
            tick[0] += 1
            loop.sleep(0)

    server.handlers.event = event
    ws = server.websocket()
    socket = server.client()._socket
    ws.ws.sock.sendall(FRAMES["events"] * count)
    while len(socket._pending or ()) < count - 1:
        server.settle()
    server.call(loop.spawn, count_turns)
    server.call(gate.set)
    ws.emit("last", ack=1)
    assert ws.packet() == "431[]"
    assert len(set(turns[:count])) == count


def test_reading_takes_turns(start):
    """Nothing but frames that need no answer: what yields is the reading itself."""
    server = start(packet_burst=10_000, packets_per_second=1)
    ws = server.websocket()
    channel = server.client()._channel
    count, tick, turns = 2000, [0], []

    class Noting:
        holding = property(lambda self: real.holding)

        def feed(self, data):
            real.feed(data)

        def next(self):
            turns.append(tick[0])
            return real.next()

    def count_turns():
        while len(turns) < count:
            tick[0] += 1
            loop.sleep(0)

    real, channel._inbound = channel._inbound, Noting()
    server.call(loop.spawn, count_turns)
    ws.ws.sock.sendall(FRAMES["pongs"] * count)
    ws.emit("last", ack=1)
    assert ws.packet() == "431[]"
    assert len(set(turns[:count])) == count


def test_posted_packets_take_turns(start):
    server = start(packet_burst=10_000, packets_per_second=1)
    poller = server.polling()
    socket = server.client()._socket
    count, tick, turns = 1000, [0], []

    class Noting(type(socket)):
        __slots__ = ()

        def spend(self):
            turns.append(tick[0])
            return super().spend()

    def count_turns():
        while len(turns) < count:
            tick[0] += 1
            loop.sleep(0)

    socket.__class__ = Noting
    server.call(loop.spawn, count_turns)
    assert poller.post("\x1e".join(["6"] * count)).status_code == 200
    assert len(set(turns)) == count


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
