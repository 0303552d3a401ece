"""The way to the log that several push servers share."""

from __future__ import annotations

from serverpush.conf import config
from serverpush.records import Record
from serverpush.stream import Stream

ACCEPTED = 202


class Shared:
    """Appends to the stream; connected when it is needed."""

    def __init__(self) -> None:
        self._stream = Stream(config().backend)

    def post(self, call: str, body: bytes) -> tuple[int, str]:
        """Append a record; raises ``LogUnavailable``."""
        self._stream.add(Record(call, body))
        return ACCEPTED, ""

    def close(self) -> None:
        self._stream.close()

    def abandon(self) -> None:
        """Nothing to do: redis-py knows the process that a connection belongs to."""
