"""The push server, with a site in whose database an instance is saved that all clients watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers import Peer
from benchmarks.site import running as site_running
from benchmarks.site import saver
from tests.live.clients import browse

NAME = "django-serverpush"


@contextmanager
def running() -> Iterator[Peer]:
    with site_running() as live, saver(live) as site:
        assert live.push is not None
        _, record = browse(f"{live.url}/bench/1/")
        url = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
        auth = {"page": record["page"]}
        yield Peer(NAME, [live.push.pid], url, auth, site.save, is_own=True)
