"""A connection's transports: polling, WebSocket, and the upgrade from one to the other."""

from typing import Any

from serverpush.server.transport import frames, loop
from serverpush.server.transport.connection import BadPacket, Connection
from serverpush.server.transport.frames import Frame
from serverpush.server.transport.protocol_error import ProtocolError
from serverpush.server.transport.websocket import Channel, deflates, handshake, take_socket


class EngineSocket(Connection):
    """What engineio's server and a channel call."""

    __slots__ = ()

    # polling

    def handle_get_request(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A poll, or the WebSocket of an upgrade."""
        if environ.get("HTTP_UPGRADE"):
            return self._upgrade_websocket(environ, start_response)
        # others wait for an event, and so come no faster than events do
        if self.upgrading and not self.spend():
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
        self.end("server disconnect")
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
            self._take_post(environ, int(length))
        except BadPacket:
            raise
        except loop.FAILURES:
            self.fail()  # engineio would answer as if nothing had happened
        finally:
            self._posting = False

    def _take_post(self, environ: dict[str, Any], length: int) -> None:
        try:
            body = environ["wsgi.input"].read(length)
        except OSError:
            body = b""
        if len(body) != length:
            self._refuse_post("a body that is cut off")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            self._refuse_post("text that is not UTF-8")
        first, *rest = text.split("\x1e")
        if self.spend():
            self.take(first)
        for part in rest:
            loop.sleep(0)  # a client that sends much at once takes turns with the others
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
        channel = Channel(
            sock, self, limits.max_message, limits.send_buffer, deflates=deflates(environ)
        )
        return channel, early

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
            channel.write_frame(frame)
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

    def channel_failed(self, channel: Channel) -> None:
        """A mistake of our own."""
        self.fail()

    def channel_lost(self, channel: Channel) -> None:
        """The other end closed, or the connection broke."""
        if channel is self.probe:
            self._drop_probe()
        else:
            # after ``finish`` this is the answer to our own goodbye
            self.end("server disconnect" if self.closing else "transport close")

    def channel_drained(self, channel: Channel) -> None:
        """Nothing waits any more."""
        if self.closing:
            channel.finish()

    def channel_full(self, channel: Channel) -> None:
        """A client that does not keep up is closed: it comes back and replays."""
        self.end("slow", 1013)
