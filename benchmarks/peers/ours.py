"""The push server, with a site in whose database an instance is saved that all clients watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers import Peer
from benchmarks.site import Saver, saver
from benchmarks.site import running as site_running
from benchmarks.watching import children
from tests.live.clients import browse
from tests.live.processes import Live

NAME = "django-serverpush"
READY = '42["serverpush:ready"'


@contextmanager
def running() -> Iterator[Peer]:
    """The push server's own CPU is what counts."""
    with site_running() as live, saver(live) as site:
        assert live.push is not None
        yield watching(live, "/bench/1/", [live.push.pid], site)


@contextmanager
def following(urls: str, path: str) -> Iterator[Peer]:
    """The CPU of all processes counts: of the push server, its renderers, and who saves."""
    with site_running(LIVE_URLS=urls) as live, saver(live) as site:
        assert live.push is not None
        pids = [live.push.pid, *children(live.push.pid), site.pid]
        yield watching(live, path, pids, site)


def watching(live: Live, path: str, pids: list[int], site: Saver) -> Peer:
    """Clients of a page whose author is saved."""
    _, record = browse(f"{live.url}{path}")
    url = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
    return Peer(NAME, pids, url, {"page": record["page"]}, site.save, ready=READY)
