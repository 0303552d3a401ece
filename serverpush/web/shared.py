"""The way to the log that several push servers share."""

from __future__ import annotations

import time
import uuid

from serverpush import records
from serverpush.conf import config, losses_file
from serverpush.records import Record
from serverpush.stream import Stream
from serverpush.words import Words

ACCEPTED = 202
# Between two looks for what processes of this machine left that are no more.
LOOK_SECONDS = 1.0


class Shared:
    """Appends to the stream; connected when it is needed.

    There may be no push server on this machine to tell that a process ended with changes
    unreported; so it is told here, too, after a record.
    """

    def __init__(self) -> None:
        self._stream = Stream(config().backend)
        self._words = Words(losses_file(config().notifier_port))
        self._look_at = 0.0
        self._owes_word = False

    def post(self, record: Record) -> tuple[int, str]:
        """Append a record; raises ``LogUnavailable``."""
        self._stream.add(record)
        # When it is known that something can be told.
        self._tell_losses()
        return ACCEPTED, ""

    def close(self) -> None:
        self._stream.close()

    def abandon(self) -> None:
        """Nothing to do: redis-py knows the process that a connection belongs to."""

    def _tell_losses(self) -> None:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            self._owes_word = self._words.take() or self._owes_word
        if self._owes_word:
            gap = "a process ended before it could report its changes"
            self._stream.add(records.notice(uuid.uuid4().hex, gap=gap))
            self._owes_word = False
