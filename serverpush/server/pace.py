"""Pace: over how long the clients that are told to refresh have to spread it."""

from __future__ import annotations

# Pages that a site renders in a second beside all else that it does.
PAGES_PER_SECOND = 100.0
# Seconds: less would let a handful of browsers ask in the same moment.
SHORTEST = 3.0


class Pace:
    """Counts the refreshes that clients were told of and may not have made yet."""

    def __init__(self) -> None:
        self._waiting = 0.0
        self._last = 0.0

    def within(self, count: int, now: float) -> float:
        """Seconds over which ``count`` more clients are to refresh at random.

        ``now`` is in seconds of any clock that goes on.
        """
        elapsed, self._last = now - self._last, now
        self._waiting = max(0.0, self._waiting - elapsed * PAGES_PER_SECOND) + count
        return max(SHORTEST, self._waiting / PAGES_PER_SECOND)
