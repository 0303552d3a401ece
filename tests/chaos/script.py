"""What the page's script decides (js/src), in Python: replay, waits and throttle. No sockets."""

from __future__ import annotations

import random
from dataclasses import dataclass

# All in seconds; test_fleet.py compares them with js/src.
BACKOFF = (0.5, 2.5)
SLOW_BACKOFF = (10.0, 120.0)
REFRESH_BACKOFF = (2.0, 300.0)
STEADY = 5.0
CONNECT_TIMEOUT = 20.0
JITTER = 3.0
REMEMBERED = 10_000


class Backoff:
    """Growing, randomised waits between attempts (backoff.js)."""

    def __init__(self, bounds: tuple[float, float], spread: float = 0.5) -> None:
        self.bounds = bounds
        self.spread = spread
        self.reset()

    def next(self) -> float:
        low, high = self.bounds
        wait = min(low * 2**self._attempts, high)
        self._attempts += 1
        return wait * (1 + self.spread * (2 * random.random() - 1))

    def reset(self) -> None:
        self._attempts = 0


@dataclass
class Throttle:
    """Keeps refreshes from being a loop (backoff.js); all in seconds."""

    limit: int = 5
    window: float = 60.0
    longest: float = 900.0
    _count: int = 0
    _last: float = 0.0
    _wait: float = 0.0

    def next(self, now: float) -> float:
        if abs(now - self._last) > self.window + 2 * self._wait:
            self._count, self._wait = 0, 0.0
        if self._count >= self.limit:
            self._wait = min(max(self.window, 2 * self._wait), self.longest)
        self._count += 1
        self._last = now + self._wait
        return self._wait


class Subscription:
    """What a page follows by a token, and where it stands there (subscriptions.js)."""

    def __init__(self, token: str, since: str) -> None:
        self._token = token
        self._since = since
        self._position: str | None = None

    def asked(self, safe: str | None) -> dict[str, str]:
        """What to ask for on a new connection, after a last safe position of the one before."""
        if safe is not None and self._position is not None and safe > self._position:
            self._since = safe
        self._position = None
        return {"channel": self._token, "since": self._since}

    def taken(self, position: str) -> None:
        """The server has taken it, and stood there then."""
        self._position = position


class Replay:
    """Where a page stands in the server's log, and which events it has applied (replay.js)."""

    def __init__(self, start: str) -> None:
        self._start = start
        self._safe: str | None = None
        # By their ids; which of them are messages?
        self._applied: dict[str, bool] = {}

    @property
    def safe(self) -> str | None:
        return self._safe

    @property
    def since(self) -> str:
        return self._safe or self._start

    def renewed(self, start: str) -> Replay:
        """The one of the page as it is rendered anew: messages have been handed over."""
        renewed = Replay(start)
        renewed._applied = {id: True for id, is_message in self._applied.items() if is_message}
        return renewed

    def take(self, id: str, safe: str, *, is_message: bool = False) -> bool:
        """Note an event; is it new?"""
        fresh = id not in self._applied
        self._applied[id] = is_message
        if len(self._applied) > REMEMBERED:
            del self._applied[next(iter(self._applied))]
        self.advance(safe)
        return fresh

    def advance(self, position: str) -> None:
        if self._safe is None or position > self._safe:
            self._safe = position
