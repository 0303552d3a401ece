"""What came, and waits for an iteration to take it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Events that may wait, and seconds between two looks whether they still have to.
MAX_WAITING = 10_000
LOOK_SECONDS = 1.0


class Mailbox:
    """A queue that holds up the one who fills it.

    Arguments:
        closed: set when nothing is taken any more.
    """

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # Set when something is taken; and how many answers are being waited for.
        self._taken = threading.Event()
        self._asking = 0

    def __len__(self) -> int:
        return self._items.qsize()

    def put(self, item: Any) -> None:
        """Let an iteration have a word on the client itself, at once."""
        self._items.put(item)

    def hand(self, event: Any) -> None:
        """Let an iteration have an event.

        Waits while too many do: then the server keeps what comes next, for as long as it
        keeps anything, and says so where it was too much. Not while somebody waits for an
        answer, which may come behind this.
        """
        while len(self) >= MAX_WAITING and not self._asking:
            if self._closed.is_set():
                return
            self._taken.wait(LOOK_SECONDS)
            self._taken.clear()
        self._items.put(event)

    def take(self) -> Any:
        """The next item; waits for one."""
        item = self._items.get()
        self._taken.set()
        return item

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While an answer is waited for, whatever is before it has to be read."""
        with self._lock:
            self._asking += 1
        self._taken.set()
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
