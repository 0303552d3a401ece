"""Listing: the keys of the instances that meet a condition now."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models

from serverpush.conditions import concrete_field, condition_q
from serverpush.labels import Model, key_of
from serverpush.protocol import Condition, Key

MAX_KEYS = 1000
"""More are not listed."""

# Their keys come from the database as they are.
_PLAIN_KEYS = (models.AutoField, models.BigAutoField, models.IntegerField, models.BigIntegerField)
# What fits into an integer of each database; Django itself sees to the others.
_MOST = 2**31
_MAX_STATEMENTS = 1000
# By model, names of fields and database. None where values are written in another way.
_statements: dict[tuple[Model, tuple[str, ...], str], str | None] = {}


def matching_keys(model: Model, condition: Condition) -> tuple[Key, ...] | None:
    """The keys that match now; None where they are too many, or need no list."""
    if condition.is_any or condition.key is not None:
        return None
    keys = _by_statement(model, condition)
    if keys is None:
        keys = list(_keys(model, condition))
    if len(keys) > MAX_KEYS:
        return None
    # Each once, whatever the model's manager joins.
    return tuple(dict.fromkeys(map(key_of, keys)))


def _keys(model: Model, condition: Condition) -> Any:
    found = model._default_manager.filter(condition_q(condition)).order_by()
    if condition.query:
        # A lookup across a relation finds an instance as often as it meets it there.
        found = found.distinct()
    return found.values_list("pk", flat=True)[: MAX_KEYS + 1]


def _by_statement(model: Model, condition: Condition) -> list[Any] | None:
    """The same by SQL that is kept: that Django makes it takes five times as long as to run it.

    None where only a queryset will do: for a query, a manager of the project's own, keys
    that are no numbers, and NULL.
    """
    manager = model._default_manager
    values = [value for _, value in condition.equal]
    if (
        condition.query
        or type(manager) is not models.Manager
        or type(model._meta.pk) not in _PLAIN_KEYS
        or any(each is None or (type(each) is int and abs(each) >= _MOST) for each in values)
    ):
        return None
    alias = manager.db
    connection = connections[alias]
    written = [
        concrete_field(model, name).get_db_prep_value(value, connection)
        for name, value in condition.equal
    ]
    statement = _statement(model, condition, alias, written)
    if statement is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(statement, written)
        return [key for (key,) in cursor.fetchall()]


def _statement(model: Model, condition: Condition, alias: str, written: list[Any]) -> str | None:
    """What Django asks the database; None where it gives it other values than these."""
    names = tuple(name for name, _ in condition.equal)
    try:
        return _statements[model, names, alias]
    except KeyError:
        pass
    try:
        sql, given = _keys(model, condition).query.get_compiler(alias).as_sql()
    except EmptyResultSet:
        return None
    if len(_statements) >= _MAX_STATEMENTS:
        _statements.clear()
    kept = _statements[model, names, alias] = str(sql) if list(given) == written else None
    return kept
