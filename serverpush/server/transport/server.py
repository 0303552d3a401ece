"""The transport: connections in, events out."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from serverpush.server.transport import frames, loop
from serverpush.server.transport.client import Client
from serverpush.server.transport.connection import BadPacket, Connection
from serverpush.server.transport.cors import Cors
from serverpush.server.transport.engine import SocketIO
from serverpush.server.transport.frames import Frame
from serverpush.server.transport.http import WSGIApp
from serverpush.server.transport.limits import Limits
from serverpush.server.transport.notices import Notices
from serverpush.server.transport.reasons import Reason
from serverpush.server.transport.refused import Refused
from serverpush.server.transport.wheel import Wheel

PATH = "/socket.io/"
STOP_SECONDS = 1.0
"""That ``stop`` gives handlers to return."""

Json = Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement's value, and what is to be done when it is out."""

    value: Json
    then: Callable[[], None]


class Transport:
    """Socket.IO 4 for one default namespace, on a loop of ``loop``."""

    def __init__(
        self,
        *,
        limits: Limits,
        origin_allowed: Callable[[dict[str, Any]], bool],
        on_connect: Callable[[Client, dict[str, Any] | None], None],
        on_joined: Callable[[Client], None],
        on_event: Callable[[Client, str, list[Any]], Json],
        on_disconnect: Callable[[Client, Reason], None],
        on_refused: Callable[[Client, str], None],
        logger: logging.Logger,
        fallback: WSGIApp | None = None,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        """The ``on_…`` but the last are called one after another for each client, in a green
        thread of its own, and may wait; nothing is called after ``on_disconnect``.

        Arguments:
            origin_allowed: asked with the WSGI environ for every HTTP request under /socket.io/.
            on_connect: gets the client and its auth; raises ``Refused`` to turn it away.
            on_joined: the client is in ``clients``, and ``send`` reaches it.
            on_event: gets an event's name and arguments; returns the acknowledgement's value,
                or an ``Answer`` where something is to follow it.
            on_disconnect: once for each client that ``on_joined`` was called for, with one of
                ``reasons.REASONS``.
            on_refused: gets each client that is turned away, and the code; may not wait.
            fallback: the WSGI application for all other paths; None: 404.
            is_open: are clients taken just now?
        """
        self.limits = limits
        self.notices = Notices(logger)
        granule = min(
            0.25, limits.ping_interval / 4, limits.ping_timeout / 4, limits.join_timeout / 4
        )
        self.wheel = Wheel(granule)
        self.stopped = False
        self._on_connect, self._on_joined = on_connect, on_joined
        self._on_event, self._on_disconnect = on_event, on_disconnect
        self._on_refused = on_refused
        self._fallback = fallback
        self.is_open = is_open
        self._clients: dict[str, Client] = {}
        self.clients: Mapping[str, Client] = MappingProxyType(self._clients)
        """The joined clients by their id."""
        self._admitted: set[Connection] = set()
        self._tasks: set[loop.Task] = set()
        self._socketio = SocketIO(self)
        self._engine = self._socketio.eio
        self._cors = Cors(origin_allowed, self._serve, self.notices)

    # for the server

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serves /socket.io/, and the fallback elsewhere; for ``loop.serve`` only."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(PATH) or path == PATH[:-1]:
            return self._cors(environ, start_response)
        if self._fallback is not None:
            return self._fallback(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found"]

    def send(self, clients: Iterable[Client], frame: Frame) -> None:
        """Send to those that are joined. Never waits, never raises.

        A WebSocket for which nothing waits is written directly; what its kernel does not take,
        and everything for the others, waits in order. A client for which more than
        ``send_buffer`` bytes wait is closed as "slow".
        """
        plain, deflated = frame.websocket, frame.deflated
        # a list: whoever fails leaves the registry, which may be what is iterated
        for client in list(clients):
            channel = client._channel
            if channel is None:
                if client._joined:
                    client._socket.write(frame)
                continue
            data = deflated if channel.deflates else plain
            direct = channel.send
            if direct is None:
                channel.write(data)
                continue
            try:
                sent = direct(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                client._socket.channel_lost(channel)
                continue
            if sent != len(data):
                channel.keep(memoryview(data)[sent:])

    def close(self, client: Client, reason: Reason = "server disconnect") -> None:
        """End a client at once: what waits for it is dropped, its transport shut.

        ``on_disconnect`` is called for it in its own green thread, not from here.
        """
        client._socket.end(reason)

    def close_after(self, client: Client, frame: Frame) -> None:
        """Send ``frame``, then close: as soon as it is out, and within a second even when the
        client reads nothing. Nothing is taken from the client, nor sent to it, any more."""
        socket = client._socket
        client._channel = None
        client._joined = False
        socket.finish(frame)

    def stop(self) -> None:
        """Close all clients, call ``on_disconnect`` for them, and end every green thread."""
        self.stopped = True
        for socket in list(self._engine.sockets.values()):
            socket.end("server shutdown")
        self.wheel.stop()
        for _ in range(2):  # a handler that hangs is cancelled, then its on_disconnect has a turn
            try:
                loop.wait_for(STOP_SECONDS, self._join_tasks)
            except TimeoutError:
                for task in list(self._tasks):
                    task.cancel()
                    self._tasks.discard(task)

    # for the sockets

    def start(self, function: Callable[[], None]) -> None:
        """Run a client's own green thread."""

        def run() -> None:
            try:
                function()
            finally:
                self._tasks.discard(task)

        task = loop.spawn(run)
        self._tasks.add(task)

    def socket_connects(self, socket: Connection, auth: Any) -> None:
        """A CONNECT packet came in."""
        if socket.asked:
            raise BadPacket("a second CONNECT")
        socket.asked = True
        if auth is not None and not isinstance(auth, dict):
            self._refuse(socket, "bad_token", "auth has to be an object")
        elif len(self._admitted) >= self.limits.max_connections:
            self._refuse(socket, "too_many_connections", "too many connections")
        else:
            self._admitted.add(socket)
            socket.set_join_alarm(None)
            socket.work(self._join, socket, auth)

    def socket_event(
        self, socket: Connection, packet_id: int | None, name: str, arguments: list[Any]
    ) -> None:
        """An EVENT packet came in."""
        if not socket.client._joined:
            raise BadPacket("an event before joining")
        socket.work(self._event, socket, packet_id, name, arguments)

    def socket_ended(self, socket: Connection, reason: Reason) -> None:
        """A transport is closed."""
        client = socket.client
        client._channel = None
        client._joined = False
        self._admitted.discard(socket)
        if self._clients.pop(client.id, None) is not None:
            socket.work(self._on_disconnect, client, reason)

    def _refuse(self, socket: Connection, code: str, message: str) -> None:
        self._admitted.discard(socket)
        socket.refuse(frames.refusal(code, message))
        self._on_refused(socket.client, code)

    # in a client's own green thread

    def _join(self, socket: Connection, auth: dict[str, Any] | None) -> None:
        client = socket.client
        try:
            self._on_connect(client, auth)
        except Refused as error:
            self._refuse(socket, error.code, error.message)
            return
        except loop.FAILURES:
            self.notices.say("on_connect failed", level=logging.ERROR, exc=True)
            self._refuse(socket, "server_error", "the server failed")
            return
        if socket.closing:
            return
        channel = socket.channel
        if channel is None:
            self._joined(socket)
            return
        # Its acknowledgement and what it is told first are one packet.
        channel.hold()
        try:
            self._joined(socket)
        finally:
            channel.release()

    def _joined(self, socket: Connection) -> None:
        client = socket.client
        socket.write(frames.connected(client.id))
        if socket.closing:
            return
        self._clients[client.id] = client
        client._joined = True
        client._channel = socket.channel
        self._on_joined(client)

    def _event(
        self, socket: Connection, packet_id: int | None, name: str, arguments: list[Any]
    ) -> None:
        if socket.closing:
            return
        value: Json
        then: Callable[[], None] | None = None
        try:
            value = self._on_event(socket.client, name, arguments)
            if isinstance(value, Answer):
                value, then = value.value, value.then
            answer = None if packet_id is None else frames.ack(packet_id, value)
        except Refused as error:
            answer = self._error(packet_id, error.code, error.message)
        except loop.FAILURES:
            self.notices.say("on_event failed", level=logging.ERROR, exc=True)
            answer = self._error(packet_id, "server_error", "the server failed")
        if answer is not None:
            socket.write(answer)
        if then is not None:
            loop.guard(then)

    def _error(self, packet_id: int | None, code: str, message: str) -> Frame | None:
        if packet_id is None:
            return None
        return frames.ack(packet_id, {"error": message, "code": code})

    def _join_tasks(self) -> None:
        while self._tasks:
            next(iter(self._tasks)).join()

    # HTTP

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "j" in query:
            # JSONP is read by any page, whatever its origin
            return _plain(start_response, "400 Bad Request", "JSONP is not served")
        if query.get("sid", [""])[0] not in self._engine.sockets and not self.is_open():
            # Neither new ones nor those of another server: a proxy asks that one then.
            text = "this push server does not know what has changed"
            return _plain(start_response, "503 Service Unavailable", text)
        answer: Iterable[bytes] = self._engine.handle_request(environ, start_response)
        return answer


def _plain(start_response: Any, status: str, text: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]
