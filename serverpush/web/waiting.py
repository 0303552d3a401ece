"""What waits in the outbox: changes and messages in their order, and endings beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from serverpush.messages import Message
from serverpush.protocol import Change, Ending

Entry = Change | Message | Ending
"""What the site reports."""


# Characters of data that all messages together may have while they wait.
MAX_SIZE = 64 * 1024 * 1024


class Waiting:
    """At most ``limit`` entries that wait to be posted.

    Changes and messages keep their order. Endings have none, neither among each other
    nor beside changes: each is told once, and gets a turn before the changes that
    wait. In one line with them a save of a user, which is a change and a doubt,
    would make each batch a single entry.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changes: deque[Change | Message] = deque()
        self._size = 0
        # Of equal ones, which may differ in their time, the latest.
        self._endings: dict[Ending, Ending] = {}
        self._ended = False

    def __iter__(self) -> Iterator[Entry]:
        return chain(self._endings.values(), self._changes)

    def __len__(self) -> int:
        return len(self._changes) + len(self._endings)

    @property
    def has_changes(self) -> bool:
        return bool(self._changes)

    def add(self, entry: Entry) -> Entry | None:
        """Let ``entry`` wait; returns the one that was dropped for it, if one was."""
        if self._has(entry):
            if isinstance(entry, Ending):
                self._endings[entry] = entry
            return None
        full = len(self) >= self._limit or self._size > MAX_SIZE
        dropped = self._drop() if full else None
        if isinstance(entry, Ending):
            self._endings[entry] = entry
        else:
            self._changes.append(entry)
            self._size += _size(entry)
        return dropped

    def take(self, most: int) -> list[Entry]:
        """The next entries, all of one kind; none where none wait."""
        self._ended = bool(self._endings) and not (self._ended and self._changes)
        if self._ended:
            endings = list(islice(self._endings.values(), most))
            for each in endings:
                del self._endings[each]
            return [*endings]
        return [self._next() for _ in range(min(most, len(self._changes)))]

    def put_back(self, entries: list[Entry]) -> None:
        """Let what was taken wait again, changes before those that came after."""
        for each in reversed(entries):
            if isinstance(each, Ending):
                self._endings.setdefault(each, each)
            else:
                self._changes.appendleft(each)
                self._size += _size(each)

    def _next(self) -> Change | Message:
        entry = self._changes.popleft()
        self._size -= _size(entry)
        return entry

    def _has(self, entry: Entry) -> bool:
        if isinstance(entry, Ending):
            return entry in self._endings
        # The earlier one stays: pages rendered since its commit may be in doubt.
        return bool(self._changes) and _tells_the_same(entry, self._changes[-1])

    def _drop(self) -> Entry:
        # Changes first: pages can be told of their loss. Nothing tells of a lost
        # ending; the push server's sweep finds what it was about, some time later.
        if self._changes:
            return self._next()
        oldest = next(iter(self._endings))
        del self._endings[oldest]
        return oldest


def _size(entry: Change | Message) -> int:
    return len(entry.data) if isinstance(entry, Message) else 0


def _tells_the_same(change: Change | Message, last: Change | Message) -> bool:
    """Does ``last``, which has not been sent yet, tell all that ``change`` does?"""
    if isinstance(change, Message) or isinstance(last, Message):
        return False
    return (
        change.action == last.action == "changed"
        and change.pk == last.pk
        and change.model == last.model
    )
