"""What the rest of the server knows of a connection."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serverpush.server.transport.connection import Connection
    from serverpush.server.transport.websocket import Channel

HEADERS = ("host", "origin", "user-agent", "accept-language")
FORWARDED = ("x-forwarded-for", "x-forwarded-proto")
ENVIRON = tuple((name, "HTTP_" + name.upper().replace("-", "_")) for name in HEADERS + FORWARDED)


class Handshake:
    """What is kept of the request that opened a connection: its environ is let go."""

    __slots__ = ("address", "cookie", "headers")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.cookie: str = environ.get("HTTP_COOKIE", "")
        """The Cookie header, "" where there was none."""
        self.address: str = environ.get("REMOTE_ADDR", "")
        """The peer's IP address; never taken from a header."""
        # thousands of connections send the same few values
        self.headers: dict[str, str] = {
            name: sys.intern(environ[key]) for name, key in ENVIRON if key in environ
        }
        """Those that came, by lower-case name; ``FORWARDED`` ones are hearsay."""


class Client:
    """One connection. ``data`` is a slot for the server's own object."""

    __slots__ = ("__weakref__", "_channel", "_joined", "_socket", "data", "handshake", "id")

    def __init__(self, client_id: str, handshake: Handshake, socket: "Connection") -> None:
        self.id = client_id
        """The Socket.IO session id: public, unlike the transport's."""
        self.handshake = handshake
        self.data: Any = None
        self._socket = socket
        self._joined = False
        # the WebSocket of a joined client, for the direct write
        self._channel: Channel | None = None

    @property
    def waiting(self) -> int:
        """Bytes that wait for this client in this process."""
        return self._socket.waiting

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self._socket.closed or self._socket.closing

    def __repr__(self) -> str:
        return f"<Client {self.id}>"
