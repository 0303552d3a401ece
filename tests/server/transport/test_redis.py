"""Green sockets for redis-py: whoever waits lets the others run."""

from __future__ import annotations

import socket

import pytest

from serverpush.server.transport import loop
from serverpush.server.transport.redis import GreenSocket

BIG = 8 * 1024 * 1024


@pytest.fixture
def pair():
    """A green socket, and the other end, which is not."""
    here, there = socket.socketpair()
    green = GreenSocket(here, 5)
    yield green, there
    green.close()
    there.close()


def ticking(ticks):
    def tick():
        while True:
            ticks.append(1)
            loop.sleep(0.001)

    return loop.spawn(tick)


def test_waiting_for_bytes_lets_others_run(pair):
    green, there = pair
    ticks, got = [], []

    def run():
        other = ticking(ticks)
        reading = loop.spawn(lambda: got.append(green.recv(100)))
        while len(ticks) < 5:
            loop.sleep(0.001)
        there.sendall(b"here")
        reading.join(5)
        other.cancel()

    loop.run(run)
    assert got == [b"here"]


def test_sending_what_the_kernel_does_not_take_lets_others_run(pair):
    green, there = pair
    ticks, got = [], []

    def run():
        other = ticking(ticks)
        sending = loop.spawn(green.sendall, bytes(BIG))
        while len(ticks) < 5:
            loop.sleep(0.001)
        there.setblocking(False)
        while sum(got) < BIG:
            try:
                got.append(len(there.recv(1 << 20)))
            except BlockingIOError:
                loop.sleep()
        assert sending.join(5)
        other.cancel()

    loop.run(run)
    assert sum(got) == BIG


def test_nothing_in_time(pair):
    green, _ = pair
    green.settimeout(0.01)
    with pytest.raises(TimeoutError):
        loop.run(green.recv, 1)


def test_a_look_does_not_wait(pair):
    green, there = pair
    green.settimeout(0)
    with pytest.raises(BlockingIOError):
        loop.run(green.recv, 1)
    there.sendall(b"x")
    assert loop.run(green.recv, 1) == b"x"


def test_the_other_end_is_gone(pair):
    green, there = pair
    there.close()
    assert loop.run(green.recv, 1) == b""
