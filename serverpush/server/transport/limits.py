"""What one client, and all of them, may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of the transport; times in seconds, sizes in bytes."""

    ping_interval: float = 25
    """Seconds between two pings of a client."""
    ping_timeout: float = 20
    """Seconds that a client has for its pong."""
    join_timeout: float = 10
    """Seconds from the opened transport to the Socket.IO CONNECT packet, and for an upgrade."""
    max_message: int = 16 * 1024
    """Bytes of one incoming message, fragments together, and of one polling body."""
    send_buffer: int = 1_048_576
    """Bytes that may wait for one client on top of what the kernel holds."""
    max_connections: int = 10_000
    """Clients that may be joined at once."""
    packets_per_second: float = 50
    """Incoming frames and polling requests that one client may keep up."""
    packet_burst: int = 300
    """Incoming frames and polling requests that one client may send at once: a page that comes
    back subscribes to all that it follows, 200 at most."""

    @property
    def max_transports(self) -> int:
        """Open transports, joined or not, beyond which a handshake is answered 503."""
        return self.max_connections + max(16, self.max_connections // 8)

    @property
    def max_http(self) -> int:
        """HTTP requests served at once; each polling client holds up to two."""
        return 2 * self.max_transports + 256
