"""The outbox: what the site has to report waits here for one thread to post it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from itertools import chain
from multiprocessing import parent_process
from multiprocessing.util import Finalize
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from serverpush import losses, records
from serverpush.exceptions import LogUnavailable
from serverpush.messages import Message
from serverpush.protocol import Change, Ending
from serverpush.records import Record
from serverpush.web.line import Line
from serverpush.web.waiting import MAX_SIZE, Entry, Waiting

logger = logging.getLogger("serverpush")

MAX_WAITING = 100_000
MAX_BATCH = 5_000
MAX_BODY = 1_000_000
# Between two batches, or the thread would take the interpreter from the one that
# saves, again and again. What comes after a longer quiet goes out at once.
REST = 0.005
# Seconds of sending without a pause; then the process leaves its will.
BACKLOG = 0.1
FIRST_DELAY = 0.1
LAST_DELAY = 2.0
FLUSH_TIMEOUT = 1.5
UNANSWERED = (
    OSError,
    HTTPException,
    ValueError,
    LookupError,
    ImproperlyConfigured,
    LogUnavailable,
)
BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Kind:
    """How entries of one kind are told: by which record, and in which words."""

    call: str
    nouns: tuple[str, str]
    record: Callable[[str, Sequence[Any], str], Record]


def _notice(batch: str, entries: Sequence[Change | Message], gap: str) -> Record:
    changes = (each for each in entries if isinstance(each, Change))
    messages = (each for each in entries if isinstance(each, Message))
    return records.notice(batch, changes, messages, gap)


def _ending(batch: str, entries: Sequence[Ending], gap: str) -> Record:
    names = ("users", "sessions", "changed", "doubtful")
    keys = {name: tuple(chain(*(getattr(each, name) for each in entries))) for name in names}
    # One time for all: who was shown a page between two of them loads it once more.
    return records.ending(batch, Ending(**keys, at=max(each.at for each in entries)), gap)


KINDS = {
    Change: Kind(records.NOTIFY, ("change", "changes"), _notice),
    Message: Kind(records.NOTIFY, ("message", "messages"), _notice),
    Ending: Kind(records.DISCONNECT, ("end of access", "ends of access"), _ending),
}


@dataclass(frozen=True)
class Batch:
    """What goes in one record; sent again under the same key until it is answered."""

    kind: Kind
    entries: Sequence[Entry]
    gap: str
    record: Record

    @classmethod
    def of(cls, entries: Sequence[Entry], gap: str) -> Batch:
        """Of entries of one kind; without any it tells of a gap alone."""
        kind = KINDS[type(entries[0]) if entries else Change]
        return cls(kind, entries, gap, kind.record(uuid.uuid4().hex, entries, gap))


class Outbox:
    """A bounded queue and the daemon thread that empties it to the notifier port.

    The thread starts with the first entry, sends at once, and keeps what it could
    not deliver. What is lost, by overflow or because a batch was refused, is
    marked as a gap in the next batch. What would be lost if the process ended
    stands in its will.
    """

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._begin()

    def after_fork(self) -> None:
        """Begin anew in a forked process: what waits is the parent's to send."""
        self._line.abandon()
        self._begin()

    def _begin(self) -> None:
        self._line = Line()
        # Reentrant: a signal's handler or a finalizer may save in the middle of a put.
        self._lock = threading.RLock()
        self._waiting = Waiting(self._limit)
        self._sending: list[Entry] = []
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._gap = ""
        self._gap_is_due = False
        # The gap of the batch that is being sent.
        self._telling = ""
        self._will = losses.Will()
        self._overflowing = False
        self._away = False
        # The last refusal of each path: it is logged once. And what it cost since then.
        self._refusals: dict[str, str] = {}
        self._dropped: Counter[str] = Counter()

    def put(self, entry: Entry) -> None:
        """Report ``entry`` soon: an append, which neither waits nor raises."""
        with self._lock:
            dropped = self._waiting.add(entry)
            if dropped is not None:
                self._note_dropped(dropped)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Send what waits before the process ends, for at most ``timeout`` seconds.

        Gives up as soon as the push server refuses to be connected. Returns
        whether everything was delivered, and logs how much was not.
        """
        self._ending.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        with self._lock:
            left = [*self._waiting, *self._sending]
            is_lossy = self._is_lossy()
        if left:
            logger.warning(
                "%s not reported: the push server could not be reached before this process ended",
                _counted(left, "was", "were"),
            )
        if is_lossy:
            losses.leave()
        self._will.take_back()
        return not left and not is_lossy

    def pending(self) -> int:
        """How many entries wait or are on their way."""
        with self._lock:
            return len(self._waiting) + len(self._sending)

    def _is_lossy(self) -> bool:
        """Would pages be stale without a word if no more was sent?"""
        # Those that are being sent are all of one kind.
        sends_changes = any(not isinstance(each, Ending) for each in self._sending[:1])
        return bool(self._gap or self._telling) or sends_changes or self._waiting.has_changes

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="serverpush-outbox", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is ending and starts no more threads.
                return
            self._thread = thread
            if parent_process() is not None:
                # A worker of multiprocessing ends without the functions of atexit.
                Finalize(None, self.flush, exitpriority=0)

    def _note_dropped(self, dropped: Entry) -> None:
        noun = KINDS[type(dropped)].nouns[1]
        much = f"more than {self._limit} {noun}"
        if len(self._waiting) < self._limit:
            much = f"messages of more than {MAX_SIZE >> 20} MiB"
        outcome = "are found later"
        if not isinstance(dropped, Ending):
            self._gap = f"{much} waited in process {os.getpid()}"
            outcome = "open pages will be told to refresh"
        if self._overflowing:
            return
        self._overflowing = True
        logger.warning("%s wait for the push server: the oldest are dropped, and %s", much, outcome)

    def _run(self) -> None:
        try:
            while self._send_all() and not self._ends():
                self._wake.wait()
        finally:
            self._let_go()

    def _ends(self) -> bool:
        with self._lock:
            ends = self._ending.is_set() and not self._waiting
            if ends:
                self._let_go()
        return ends

    def _let_go(self) -> None:
        """Whatever ends this thread, the next entry starts another."""
        with self._lock:
            if self._thread is threading.current_thread():
                self._line.close()
                self._thread = None

    def _send_all(self) -> bool:
        self._wake.clear()
        began = time.monotonic()
        while (batch := self._take()) is not None:
            if time.monotonic() - began > BACKLOG and self._is_lossy():
                self._will.leave()
            if not self._deliver(batch):
                return False
            self._ending.wait(REST)
        self._overflowing = False
        if self._gap:
            self._will.leave()
        else:
            self._will.take_back()
        return True

    def _take(self) -> Batch | None:
        with self._lock:
            self._waiting.put_back(self._sending)
            self._sending = entries = self._waiting.take(MAX_BATCH)
            if self._telling:
                self._gap, self._gap_is_due = self._telling, True
            if not entries and not self._gap_is_due:
                return None
            gap = self._telling = self._gap
            self._gap, self._gap_is_due = "", False
        batch = Batch.of(entries, gap)
        while len(batch.record.body) > MAX_BODY and len(entries) > 1:
            entries = self._put_half_back(entries)
            batch = Batch.of(entries, gap)
        return batch

    def _put_half_back(self, entries: list[Entry]) -> list[Entry]:
        half = len(entries) // 2
        with self._lock:
            self._waiting.put_back(entries[half:])
            self._sending = entries[:half]
        return entries[:half]

    def _deliver(self, batch: Batch) -> bool:
        """Send until there is an answer; False where the process ends without one."""
        delay = FIRST_DELAY
        while not self._attempt(batch):
            if self._ending.is_set():
                return False
            if self._is_lossy():
                self._will.leave()
            self._ending.wait(delay)
            delay = min(delay * 2, LAST_DELAY)
        self._sending, self._telling = [], ""
        return True

    def _attempt(self, batch: Batch) -> bool:
        try:
            status, error = self._line.post(batch.record)
        except UNANSWERED as failure:
            self._note_away(str(failure) or type(failure).__name__)
            return False
        if status >= 500 or status in BUSY:
            self._note_away(f"it answered {status} {error}")
            return False
        self._note_back()
        if status >= 300:
            self._note_refused(batch, status, error)
        else:
            self._note_accepted(batch.kind)
        return True

    def _note_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            logger.warning(
                "the push server can't be reached (%s): changes wait until it is back", reason
            )

    def _note_back(self) -> None:
        if self._away:
            self._away = False
            logger.info("the push server is back")

    def _note_accepted(self, kind: Kind) -> None:
        self._refusals.pop(kind.call, None)
        if dropped := self._dropped.pop(kind.call, 0):
            logger.warning(
                "the push server takes %s again: %d more were dropped meanwhile",
                kind.nouns[1],
                dropped,
            )

    def _note_refused(self, batch: Batch, status: int, error: str) -> None:
        refusal = f"{status} {error}"
        if refusal == self._refusals.get(batch.kind.call):
            self._dropped[batch.kind.call] += len(batch.entries)
        else:
            self._refusals[batch.kind.call] = refusal
            logger.error(
                "the push server refused %s: %s",
                _counted(batch.entries, "which is dropped", "which are dropped", ", "),
                refusal,
            )
        if batch.kind.call == KINDS[Change].call:
            self._note_lost(batch, refusal, due=status != 401)
        elif batch.gap:
            self._note_untold(batch.gap)

    def _note_lost(self, batch: Batch, reason: str, *, due: bool) -> None:
        """Mark a gap, to be told by itself unless telling it was just refused, too."""
        with self._lock:
            self._gap = f"a batch was lost: {reason}"[:500]
            self._gap_is_due = due and bool(batch.entries)
        if not due:
            # Nobody there listens to this process; its word may be heard.
            losses.leave()

    def _note_untold(self, gap: str) -> None:
        """Let a gap that came with a refused batch wait for the next one."""
        with self._lock:
            self._gap = self._gap or gap


def _counted(entries: Sequence[Entry], one: str, several: str, between: str = " ") -> str:
    """``3 changes and 1 end of access``, and what became of them."""
    nouns = Counter(KINDS[type(each)].nouns for each in entries)
    told = [f"{count} {nouns[count > 1]}" for nouns, count in sorted(nouns.items())]
    return f"{' and '.join(told)}{between}{several if len(entries) > 1 else one}"


outbox = Outbox()
atexit.register(outbox.flush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=outbox.after_fork)
