"""The Engine.IO side of a connection: its output, its input, its deadlines and its end."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

from engineio import exceptions, packet, socket

from serverpush.server.transport import frames, loop
from serverpush.server.transport.client import Client, Handshake
from serverpush.server.transport.frames import Frame
from serverpush.server.transport.reasons import Reason
from serverpush.server.transport.websocket import Channel

if TYPE_CHECKING:
    from serverpush.server.transport.engine import Engine
    from serverpush.server.transport.wheel import Alarm

CLOSE_GRACE = 0.5
"""Seconds that ``finish`` gives a client; the wheel adds up to half a second."""
REFUSED_GRACE = 2.0
"""Seconds in which a refused client may fetch its refusal and close."""

MESSAGE, PONG, CLOSE, NOOP = (
    str(kind) for kind in (packet.MESSAGE, packet.PONG, packet.CLOSE, packet.NOOP)
)


class BadPacket(exceptions.EngineIOError):  # type: ignore[misc]
    """A packet that is refused: its sender is closed. engineio answers a post with 400."""


class Connection(socket.Socket):  # type: ignore[misc]
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
            self.channel.write_frame(frame)
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
        self.end("server disconnect")

    def end(self, reason: Reason, code: int = 1000) -> None:
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
        self._set_ping_alarm(CLOSE_GRACE, lambda: self.end("server disconnect"))
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
        self.end("ping timeout")

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

    def fail(self) -> None:
        """Close for a mistake of our own, which is being handled."""
        self.server.owner.notices.say("taking packets failed", level=logging.ERROR, exc=True)
        self.end("bad packet", 1011)

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
            self.end("client disconnect")
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
