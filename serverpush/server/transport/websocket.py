"""WebSockets on the hub: a channel is a socket and its callbacks, without a green thread.

eventlet.websocket keeps a green thread (with the whole HTTP request on its stack) for each
connection, reads on without yielding while there is data, unmasks byte by byte and negotiates
compression and pre-standard versions. So only its place is taken: the handshake below is what
engineio calls, and a channel owns the socket from there.
"""

import base64
import binascii
import functools
import hashlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from eventlet import hubs
from eventlet.wsgi import WSGI_LOCAL

from serverpush.server.transport import deflate, frames, loop
from serverpush.server.transport.inbound import Inbound, Incoming
from serverpush.server.transport.protocol_error import ProtocolError

RECEIVE = 64 * 1024
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WRITE_BATCH = 256 * 1024
"""Bytes that one channel writes before others get their turn."""


class Owner(Protocol):
    """Who a channel belongs to. None of these may wait or raise."""

    def channel_frame(self, channel: "Channel") -> bool:
        """A frame came in; False where it was one too many."""

    def channel_text(self, channel: "Channel", text: str) -> None:
        """A message came in."""

    def channel_bad(self, channel: "Channel", error: ProtocolError) -> None:
        """What came in is refused."""

    def channel_failed(self, channel: "Channel") -> None:
        """It raised what nobody expected, and raises it still."""

    def channel_lost(self, channel: "Channel") -> None:
        """The other end closed, or the connection broke."""

    def channel_drained(self, channel: "Channel") -> None:
        """Everything that had to wait has been written."""

    def channel_full(self, channel: "Channel") -> None:
        """More is waiting than may."""


def handshake(environ: dict[str, Any]) -> bytes | None:
    """The answer to an opening handshake, None where it is refused (RFC 6455 section 4.2).

    Version 13 only, no extension but compression, no subprotocol.
    """
    connection = [part.strip() for part in environ.get("HTTP_CONNECTION", "").lower().split(",")]
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return None
    if (
        len(nonce) != 16
        or "upgrade" not in connection
        or environ.get("HTTP_UPGRADE", "").lower() != "websocket"
        or environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13"
        or environ.get("REQUEST_METHOD") != "GET"
    ):
        return None
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: "
        + accept
        + b"\r\n"
        + (deflate.ANSWER if deflates(environ) else b"")
        + b"\r\n"
    )


