"""Drives the load client, which runs as a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import installing
from benchmarks.peers import Peer
from benchmarks.processes import Told, told


class Crowd:
    """Clients of one peer."""

    def __init__(self, process: Told, peer: Peer) -> None:
        self._process = process
        self._peer = peer
        self.lost = 0
        # Of CPU, that the load client has used.
        self.seconds = 0.0

    def connect(self, count: int, at_once: int = 1, *, strangers: bool = False) -> None:
        """Open so many connections, and wait until all are ready.

        ``strangers`` have a cookie each.
        """
        peer = self._peer
        self._ask(
            connect=count,
            url=peer.url,
            auth=peer.auth,
            mark=peer.mark,
            ready=peer.ready,
            hello=peer.hello,
            at_once=at_once,
            strangers=strangers,
        )

    def wait(self, count: int) -> float:
        """Wait until so many more events have come; when the last did, seconds since the epoch.

        What has not come within some seconds is counted in ``lost``.
        """
        answer = self._ask(wait=count)
        self.lost += answer["missing"]
        return float(answer["last"])

    def _ask(self, **command: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._process.ask(json.dumps(command)))
        self.seconds = answer["cpu"]
        return answer


@contextmanager
def crowd(peer: Peer) -> Iterator[Crowd]:
    """A load client for a peer, without connections yet."""
    with told([installing.python(), Path(__file__).with_name("load.py")]) as process:
        yield Crowd(process, peer)
