"""Profiles: what the renderings of an update read of their requests, as far as is known."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

Sources = frozenset[str]
"""Names of what a rendering may read of its request, as a renderer notes them: ``path``,
``query``, ``address``, ``cookies``, ``cookie:NAME``, ``header:name``."""

MAX_PROFILES = 10_000
NOTHING: Sources = frozenset()


class Profiles:
    """By update: what its last rendering read.

    Only an expectation, by which renderings are divided beforehand. Where one reads more,
    it serves fewer; where it reads less, more renderings are made than have to be.
    """

    def __init__(self) -> None:
        self._sources: OrderedDict[Any, Sources] = OrderedDict()

    def expected(self, update: Any) -> Sources:
        return self._sources.get(update, NOTHING)

    def learn(self, update: Any, reads: Sources) -> None:
        if self._sources.get(update) == reads:
            return
        self._sources[update] = reads
        self._sources.move_to_end(update)
        if len(self._sources) > MAX_PROFILES:
            self._sources.popitem(last=False)