def deflates(environ: dict[str, Any]) -> bool:
    """Are messages of the connection that a handshake opens compressed where it pays?"""
    return deflate.is_offered(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", ""))


def take_socket(environ: dict[str, Any]) -> tuple[socket.socket, bytes]:
    """The request's socket and what was read from it beyond the request.

    eventlet.wsgi is left with a closed one: its green thread, read buffer and environ end with
    the request instead of living as long as the connection.
    """
    request_input = environ["eventlet.input"]
    green = request_input.get_socket()
    green.setblocking(False)
    early = request_input.rfile.read1(RECEIVE) or b""
    raw = green.fd
    sock = socket.socket(raw.family, raw.type, raw.proto, fileno=raw.detach())
    sock.setblocking(False)
    # eventlet.wsgi must not answer: there is no HTTP on this connection any more
    WSGI_LOCAL.already_handled = True
    return sock, early


class Channel:
    """One WebSocket: frames in to its owner, bytes out, never waiting.

    ``waiting`` is the number of bytes that the kernel has not taken yet.
    """

    __slots__ = (
        "_delivering",
        "_inbound",
        "_is_held",
        "_limit",
        "_owner",
        "_queue",
        "_reader",
        "_sock",
        "_writer",
        "deflates",
        "send",
        "waiting",
    )

    def __init__(
        self,
        sock: socket.socket,
        owner: Owner,
        max_message: int,
        send_buffer: int,
        *,
        deflates: bool,
    ) -> None:
        self._sock: socket.socket | None = sock
        self._owner = owner
        self._inbound = Inbound(max_message, deflates=deflates)
        self.deflates = deflates
        """Whether the other end takes compressed messages."""
        self._delivering = self._is_held = False
        self._limit = send_buffer
        self._queue: deque[bytes | memoryview] | None = None
        self._writer: Any = None
        self._reader: Any = None
        self.waiting = 0
        self.send: Callable[[bytes], int] | None = sock.send
        """The socket's own ``send`` while nothing waits: the direct write. None otherwise."""

    @property
    def closed(self) -> bool:
        """Whether the socket is gone."""
        return self._sock is None

    def start(self, early: bytes = b"") -> None:
        """Begin to receive; ``early`` is what came before."""
        self._reader = self._listen(hubs.hub.READ, self._readable)
        if early:
            self._inbound.feed(early)
            self._deliver()

    def write(self, data: bytes) -> None:
        """Send ``data`` after all that was written before; what the kernel refuses waits."""
        send = self.send
        if send is None:
            if self._sock is not None:
                self.keep(data)
            return
        try:
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._owner.channel_lost(self)
            return
        if sent != len(data):
            self.keep(memoryview(data)[sent:])

    def write_frame(self, frame: frames.Frame) -> None:
        """Send a frame as the other end takes it best."""
        self.write(frame.deflated if self.deflates else frame.websocket)

    def keep(self, data: bytes | memoryview) -> None:
        """Let ``data`` wait until the kernel takes it."""
        if self._queue is None:
            self._queue = deque()
        self._queue.append(data)
        self.waiting += len(data)
        self.send = None
        if self._is_held and self.waiting > WRITE_BATCH:
            self.release()
        elif self.waiting > self._limit:
            self._owner.channel_full(self)
        elif self._writer is None and self._sock is not None and not self._is_held:
            self._writer = self._listen(hubs.hub.WRITE, self._writable)

    def hold(self) -> None:
        """Let what is written wait until ``release``, which sends all of it at once.

        To send costs more than to write: each time the other end is woken.
        """
        self._is_held, self.send = True, None

    def release(self) -> None:
        """Send what has been held."""
        self._is_held = False
        if self._sock is None or self._writer is not None:
            return
        held, self._queue, self.waiting = self._queue, None, 0
        self.send = self._sock.send
        if held:
            self.write(b"".join(held))
        if self.send is not None:
            self._owner.channel_drained(self)

    def finish(self) -> None:
        """Say goodbye: a close frame and the end of our side; the other end closes next."""
        if self._sock is not None:
            try:
                self._sock.send(frames.close_frame(1000))
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.send = None

    def close(self, code: int = 1000) -> None:
        """Drop what waits and close, at once; ``code`` is told if the kernel takes it."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        clean, self.send = self.send is not None, None
        self._queue, self.waiting = None, 0
        for listener in (self._reader, self._writer):
            if listener is not None:
                hubs.get_hub().remove(listener)
        self._reader = self._writer = None
        try:
            if clean:  # in the middle of a frame it would be taken for data
                sock.send(frames.close_frame(code))
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def _listen(self, kind: str, callback: Callable[[], None]) -> Any:
        assert self._sock is not None
        hub = hubs.get_hub()
        guarded = functools.partial(self._guarded, callback)
        listener = hub.add(kind, self._sock.fileno(), guarded, self._thrown, None)
        # a listener keeps the green thread that made it, here the dead one of the request
        listener.greenlet = hub.greenlet
        return listener

    def _guarded(self, callback: Callable[[], None], *_: object) -> None:
        # the hub calls what raised once more, and ends when that raises too
        try:
            callback()
        except loop.FAILURES:
            self._owner.channel_failed(self)

    def _thrown(self, *_: object) -> None:
        self._owner.channel_lost(self)

    def _readable(self) -> None:
        if self._sock is None or self._delivering:
            return
        try:
            data = self._sock.recv(RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._owner.channel_lost(self)
            return
        self._inbound.feed(data)
        self._deliver()

    def _deliver(self) -> None:
        # one frame for each turn of the hub: a flood keeps neither others waiting, nor us
        # what it will be closed for
        self._delivering = False
        if self._sock is None:
            return
        try:
            incoming = self._inbound.next()
        except ProtocolError as error:
            self._owner.channel_bad(self, error)
            return
        if incoming is None or not self._owner.channel_frame(self):
            return
        self._dispatch(incoming)
        if self._sock is not None and self._inbound.holding:
            self._delivering = True
            hubs.get_hub().schedule_call_global(0, self._guarded, self._deliver)

    def _dispatch(self, incoming: Incoming) -> None:
        if incoming.text is not None:
            self._owner.channel_text(self, incoming.text)
        elif incoming.opcode == frames.PING:
            self.write(frames.websocket_frame(frames.PONG, incoming.payload))
        elif incoming.opcode == frames.CLOSE:
            self._owner.channel_lost(self)

    def _writable(self) -> None:
        budget, queue = WRITE_BATCH, self._queue
        while self._sock is not None and queue and budget > 0:
            data = queue[0]
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._owner.channel_lost(self)
                return
            budget -= sent
            self.waiting -= sent
            if sent == len(data):
                queue.popleft()
            else:
                queue[0] = memoryview(data)[sent:]
        if self._sock is not None and not queue:
            self._queue = None
            hubs.get_hub().remove(self._writer)
            self._writer = None
            self.send = self._sock.send
            self._owner.channel_drained(self)
