"""Log lines about what clients do, of which an attacker can't make many."""

import logging
import time
from dataclasses import dataclass

SECONDS = 1.0


@dataclass
class _Window:
    """The time after a line in which no other of its kind is written."""

    begun: float
    left_out: int = 0


class Notices:
    """One line a second of each kind, with the number of those left out."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._windows: dict[str, _Window] = {}

    def say(
        self, message: str, *, detail: str = "", level: int = logging.WARNING, exc: bool = False
    ) -> None:
        """Log ``message``, one of a few constants, and ``detail``; never a payload."""
        now = time.monotonic()
        window = self._windows.get(message)
        if window is not None and now - window.begun < SECONDS:
            window.left_out += 1
            return
        self._windows[message] = _Window(now)
        line = f"{message}: {detail}" if detail else message
        if window is not None and window.left_out:
            line += f" ({window.left_out} more like this were not logged)"
        self._logger.log(level, "%s", line, exc_info=exc)
