"""The teller: adds to the log that push servers share, at once or as soon as can be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from serverpush.exceptions import LogUnavailable
from serverpush.records import Record
from serverpush.server.transport import loop
from serverpush.stream import Held, Id, Stream


class Teller:
    """What it could not add it keeps, in its order, until ``tell``.

    Arguments:
        stream: a client for it alone.
        note_away: takes why something could not be added.
    """

    def __init__(self, stream: Stream, note_away: Callable[[LogUnavailable], None]) -> None:
        self._stream = stream
        self._note_away = note_away
        # One connection: one uses it at a time.
        self._using = loop.Lock()
        self._telling = loop.Lock()
        self._untold: deque[tuple[Record, Held]] = deque()

    @property
    def is_behind(self) -> bool:
        """Is something yet to be added?"""
        return bool(self._untold)

    def add(self, record: Record) -> tuple[Id, str]:
        """Add a record now; where it is, and in which life. Raises ``LogUnavailable``."""
        with self._using:
            return self._stream.add(record), self._stream.epoch

    def say(self, record: Record, held: Held | None = None) -> None:
        """Add a record, and keep what is held beside it, now or later."""
        self._untold.append((record, held or {}))
        if len(self._untold) == 1:
            loop.spawn(self.tell)

    def tell(self) -> None:
        """Add what is yet to be added, as far as that can be done."""
        with self._telling:
            while self._untold and self.attempt(lambda: self._stream.add(*self._untold[0])):
                self._untold.popleft()

    def attempt(self, act: Callable[[], object]) -> bool:
        """Do something with the stream; did it succeed?"""
        try:
            with self._using:
                act()
        except LogUnavailable as error:
            self._note_away(error)
            return False
        return True
