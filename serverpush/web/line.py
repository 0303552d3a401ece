"""The line to the push server, or to the log that several of them share."""

from __future__ import annotations

# A host name needs this codec. Were it imported by the first look-up, a process
# that is forked in that moment would never have it.
import encodings.idna  # noqa: F401
import json
import os
from http.client import HTTPConnection, HTTPException
from typing import Protocol

from serverpush.conf import config, with_redis
from serverpush.records import Record
from serverpush.tokens import notifier_key

TIMEOUT = 5.0


class Way(Protocol):
    """What a line goes by."""

    def post(self, record: Record) -> tuple[int, str]: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class Line:
    """Goes by what ``SERVERPUSH_BACKEND`` says when it is needed, until it is closed.

    ``timeout`` is in seconds, for connecting and for the answer each.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._way: Way | None = None

    def post(self, record: Record) -> tuple[int, str]:
        """Deliver a record; the answer's status, and its error text where it is one.

        Raises ``OSError``, ``HTTPException`` or ``LogUnavailable`` where there was no answer.
        """
        if self._way is None:
            self._way = self._choose()
        return self._way.post(record)

    def close(self) -> None:
        way, self._way = self._way, None
        if way is not None:
            way.close()

    def abandon(self) -> None:
        """Let go of what was inherited through a fork."""
        way, self._way = self._way, None
        if way is not None:
            way.abandon()

    def _choose(self) -> Way:
        if config().is_shared:
            chosen: Way = with_redis("serverpush.web.shared.Shared")()
            return chosen
        return Port(self._timeout)


class Port:
    """The notifier port: a connection, made when it is needed and kept.

    ``timeout`` is in seconds, for connecting and for the answer each.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._connection: HTTPConnection | None = None

    def post(self, record: Record) -> tuple[int, str]:
        """Call what a record stands for; the answer's status, and its error text where it is one.

        Raises ``OSError`` or ``HTTPException`` where there was no answer. A
        connection that the other side closed while it was idle is made anew once.
        """
        kept = self._connection is not None
        try:
            return self._exchange(record)
        except TimeoutError:
            self.close()
            raise
        except (OSError, HTTPException):
            self.close()
            if not kept:
                raise
        try:
            return self._exchange(record)
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abandon(self) -> None:
        """Let go of a connection inherited through a fork.

        Only the descriptor is closed: the objects around it may hold a lock of
        the parent's thread, which no one here would ever release.
        """
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            os.close(connection.sock.detach())

    def _exchange(self, record: Record) -> tuple[int, str]:
        if self._connection is None:
            self._connection = HTTPConnection(
                config().notifier_host, config().notifier_port, timeout=self._timeout
            )
        headers = {
            "Authorization": f"Bearer {notifier_key()}",
            "Content-Type": "application/json",
        }
        self._connection.request("POST", record.call, record.body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        return response.status, "" if response.status < 300 else _error(answer)


def _error(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    try:
        value = json.loads(text)
        return str(value["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
