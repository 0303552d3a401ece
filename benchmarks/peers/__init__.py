"""The servers that are measured beside each other: ours, its peers, and the floor under all."""

from __future__ import annotations

import http.client
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# So that the packet has as many bytes as one of ours, which has 100 of data and its meta.
EVENT = {"name": "x" * 257}
TEMPLATE = "<h2>{{ author.name }}</h2>{% for number in numbers %}<p>{{ number }}</p>{% endfor %}"
MARK = '42["bench"'


@dataclass
class Peer:
    """A running server.

    ``pids`` are the processes whose CPU counts. ``url`` is for clients, which speak
    Socket.IO with ``auth``, or bare WebSockets where it is None; there ``hello`` is what they
    send first. ``ready`` is how the packet begins by which one knows that it is connected, and
    ``mark`` how events do. ``publish`` sends one event to all of them.
    """

    name: str
    pids: list[int]
    url: str
    auth: dict[str, Any] | None
    publish: Callable[[], object]
    mark: str = MARK
    ready: str = "40"
    hello: str = ""


@contextmanager
def process(command: list[str | Path], ready: str, **environ: str) -> Iterator[tuple[int, str]]:
    """A server that says on its output when it is ready: its pid, and what followed ``ready``."""
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ or None
        )
        assert running.stdout is not None
        try:
            for line in running.stdout:
                if line.startswith(ready):
                    yield running.pid, line.removeprefix(ready).strip()
                    return
            errors.seek(0)
            raise RuntimeError(f"{command[0]} ended: {errors.read()[-2000:]}")
        finally:
            running.terminate()
            running.wait(20)


class Port:
    """A kept-alive HTTP connection by which a peer is told to publish."""

    def __init__(self, port: int, path: str, body: bytes = b"") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._body = path, body

    def post(self) -> None:
        try:
            answer = self._answer()
        except ConnectionError:
            # Node ends one that was idle for five seconds.
            self._connection.close()
            answer = self._answer()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{self._path} answers {answer.status}")

    def _answer(self) -> http.client.HTTPResponse:
        self._connection.request("POST", self._path, self._body)
        return self._connection.getresponse()
