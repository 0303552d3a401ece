"""Answers: what is waited for, as long as there is a connection by which it can come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from serverpush.exceptions import PushServerAway


class Answers:
    """What one connection is to be answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[threading.Event] = set()
        self._is_over = False

    def ask(
        self,
        send: Callable[[Callable[[Any], None]], None],
        take: Callable[[Any], None],
        timeout: float,
    ) -> Any:
        """Send something, and wait for its answer.

        Arguments:
            send: called with what takes the answer.
            take: called with the answer, before anything that comes after it is read.
            timeout: in seconds.

        Raises ``PushServerAway`` where there is none, and as soon as none can come.
        """
        done = threading.Event()
        found: list[Any] = []

        def answered(answer: Any) -> None:
            with self._lock:
                is_waited_for = done in self._waiting
            # Whoever asked was told that there is none, and may ask again.
            if is_waited_for:
                take(answer)
                found.append(answer)
                done.set()

        with self._lock:
            if self._is_over:
                raise PushServerAway("there is no connection")
            self._waiting.add(done)
        try:
            send(answered)
            done.wait(timeout)
        finally:
            with self._lock:
                self._waiting.discard(done)
        if not found:
            reason = "the connection was lost" if done.is_set() else f"in {timeout:.0f} s"
            raise PushServerAway(f"there was no answer: {reason}")
        return found[0]

    def end(self) -> None:
        """The connection is lost: nothing is waited for any longer."""
        with self._lock:
            self._is_over = True
            for each in self._waiting:
                each.set()
