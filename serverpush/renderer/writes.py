"""Writes to the database: seen while rendering, undone while resolving."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections, transaction
from django.db.backends.signals import connection_created

from serverpush.exceptions import WriteRefused
from serverpush.jobs import RenderJob
from serverpush.renderer.once import error_once

_LEADING = re.compile(r"(?:\s+|\(|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_FIRST_WORD = re.compile(r"[A-Za-z]+")
_WRITING = re.compile(
    r"(?:ALTER|CALL|COPY|CREATE|DELETE|DROP|GRANT|INSERT|LOAD|MERGE|RENAME|REPLACE|REVOKE"
    r"|TRUNCATE|UPDATE|UPSERT)\Z"
)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]")
_WRITING_LATER = re.compile(
    r"\b(?:INSERT\s+INTO|REPLACE\s+INTO|DELETE\s+FROM|MERGE\s+INTO"
    r"|(?<!FOR )(?<!FOR NO KEY )UPDATE\b)",
    re.IGNORECASE,
)


def is_write(sql: str) -> bool:
    """Does this statement change what the database holds?"""
    place = _LEADING.match(sql)
    word = _FIRST_WORD.match(sql, place.end() if place else 0)
    first = word.group().upper() if word else ""
    if first in ("WITH", "EXPLAIN"):
        return bool(_WRITING_LATER.search(re.sub(r"\s+", " ", _QUOTED.sub(" ", sql))))
    return bool(_WRITING.match(first))


class WriteGuard:
    """Watches the database connections during one rendering.

    ``refused`` is the first write that was refused. Only the serializer, the
    view and the update function are refused one, under ``DEBUG``: what the
    project's middleware writes (such as when a user was last seen) is not the
    page's to move.
    """

    def __init__(self, job: RenderJob) -> None:
        self.job = job
        self.active = True
        self.strict = False
        self.refused: WriteRefused | None = None

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        if self.active:
            text = _as_text(sql, context["connection"])
            if is_write(text):
                self._meet(text)
        return execute(sql, params, many, context)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        before, self.strict = self.strict, settings.DEBUG
        try:
            yield
        finally:
            self.strict = before

    @contextmanager
    def watching(self) -> Iterator[WriteGuard]:
        """Watch every connection, also those that are opened meanwhile."""
        connection_created.connect(self._attach, weak=False)
        for connection in connections.all(initialized_only=True):
            self._attach(connection)
        try:
            yield self
        finally:
            self.active = False
            connection_created.disconnect(self._attach)
            for connection in connections.all(initialized_only=True):
                if self in connection.execute_wrappers:
                    connection.execute_wrappers.remove(self)

    def _attach(self, connection: Any, **kwargs: Any) -> None:
        # First, since whoever adds another for a while takes the last away.
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, self)

    def _meet(self, sql: str) -> None:
        refusal = WriteRefused(self.job.name, sql)
        if self.strict:
            self.refused = self.refused or refusal
            raise refusal
        error_once(
            ("write", self.job.name, self.job.model, self.job.serializer),
            "a rendering wrote to the database: %s",
            refusal,
        )


@contextmanager
def rolled_back() -> Iterator[None]:
    """Undo what is written inside, in every database that can be reached."""
    with ExitStack() as stack:
        aliases = [alias for alias in connections if _enter(stack, _nesting(alias))]
        try:
            yield
        finally:
            for alias in aliases:
                transaction.set_rollback(True, using=alias)


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Undo what is written inside if it raises, in every database that can be reached."""
    with ExitStack() as stack:
        aliases = [alias for alias in connections if _enter(stack, _nesting(alias))]
        yield
        for alias in aliases:
            # Else it would be undone without a word, after an error that was caught inside.
            connections[alias].validate_no_broken_transaction()


def _nesting(alias: str) -> transaction.Atomic:
    """As in Django's own TestCase: a durable block of the project may be inside."""
    block = transaction.atomic(using=alias)
    block._from_testcase = True  # type: ignore[attr-defined]
    return block


def _enter(stack: ExitStack, block: transaction.Atomic) -> bool:
    try:
        stack.enter_context(block)
    except (OperationalError, ImproperlyConfigured):
        # It is down, or a name for none.
        return False
    return True


def _as_text(sql: Any, connection: Any) -> str:
    if isinstance(sql, str):
        return sql
    return sql.as_string(connection.connection) if hasattr(sql, "as_string") else str(sql)
