"""Answers: what a request ends of its own access is reported when it has its answer.

Told sooner, another tab of the same browser loads its page with the cookie from before,
and the Set-Cookie which that gets may come after the one of this answer, and undo it.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from serverpush.protocol import Ending
from serverpush.web.outbox import outbox


class Answer:
    """The answer that a request waits for, while its view runs."""

    __slots__ = ("_before", "_endings", "_is_over", "_request", "response")

    def __init__(self, request: HttpRequest) -> None:
        self.response: HttpResponseBase | None = None
        self._request = request
        self._endings: deque[Ending] | None = None
        self._is_over = False

    def __enter__(self) -> Answer:
        self._before = _awaited.get()
        _awaited.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _awaited.set(self._before)
        if self._endings is None or self.response is None or self.response.streaming:
            # The head of a stream leaves now, and its end may never come.
            self._report()
        else:
            self._report_at_close(self._request)

    def put(self, ending: Ending) -> None:
        """Report ``ending`` when the answer has left; at once where it has."""
        if self._endings is None:
            self._endings = deque()
        self._endings.append(ending)
        if self._is_over:
            self._report()

    def is_for(self, user: str) -> bool:
        """Does the request come from the session of this user, as far as has been asked?"""
        session: Any = getattr(self._request, "session", None)
        accessed = getattr(session, "accessed", False)
        return accessed and session.get(SESSION_KEY) == user

    def _report_at_close(self, request: Any) -> None:
        # Django closes the request with whatever response goes out, which need not
        # be the one that is known here.
        close = request.close

        def close_and_report() -> None:
            try:
                close()
            finally:
                self._report()

        request.close = close_and_report

    def _report(self) -> None:
        self._is_over = True
        while self._endings:
            try:
                outbox.put(self._endings.popleft())
            except IndexError:
                # Another thread was faster.
                return


def awaited() -> Answer | None:
    """The answer to the request that is being served here; None where none is."""
    return _awaited.get()


_awaited: ContextVar[Answer | None] = ContextVar("serverpush_answer", default=None)
