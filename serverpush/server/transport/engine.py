"""engineio's and socketio's servers with what they leave open closed."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import engineio
import socketio
from socketio import packet

from serverpush.server.transport import frames
from serverpush.server.transport.connection import BadPacket
from serverpush.server.transport.libraries import quiet_logger
from serverpush.server.transport.limits import Limits
from serverpush.server.transport.sockets import EngineSocket
from serverpush.server.transport.websocket import handshake

if TYPE_CHECKING:
    from serverpush.server.transport.server import Transport
    from serverpush.server.transport.wheel import Wheel

Response = dict[str, Any]


class Engine(engineio.Server):  # type: ignore[misc]
    """engineio's server: its HTTP routing and ids, with sockets of our own."""

    owner: "Transport"
    limits: Limits
    wheel: "Wheel"
    _async: dict[str, Any]

    def __init__(self, *, owner: "Transport", **options: Any) -> None:
        super().__init__(**options)
        # a copy: the driver's own dict is shared by all servers of the process
        self._async = dict(self._async, websocket=handshake)
        self.owner, self.limits, self.wheel = owner, owner.limits, owner.wheel

    def refuse_http(self, status: int, message: str) -> Response:
        """A plain answer in the shape that engineio wants."""
        return {
            "status": f"{status} {HTTPStatus(status).phrase}",
            "headers": [("Content-Type", "text/plain")],
            "response": message.encode(),
        }

    def payload(self, body: bytes) -> Response:
        """The answer to a poll."""
        return {
            "status": "200 OK",
            "headers": [
                ("Content-Type", "text/plain; charset=UTF-8"),
                ("Cache-Control", "no-store"),
            ],
            "response": body,
        }

    def _handle_connect(
        self, environ: dict[str, Any], start_response: Any, transport: str, jsonp_index: Any = None
    ) -> Any:
        if self.owner.stopped or len(self.sockets) >= self.limits.max_transports:
            return self.refuse_http(503, "too many connections")
        answer = handshake(environ) if transport == "websocket" else b""
        if answer is None:
            return self.refuse_http(400, "not a WebSocket handshake")
        sid = self.generate_id()
        socket = self.sockets[sid] = EngineSocket(self, sid, environ)
        opened = frames.opened(
            sid,
            ["websocket"] if transport == "polling" else [],
            self.limits.ping_interval,
            self.limits.ping_timeout,
            self.limits.max_message,
        )
        if transport == "polling":
            socket.connected = True
            return self.payload(opened.payload)
        socket.open_websocket(environ, answer, opened)
        return ()


class SocketIO(socketio.Server):  # type: ignore[misc]
    """socketio's server: its packets, with a registry and handlers of our own.

    Its manager stays empty: it walks all rooms for each disconnect, and keeps a ghost of a
    client that is closed while its connect handler runs.
    """

    def __init__(self, owner: "Transport") -> None:
        self._owner = owner
        quiet = quiet_logger()
        super().__init__(
            async_mode="eventlet",
            async_handlers=False,
            logger=quiet,
            engineio_logger=quiet,
            owner=owner,
            monitor_clients=False,
            http_compression=False,
            cors_allowed_origins=[],
            max_http_buffer_size=owner.limits.max_message,
        )

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        """Nothing: socketio keeps the whole environ here."""

    def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Nothing: the registry is the transport's."""

    def _handle_eio_message(self, eio_sid: str, data: str) -> None:
        """One Socket.IO packet. Raises ``BadPacket``."""
        socket: EngineSocket = self.eio.sockets[eio_sid]
        parsed = self._parse(data)
        if parsed.namespace not in (None, "/"):
            self._refuse_namespace(socket, parsed)
            return
        if parsed.packet_type == packet.CONNECT:
            self._owner.socket_connects(socket, parsed.data)
        elif parsed.packet_type == packet.EVENT:
            arguments = parsed.data
            if (
                not isinstance(arguments, list)
                or not arguments
                or not isinstance(arguments[0], str)
            ):
                raise BadPacket("an event without a name")
            self._owner.socket_event(socket, parsed.id, arguments[0], arguments[1:])
        elif parsed.packet_type == packet.DISCONNECT:
            socket.end("client disconnect")
        else:
            # no acknowledgement is ever asked for
            raise BadPacket("a packet type that is not for servers")

    def _parse(self, data: str) -> packet.Packet:
        if not data or data[0] not in "0123":
            raise BadPacket("a binary or unknown packet" if data else "an empty packet")
        try:
            parsed = self.packet_class(encoded_packet=data)
        except (ValueError, RecursionError):
            # ValueError includes json.JSONDecodeError and UnicodeError
            raise BadPacket("a packet that can't be read") from None
        if parsed.attachment_count:
            raise BadPacket("a packet with attachments")
        return parsed

    def _refuse_namespace(self, socket: EngineSocket, parsed: packet.Packet) -> None:
        if parsed.packet_type != packet.CONNECT or len(parsed.namespace) > 64:
            raise BadPacket("an unknown namespace")
        socket.write(frames.unknown_namespace(parsed.namespace))
