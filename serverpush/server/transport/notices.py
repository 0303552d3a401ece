"""Log lines about what clients do, of which an attacker can't make many."""

import logging
import time


class Notices:
    """One line a second for each kind of event, with the number of those left out."""

    def __init__(self, logger: logging.Logger, seconds: float = 1.0) -> None:
        self._logger = logger
        self._seconds = seconds
        self._kinds: dict[str, tuple[float, int]] = {}

    def say(
        self, message: str, *, detail: str = "", level: int = logging.WARNING, exc: bool = False
    ) -> None:
        """Log ``message`` (a constant: it is the kind) and ``detail``; never a payload."""
        now = time.monotonic()
        last, left_out = self._kinds.get(message, (0.0, 0))
        if last and now - last < self._seconds:
            self._kinds[message] = (last, left_out + 1)
            return
        self._kinds[message] = (now, 0)
        line = f"{message}: {detail}" if detail else message
        if left_out:
            line += f" ({left_out} more like this were not logged)"
        self._logger.log(level, "%s", line, exc_info=exc)
