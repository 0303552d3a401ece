"""The Engine.IO side of a connection: polling, WebSocket, the upgrade, pings and deadlines."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

import engineio
from engineio import exceptions, packet, socket

from serverpush.server.transport import frames, loop
from serverpush.server.transport.client import Client, Handshake
from serverpush.server.transport.frames import Frame
from serverpush.server.transport.inbound import ProtocolError
from serverpush.server.transport.websocket import Channel, handshake, take_socket

if TYPE_CHECKING:
    from serverpush.server.transport.engine import Engine
    from serverpush.server.transport.wheel import Alarm

CLOSE_GRACE = 0.5
"""Seconds that ``finish`` gives a client; the wheel adds up to half a second."""
REFUSED_GRACE = 2.0
"""Seconds in which a refused client may fetch its refusal and close."""

Reason = engineio.Server.reason

MESSAGE, PONG, CLOSE, NOOP = (
    str(kind) for kind in (packet.MESSAGE, packet.PONG, packet.CLOSE, packet.NOOP)
)


class BadPacket(exceptions.EngineIOError):  # type: ignore[misc]
    """A packet that is refused: its sender is closed. engineio answers a post with 400."""


class EngineSocket(socket.Socket):  # type: ignore[misc]
    """engineio's socket without its queue, its green threads and its unbounded waits.

    All output passes through ``write``, in order; all input through ``take``.
    """

    __slots__ = (
        "_answering",
        "_join_alarm",
        "_pending",
        "_ping_alarm",
        "_pinged",
        "_posting",
        "_probe_alarm",
        "_queue",
        "_queued",
        "_ready",
        "_stamp",
        "_tokens",
        "_working",
        "asked",
        "channel",
        "client",
        "closed",
        "closing",
        "connected",
        "probe",
        "server",
        "sid",
        "upgraded",
        "upgrading",
    )

    def __init__(self, server: "Engine", sid: str, environ: dict[str, Any]) -> None:
        # not engineio's: it makes a queue and a session for each socket
        self.server = server
        self.sid = sid
        self.client = Client(server.generate_id(), Handshake(environ), self)
        self.connected = self.upgrading = self.upgraded = self.closing = self.closed = False
        self.asked = False  # whether a CONNECT packet came
        self.channel: Channel | None = None
        self.probe: Channel | None = None
        self._queue: deque[Frame] | None = None
        self._queued = 0
        self._ready: loop.Event | None = None
        self._answering: Any = None
        self._pinged = self._posting = self._working = False
        self._pending: deque[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self._tokens = float(server.limits.packet_burst)
        self._stamp = time.monotonic()
        self._probe_alarm: Alarm | None = None
        self._join_alarm: Alarm | None = server.wheel.after(
            server.limits.join_timeout, self._never_joined
        )
        self._ping_alarm: Alarm | None = server.wheel.after(server.limits.ping_interval, self._ping)

    # output

    @property
    def waiting(self) -> int:
        """Bytes that wait for the client in this process."""
        return self._queued if self.channel is None else self.channel.waiting

    def write(self, frame: Frame) -> None:
        """Send, or let it wait its turn. Never waits, never raises."""
        if self.closed or self.closing:
            return
        if self.channel is not None:
            self.channel.write(frame.websocket)
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(frame)
        self._queued += frame.size
        if self._queued > self.server.limits.send_buffer:
            self.end("slow")
        else:
            self._release_poll()

    def send(self, pkt: Any) -> None:
        """A packet of the library itself goes the same way."""
        self.write(Frame(pkt.encode(b64=True)))

    def _release_poll(self) -> None:
        if self._ready is not None:
            self._ready.set()

    # the end

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """engineio's name for ``end``: nothing is waited for, whatever ``wait`` says."""
        self.end(reason or Reason.SERVER_DISCONNECT)

    def end(self, reason: str, code: int = 1000) -> None:
        """Drop what waits and shut the transport, at once."""
        if self.closed:
            return
        self.closed = self.closing = True
        for alarm in (self._join_alarm, self._ping_alarm, self._probe_alarm):
            if alarm is not None:
                alarm.cancel()
        self._join_alarm = self._ping_alarm = self._probe_alarm = None
        self._queue, self._queued, self._pending = None, 0, None
        self.server.sockets.pop(self.sid, None)
        self.server.owner.socket_ended(self, reason)
        for channel in (self.channel, self.probe):
            if channel is not None:
                channel.close(code)
        self.probe = None
        if self._answering is not None:
            # a poller that does not read its answer holds it for as long as it likes
            with contextlib.suppress(OSError):
                self._answering.shutdown(SHUT_RDWR)
            self._answering = None
        self._release_poll()

    def finish(self, frame: Frame) -> None:
        """Send a last frame, then close: as soon as it is out, within a second in any case."""
        self.write(frame)
        if self.closed or self.closing:
            return
        self.closing = True
        self._set_ping_alarm(CLOSE_GRACE, lambda: self.end(Reason.SERVER_DISCONNECT))
        if self.channel is not None and self.channel.send is not None:
            self.channel.finish()

    def refuse(self, frame: Frame) -> None:
        """Send a refusal; the client closes by itself, or is closed."""
        self.write(frame)
        if not self.closed:
            self.set_join_alarm(REFUSED_GRACE)

    # deadlines

    def set_join_alarm(self, seconds: float | None) -> None:
        """Close after ``seconds``; None: the client has joined, or is about to."""
        if self._join_alarm is not None:
            self._join_alarm.cancel()
            self._join_alarm = None
        if seconds is not None and not self.closed:
            self._join_alarm = self.server.wheel.after(seconds, self._never_joined)

    def _never_joined(self) -> None:
        self.end("never joined")

    def _set_ping_alarm(self, seconds: float, function: Callable[[], None]) -> None:
        if self._ping_alarm is not None:
            self._ping_alarm.cancel()
        self._ping_alarm = self.server.wheel.after(seconds, function)

    def _ping(self) -> None:
        self._pinged = True
        self._set_ping_alarm(self.server.limits.ping_timeout, self._ping_lost)
        self.write(frames.EIO_PING)

    def _ping_lost(self) -> None:
        self.end(Reason.PING_TIMEOUT)

    # input

    def spend(self) -> bool:
        """Take a token for one packet; a client that has none left is closed."""
        limits, now = self.server.limits, time.monotonic()
        earned = (now - self._stamp) * limits.packets_per_second
        self._tokens = min(float(limits.packet_burst), self._tokens + earned) - 1
        self._stamp = now
        if self._tokens >= 0:
            return True
        self.complain("closed a client that floods", "")
        self.end("flood", 1008)
        return False

    def complain(self, message: str, detail: str) -> None:
        """One line, rate limited, without what was sent."""
        address = self.client.handshake.address
        self.server.owner.notices.say(message, detail=f"{detail} from {address}".strip())

    def bad(self, what: str, code: int = 1008) -> None:
        """Close for what came in."""
        if not self.closed:
            self.complain("closed a client for what it sent", what)
            self.end("bad packet", code)

    def take(self, text: str) -> None:
        """One Engine.IO packet from the client."""
        if self.closing:
            return
        kind = text[:1]
        if kind == PONG:
            if self._pinged:  # others would put off the next ping
                self._pinged = False
                self._set_ping_alarm(self.server.limits.ping_interval, self._ping)
        elif kind == MESSAGE:
            try:
                self.server.handlers["message"](self.sid, text[1:])
            except BadPacket as error:
                self.bad(str(error))
        elif kind == CLOSE:
            self.end(Reason.CLIENT_DISCONNECT)
        elif kind != NOOP:
            self.bad("an empty packet" if not text else "an unknown packet type")

    def work(self, function: Callable[..., None], *args: Any) -> None:
        """Call ``function`` in this client's green thread, after all before it."""
        if self._pending is None:
            self._pending = deque()
        if len(self._pending) >= self.server.limits.packet_burst:
            self.complain("closed a client that floods", "")
            self.end("flood", 1008)
            return
        self._pending.append((function, args))
        if not self._working:
            self._working = True
            self.server.owner.start(self._run)

    def _run(self) -> None:
        try:
            while self._pending:
                function, args = self._pending.popleft()
                loop.guard(function, *args)
                if self._pending:
                    loop.sleep(0)  # a client that keeps us busy takes turns with the others
        finally:
            self._working = False
            if self._pending:
                # cancelled by ``stop`` in a handler: on_disconnect is still due
                self._working = True
                self.server.owner.start(self._run)
            else:
                self._pending = None

    # polling

    def handle_get_request(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A poll, or the WebSocket of an upgrade."""
        if environ.get("HTTP_UPGRADE"):
            return self._upgrade_websocket(environ, start_response)
        if not self.spend():
            return self.server.refuse_http(429, "too many requests")
        if self._ready is not None:
            self.bad("two polls at once")
            return self.server.refuse_http(400, "another poll is waiting")
        body = self._poll()
        if not self.closed:
            self._answering = environ["eventlet.input"].get_socket()
            environ["eventlet.posthooks"].append((self._answered, (), {}))
        return self.server.payload(body)

    def _answered(self, environ: dict[str, Any]) -> None:
        self._answering = None

    def _poll(self) -> bytes:
        while not self.closed:
            if self.upgrading or self.upgraded:
                return frames.EIO_NOOP.payload
            if self._queue:
                # a CLOSE packet comes with the next poll only: in one payload with an event,
                # socket.io-client closes first and drops the event
                waiting, self._queue, self._queued = self._queue, None, 0
                return frames.polling_payload(waiting)
            if self.closing:
                break
            self._ready = loop.Event()
            try:
                self._ready.wait()
            finally:
                self._ready = None
        self.end(Reason.SERVER_DISCONNECT)
        return frames.EIO_CLOSE.payload

    def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Packets of a polling client. Raises ``BadPacket``, with the client closed."""
        if self._posting:
            self._refuse_post("two posts at once")
        length = environ.get("CONTENT_LENGTH", "")
        if not (length.isascii() and length.isdigit()) or "HTTP_TRANSFER_ENCODING" in environ:
            self._refuse_post("a body without its length")
        if len(length) > 9 or int(length) > self.server.limits.max_message:
            self._refuse_post("a body that is too big")
        self._posting = True
        try:
            body = environ["wsgi.input"].read(int(length))
        except OSError:
            body = b""
        finally:
            self._posting = False
        if len(body) != int(length):
            self._refuse_post("a body that is cut off")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            self._refuse_post("text that is not UTF-8")
        for part in text.split("\x1e"):
            if self.closed or not self.spend():
                break
            self.take(part)

    def _refuse_post(self, what: str) -> None:
        self.bad(what)
        raise BadPacket(what)

    # WebSocket

    def open_websocket(self, environ: dict[str, Any], answer: bytes, first: Frame) -> None:
        """Answer the handshake of a new connection, with its first frame."""
        channel, early = self._channel(environ)
        self.channel, self.connected, self.upgraded = channel, True, True
        channel.write(answer + first.websocket)
        if not self.closed:
            channel.start(early)

    def _channel(self, environ: dict[str, Any]) -> tuple[Channel, bytes]:
        limits = self.server.limits
        sock, early = take_socket(environ)
        return Channel(sock, self, limits.max_message, limits.send_buffer), early

    def _upgrade_websocket(self, environ: dict[str, Any], start_response: Any) -> Any:
        answer = handshake(environ)
        if answer is None or self.probe is not None or self.closing:
            return self.server.refuse_http(400, "no upgrade now")
        self.probe, early = self._channel(environ)
        self._probe_alarm = self.server.wheel.after(
            self.server.limits.join_timeout, self._drop_probe
        )
        self.probe.write(answer)
        if self.probe is not None:
            self.probe.start(early)
        return ()

    def _drop_probe(self) -> None:
        # the client goes on polling, as with other Engine.IO servers
        probe, self.probe, self.upgrading = self.probe, None, False
        if self._probe_alarm is not None:
            self._probe_alarm.cancel()
            self._probe_alarm = None
        if probe is not None:
            probe.close(1002)

    def _take_probe(self, channel: Channel, text: str) -> None:
        if text == "2probe" and not self.upgrading:
            self.upgrading = True  # from here nothing leaves by polling
            channel.write(frames.EIO_PONG_PROBE.websocket)
            self._release_poll()
        elif text == "5" and self.upgrading:
            self._upgrade(channel)
        else:
            self.complain("closed an upgrade", "an unexpected packet")
            self._drop_probe()

    def _upgrade(self, channel: Channel) -> None:
        waiting, self._queue, self._queued = self._queue, None, 0
        self.channel, self.probe = channel, None
        self.upgrading, self.upgraded = False, True
        if self._probe_alarm is not None:
            self._probe_alarm.cancel()
            self._probe_alarm = None
        for frame in waiting or ():
            channel.write(frame.websocket)
        if self.closed:
            return
        if self.closing:
            if channel.send is not None:
                channel.finish()
        elif self.client._joined:
            self.client._channel = channel
        self._release_poll()

    # what a channel tells its owner

    def channel_frame(self, channel: Channel) -> bool:
        """A frame came in, of whatever kind."""
        return self.spend()

    def channel_text(self, channel: Channel, text: str) -> None:
        """A message came in."""
        if channel is self.probe:
            self._take_probe(channel, text)
        else:
            self.take(text)

    def channel_bad(self, channel: Channel, error: ProtocolError) -> None:
        """What came in is refused."""
        self.bad(error.reason, error.code)

    def channel_lost(self, channel: Channel) -> None:
        """The other end closed, or the connection broke."""
        if channel is self.probe:
            self._drop_probe()
        else:
            self.end(Reason.TRANSPORT_CLOSE)

    def channel_drained(self, channel: Channel) -> None:
        """Nothing waits any more."""
        if self.closing:
            channel.finish()

    def channel_full(self, channel: Channel) -> None:
        """A client that does not keep up is closed: it comes back and replays."""
        self.end("slow", 1013)
