"""Profiles: what the renderings of an update read of their requests, as far as is known."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

Sources = frozenset[str]
"""Names of what a rendering may read of its request; see ``results.EVERYTHING``."""

MAX_PROFILES = 10_000
NOTHING: Sources = frozenset()
# Renderings after which it is forgotten that one before them read something.
KEPT = 100


@dataclass(slots=True)
class _Profile:
    expected: Sources = NOTHING
    # By source: the last rendering that read it, by its number.
    last: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def learn(self, reads: Sources) -> None:
        self.count += 1
        self.last |= dict.fromkeys(reads, self.count)
        if not reads <= self.expected or self.count % KEPT == 0:
            since = self.count - KEPT
            self.last = {each: number for each, number in self.last.items() if number > since}
            self.expected = frozenset(self.last)


class Profiles:
    """By update: what its last renderings read, all together.

    Only an expectation, by which renderings are divided beforehand. Where one reads more,
    it serves fewer; where it reads less, more renderings are made than have to be.
    """

    def __init__(self) -> None:
        self._profiles: OrderedDict[Any, _Profile] = OrderedDict()

    def expected(self, update: Any) -> Sources:
        profile = self._profiles.get(update)
        return NOTHING if profile is None else profile.expected

    def learn(self, update: Any, reads: Sources) -> None:
        """Take note of what a rendering read."""
        profile = self._profiles.get(update)
        if profile is None:
            if not reads:
                # As is expected of those of which nothing is known.
                return
            profile = self._profiles[update] = _Profile()
            if len(self._profiles) > MAX_PROFILES:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end(update)
        profile.learn(reads)
        if not profile.expected:
            del self._profiles[update]
