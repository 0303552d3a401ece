"""The same inputs over real sockets, for a push server that runs."""

from __future__ import annotations

import errno
import re
import socket

from tests.chaos import corpus
from tests.chaos.fuzz import Mutator

UPGRADE = next(each for each in corpus.REQUESTS if "Upgrade: websocket" in each).encode()
PATH = "/socket.io/?EIO=4&transport=polling"
WAIT = 10
CLOSED = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)


class Wire:
    """Sends inputs to the ports of a push server; ``count`` is how many."""

    def __init__(self, mutator: Mutator, port: int, notifier_port: int) -> None:
        self._mutator = mutator
        self._port = port
        self._notifier_port = notifier_port
        self._sid = ""
        self.count = 0

    def frames(self) -> None:
        """Up to five frames on a WebSocket, which is joined by half."""
        chance = self._mutator.random
        join = b"\x81\xfe" if chance.random() < 0.5 else b""
        if join:
            data = self._mutator.known(['40{"page":"TOKEN"}'])
            join += len(data).to_bytes(2, "big") + bytes(4) + data
        parts = [UPGRADE, join]
        parts += [self._mutator.frame(corpus.PACKETS) for _ in range(chance.randrange(1, 6))]
        self.count += len(parts) - 2
        self._exchange(self._port, parts)

    def posts(self) -> None:
        """Packets in a polling client's post."""
        chance = self._mutator.random
        packets = [self._mutator.input(corpus.PACKETS) for _ in range(chance.randrange(1, 4))]
        body = b"\x1e".join(packets)
        self.count += 1
        head = f"POST {PATH}&sid={self._sid} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        if b" 200 " not in self._exchange(self._port, [head.encode() + body])[:15]:
            opened = self._exchange(self._port, [f"GET {PATH} HTTP/1.1\r\n\r\n".encode()])
            found = re.search(rb'"sid":"([^"]+)"', opened)
            self._sid = found[1].decode() if found else ""

    def requests(self) -> None:
        """Something like HTTP on either port."""
        chance = self._mutator.random
        port = chance.choice([self._port, self._notifier_port])
        self.count += 1
        self._exchange(port, [self._mutator.input(corpus.REQUESTS)])

    def _exchange(self, port: int, parts: list[bytes]) -> bytes:
        """All that comes back until the server closes, which it does when we have."""
        answer = b""
        with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
            try:
                for part in parts:
                    sock.sendall(part)
                sock.shutdown(socket.SHUT_WR)
                while data := sock.recv(65536):
                    answer += data
            except OSError as error:
                if error.errno not in CLOSED:
                    raise
        return answer
