"""A model changed, 1,000 pages follow: the CPU of all that it takes, from the save to the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.fanout import Measured, Server, run
from benchmarks.peers import Peer, ours, python

CLIENTS = 1000


@contextmanager
def own() -> Iterator[Peer]:
    with ours.following("benchmarks.views_renders", "/page/1/") as peer:
        yield peer


PEERS: list[Server] = [own, python.turbo]


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    return [(_what(each), each.told()) for each in run(PEERS, CLIENTS)]


def _what(measured: Measured) -> str:
    return f"{measured.peer.name}: a model changed, a template rendered, {CLIENTS:,} pages follow"
