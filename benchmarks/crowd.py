"""Drives the load client, which runs as a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import installing
from benchmarks.peers import Peer


class Crowd:
    """Clients of one peer."""

    def __init__(self, process: subprocess.Popen[str], peer: Peer) -> None:
        self._process = process
        self._peer = peer
        self.pid = process.pid

    def connect(self, count: int, at_once: int = 1) -> None:
        """Open so many connections, and wait until all are ready."""
        peer = self._peer
        self._ask(
            connect=count,
            url=peer.url,
            auth=peer.auth,
            mark=peer.mark,
            own=peer.is_own,
            at_once=at_once,
        )

    def wait(self, count: int) -> float:
        """Wait until so many more events have come; when the last did, seconds since the epoch."""
        return float(self._ask(wait=count)["last"])

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the clients of {self._peer.name} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def crowd(peer: Peer) -> Iterator[Crowd]:
    """A load client for a peer, without connections yet."""
    process = subprocess.Popen(
        [installing.python(), Path(__file__).with_name("load.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Crowd(process, peer)
    finally:
        process.kill()
        process.wait()
