"""Which conditions does an instance meet? The database's own answer, in one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.db import DatabaseError
from django.db.models import Exists, OuterRef

from serverpush.conditions import decode_q, plain_value
from serverpush.jobs import MatchJob
from serverpush.labels import Model, model_of
from serverpush.protocol import Key
from serverpush.renderer.once import error_once
from serverpush.results import MatchResult

# SQLite takes 2,000 result columns and, in older versions, 999 parameters: a
# condition needs one column and a few parameters.
CHUNK = 100

# An encoded condition outlives a deployment that renames its fields, and a
# database may refuse a condition for one row's values (a cast, a pattern).
_BAD_CONDITION = (DatabaseError, FieldError, ValidationError, ValueError, TypeError, KeyError)

_Conditions = tuple[tuple[int, str], ...]


def match(job: MatchJob) -> MatchResult:
    """Fetch the job's fields and decide its conditions.

    A condition that can't be asked is logged once and told as ``unknown``.
    Raises ``UnknownModel``, and what the database raises where nothing can be
    asked.
    """
    model = model_of(job.model)
    question = _Question(model, job.pk, job.fields)
    met: set[int] = set()
    unknown: set[int] = set()
    row: dict[str, Any] | None = None
    for chunk in _chunks(job.conditions):
        try:
            row = question.ask(chunk)
        except _BAD_CONDITION:
            row = question.ask(())
            unknown |= question.ask_each(chunk, met)
        if row is None:
            return MatchResult(None)
        met |= question.met(chunk, row)
    values = {field: plain_value((row or {})[field]) for field in job.fields}
    return MatchResult(values, frozenset(met), frozenset(unknown))


class _Question:
    """One row, asked for by its key through the model's default manager."""

    def __init__(self, model: Model, pk: Key, fields: Iterable[str]) -> None:
        self.label = model._meta.label
        self.manager = model._default_manager
        self.names = tuple(dict.fromkeys(("pk", *fields)))
        pk_field: Any = model._meta.pk
        try:
            self.pk = pk_field.to_python(pk)
        except ValidationError:
            # There is no row with a key that can't be one.
            self.pk = None

    def ask(self, conditions: _Conditions) -> dict[str, Any] | None:
        if self.pk is None:
            return None
        row = self.manager.filter(pk=OuterRef("pk"))
        columns = {_name(number): Exists(row.filter(decode_q(q))) for number, q in conditions}
        query = self.manager.filter(pk=self.pk).order_by().annotate(**columns)
        return next(iter(query.values(*self.names, *columns)[:1]), None)

    def ask_each(self, conditions: _Conditions, met: set[int]) -> set[int]:
        """Ask one condition at a time, into ``met``; returns those that can't be asked."""
        unknown = set()
        for condition in conditions:
            try:
                met |= self.met((condition,), self.ask((condition,)) or {})
            except _BAD_CONDITION as error:
                unknown.add(condition[0])
                error_once(
                    ("condition", self.label, condition[1]),
                    "the condition %.300s on %s can't be asked: %s: %.300s",
                    condition[1],
                    self.label,
                    type(error).__name__,
                    error,
                )
        return unknown

    def met(self, conditions: _Conditions, row: dict[str, Any]) -> set[int]:
        return {number for number, _ in conditions if row.get(_name(number))}


def _name(number: int) -> str:
    return f"serverpush_{number}"


def _chunks(conditions: _Conditions) -> Iterator[_Conditions]:
    for start in range(0, max(len(conditions), 1), CHUNK):
        yield conditions[start : start + CHUNK]
