"""Log lines about what clients do, of which an attacker can't make many."""

import logging
import time
from dataclasses import dataclass


@dataclass
class _Window:
    """Some seconds of one kind of line."""

    begun: float
    said: int = 0
    left_out: int = 0


class Notices:
    """A few lines at a time for each kind of event, with the number of those left out.

    Arguments:
        seconds: a kind's window begins with its first line and is so long.
        burst: lines of one kind that are written in its window.
    """

    def __init__(self, logger: logging.Logger, seconds: float = 1.0, burst: int = 1) -> None:
        self._logger = logger
        self._seconds = seconds
        self._burst = burst
        self._windows: dict[str, _Window] = {}

    def say(
        self,
        message: str,
        *,
        kind: str = "",
        detail: str = "",
        level: int = logging.WARNING,
        exc: bool = False,
    ) -> None:
        """Log ``message`` and ``detail``; never a payload.

        ``kind`` is one of a few constants, as ``message`` is where there is no kind.
        """
        left_out = self._left_out(kind or message)
        if left_out is None:
            return
        line = f"{message}: {detail}" if detail else message
        if left_out:
            line += f" ({left_out} more like this were not logged)"
        self._logger.log(level, "%s", line, exc_info=exc)

    def _left_out(self, kind: str) -> int | None:
        """How many were left out before a line that may be written; None: it may not."""
        now = time.monotonic()
        window = self._windows.get(kind)
        left_out = 0
        if window is None or now - window.begun >= self._seconds:
            left_out = window.left_out if window else 0
            window = self._windows[kind] = _Window(now)
        if window.said >= self._burst:
            window.left_out += 1
            return None
        window.said += 1
        return left_out
