"""A real Redis for tests, which can be ended, paused and filled."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import redis

from tests.live.processes import Process


class RedisServer:
    """Redis on a free port of this machine, with its append-only file in a folder.

    Arguments:
        folder: where it leaves what it has; a start there goes on with it.
        options: more of its settings, by name.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "appendonly": "yes",
            "save": "",
            **options,
        }
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> RedisServer:
        options = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        self._process = Process(["redis-server", *options], dict(os.environ))
        self._process.wait_for("Ready to accept connections")
        return self

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; what it has taken is in its file."""
        if self._process is not None:
            self.resume()
            self._process.stop(number)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it answer nothing, as a network does that was cut."""
        assert self._process is not None
        self._process.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.process.send_signal(signal.SIGCONT)

    def snapshot(self) -> dict[bytes, bytes]:
        """All that is there, for ``bring_back``."""
        with self.client() as client:
            return {key: client.dump(key) for key in client.scan_iter()}

    def bring_back(self, snapshot: dict[bytes, bytes]) -> None:
        """Let all be as it was, and end the connections, as a restart from an old file does."""
        with self.client() as client:
            many = client.pipeline(transaction=True)
            many.flushall()
            for key, value in snapshot.items():
                many.restore(key, 0, value)
            many.execute()
            client.client_kill_filter(_type="normal", skipme=True)

    def client(self) -> redis.Redis:
        """A client with which a test looks at what is there."""
        return redis.Redis.from_url(self.url)


def free_port() -> int:
    """One that nobody listens on; Redis can't choose one itself."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
