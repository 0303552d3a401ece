"""The clock of the push server: one that is never set back."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch.

    Where the machine's clock is set back, this one goes on: a change that is
    reported after a page was rendered must not get a position before it.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        steady = time.monotonic()
        self._offset = max(self._offset, time.time() - steady)
        return steady + self._offset

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the machine's clock."""
        return max(0.0, self() - time.time())
