"""Turns, queues, ends and deadlines of connections, taken out."""

from __future__ import annotations

import time
from types import SimpleNamespace

from serverpush.server.transport import (
    connection,
    frames,
    http,
    loop,
    server,
    sockets,
    websocket,
    wheel,
)

Connection, EngineSocket = connection.Connection, sockets.EngineSocket
Channel, Transport = websocket.Channel, server.Transport


def nothing(*args, **kwargs):
    """In the place of what is taken out."""


def without_alarm(name):
    """The wheel forgets the deadlines that would call the function of this name."""
    after = wheel.Wheel.after

    def forgetful(self, seconds, function):
        if function.__name__ == name:
            return wheel.Alarm(set(), function)
        return after(self, seconds, function)

    wheel.Wheel.after = forgetful


def without_yielding(module, name):
    """A module's own ``sleep`` lets nobody else run."""
    real = getattr(module, name)
    setattr(module, name, SimpleNamespace(**{**vars(real), "sleep": nothing}))


# Others get their turn


def read_without_turns():
    deliver = Channel._deliver

    def greedy(self):
        deliver(self)
        while self._delivering:
            deliver(self)

    Channel._deliver = greedy


def take_posts_without_turns():
    without_yielding(sockets, "loop")


def take_every_packet():
    Connection.spend = lambda self: True


def handle_without_turns():
    without_yielding(connection, "loop")


def answer_without_turns():
    # Each request looks like its connection's first.
    http.Protocol.served = property(lambda self: False, nothing)


def accept_without_turns():
    http.ACCEPT_BATCH = 1 << 60


def keep_every_event():
    def work(self, function, *args):
        self._pending = self._pending or connection.deque()
        self._pending.append((function, args))
        if not self._working:
            self._working = True
            self.server.owner.start(self._run)

    Connection.work = work


def handle_side_by_side():
    Connection.work = lambda self, function, *args: self.server.owner.start(lambda: function(*args))


# Who does not read


def queue_for_websockets():
    EngineSocket.channel_full = nothing


def queue_for_pollers():
    def write(self, frame):
        if self.channel is not None or self.closed or self.closing:
            real(self, frame)
            return
        self._queue = self._queue or connection.deque()
        self._queue.append(frame)
        self._queued += frame.size
        self._release_poll()

    real, Connection.write = Connection.write, write


def wait_for_the_queue():
    end = Connection.end

    def patient(self, *args):
        until = time.monotonic() + 1.5
        while self.waiting and time.monotonic() < until:
            loop.sleep(0.01)
        end(self, *args)

    Connection.end = patient


def wait_for_the_goodbye():
    connection.CLOSE_GRACE = 60


def wait_for_the_answer():
    end = Connection.end

    def patient(self, *args):
        self._answering = None
        end(self, *args)

    Connection.end = patient


# The end of a client


def disconnect_without_closing():
    def close(self, client, reason="server disconnect"):
        client._socket.write(frames.Frame("41"))
        self.socket_ended(client._socket, reason)
        client._socket.asked = False

    Transport.close = close


def register_whatever_happened():
    def join(self, socket, auth):
        client = socket.client
        self._on_connect(client, auth)
        socket.write(frames.connected(client.id))
        self._clients[client.id] = client
        self._on_joined(client)

    Transport._join = join


def walk_all_clients():
    ended = Transport.socket_ended

    def walking(self, socket, reason):
        for client in () if self.stopped else list(self._clients.values()):
            client._joined = client._joined and client is not socket.client
        ended(self, socket, reason)

    Transport.socket_ended = walking


# Deadlines


def let_anyone_stay():
    without_alarm("_never_joined")


def let_the_refused_stay():
    Connection.refuse = Connection.write


def let_upgrades_hang():
    without_alarm("_drop_probe")


def miss_no_pong():
    without_alarm("_ping_lost")


def take_any_pong():
    take = Connection.take

    def trusting(self, text):
        self._pinged = self._pinged or text[:1] == connection.PONG
        take(self, text)

    Connection.take = trusting


def wait_for_headers():
    handle = http.wsgi.HttpProtocol.handle_one_request

    def patient(self):
        self.header_timeout = SimpleNamespace(cancel=nothing)
        handle(self)

    http.Protocol.handle_one_request = patient


def wait_for_bodies():
    http.Input._in_time = lambda self, function, size: function(size)
