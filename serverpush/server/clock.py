"""The clock of the push server: one that is never set back."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch.

    Where the machine's clock is set back, this one goes on: a change that is
    reported after a page was rendered must not get a position before it.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self, now: float | None = None) -> None:
        """Show the time as it is, even if it is earlier: there is no position of before.

        That is ``now`` by another's clock, or else the machine's time.
        """
        self._is_own = now is None
        self._offset = (time.time() if now is None else now) - time.monotonic()
        self._last = 0.0

    def __call__(self) -> float:
        steady = time.monotonic()
        if self._is_own:
            self._offset = max(self._offset, time.time() - steady)
        self._last = max(self._last, steady + self._offset)
        return self._last

    def follow(self, now: float) -> None:
        """Go by another's clock, which shows ``now``; it is not set back by that either."""
        if self._is_own:
            # Nothing has happened yet by the other clock.
            self.begin(now)
        else:
            self._offset = now - time.monotonic()

    def shift(self) -> float:
        """Seconds by which another's clock, which this one follows, is ahead of the machine's."""
        return 0.0 if self._is_own else self._offset + time.monotonic() - time.time()

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the machine's clock, if it goes by that."""
        return max(0.0, self() - time.time()) if self._is_own else 0.0
