"""Conditions: what ``params`` says, as JSON, and back as a ``Q``.

A condition travels in the page's token, so every value in it must be data. The
plain equalities among them are what the push server can index without asking
the database; they are only taken as such where Python's ``==`` on the encoded
values decides exactly as the database would.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import functools
import json
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.db import connections, models, router
from django.db.models import F, Q
from django.utils.dateparse import parse_date, parse_datetime, parse_duration, parse_time
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise

from serverpush.exceptions import InvalidUpdate
from serverpush.labels import Model, label_of
from serverpush.protocol import Condition, dump

# Fields whose equality in every database is Python's equality on encoded values.
# Exact classes: a subclass may convert, or compare, in its own way.
_EXACT_FIELDS: frozenset[type[models.Field[Any, Any]]] = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.SmallAutoField,
        models.IntegerField,
        models.BigIntegerField,
        models.SmallIntegerField,
        models.PositiveIntegerField,
        models.PositiveBigIntegerField,
        models.PositiveSmallIntegerField,
        models.BooleanField,
        models.UUIDField,
        models.DateField,
    }
)
# Text compares byte by byte in these databases unless a column says otherwise;
# MySQL and Oracle have rules of their own for case, blanks and the empty text.
_TEXT_FIELDS = frozenset({models.CharField, models.TextField, models.SlugField})
_EXACT_TEXT_VENDORS = frozenset({"sqlite", "postgresql"})

# What Django lets a relation be compared with an instance by.
_INSTANCE_LOOKUPS = frozenset({"exact", "in", "gt", "gte", "lt", "lte"})

# Equalities that may stand for a query: they travel in each page's token.
MAX_GUARD = 10

_PLAIN_VALUES = (str, int, dt.date, uuid.UUID, type(None))

_Decoder = Callable[[Any], Any]
_DECODERS: dict[str, _Decoder] = {
    "datetime": parse_datetime,
    "date": parse_date,
    "time": parse_time,
    "duration": parse_duration,
    "decimal": Decimal,
    "uuid": uuid.UUID,
    "bytes": lambda text: base64.b64decode(text),
    "f": F,
    "dict": lambda pairs: {key: decode_value(value) for key, value in pairs},
}


def compile_condition(model: Model, params: Any) -> Condition:
    """Compile ``params`` (a dict of lookups, or a ``Q``) for instances of ``model``.

    Raises ``InvalidUpdate`` for what ``filter()`` would refuse, and for values
    that are no data (a queryset, an expression other than ``F``).
    """
    q = _as_q(params)
    equal = _plain_equalities(model, q)
    if equal is None or not _is_plain(q):
        _check(model, q, params)
    if equal is not None:
        return Condition(label_of(model), equal)
    return Condition(label_of(model), (), dump(_encode_q(q)), _guard(model, q) or ())


def _is_plain(q: Q) -> bool:
    """Values whose fields have checked them, so that ``filter()`` need not be asked."""
    children: list[Any] = q.children
    return all(isinstance(value, _PLAIN_VALUES) for _, value in children)


def _check(model: Model, q: Q, params: Any) -> None:
    try:
        model._default_manager.filter(q)
    except ValidationError as error:
        raise InvalidUpdate("params", params, " ".join(error.messages)) from error
    except (FieldError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidUpdate("params", params, str(error)) from error


def condition_q(condition: Condition) -> Q:
    """The ``Q`` of a condition, to give to ``filter()``."""
    if condition.query:
        return decode_q(condition.query)
    return Q(**{field: decode_value(value) for field, value in condition.equal})


def decode_q(text: str) -> Q:
    """Read an encoded ``Q``."""
    return _decode_q(json.loads(text))


def encode_value(value: Any) -> Any:
    """A lookup's value as JSON; raises ``TypeError`` for what is no data."""
    if isinstance(value, enum.Enum):
        return encode_value(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise TypeError("a number that is finite")
        return value
    if isinstance(value, models.Model):
        return encode_value(value.pk)
    if isinstance(value, models.QuerySet):
        raise TypeError("a list of keys, or a lookup across the relation, instead of a QuerySet")
    if isinstance(value, dict):
        return {"$": ["dict", [[str(key), encode_value(each)] for key, each in value.items()]]}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [encode_value(each) for each in value]
    return {"$": _encode_special(value)}


def decode_value(value: Any) -> Any:
    """Read what ``encode_value`` wrote."""
    if isinstance(value, list):
        return [decode_value(each) for each in value]
    if isinstance(value, dict):
        kind, text = value["$"]
        return _DECODERS[kind](text)
    return value


def _encode_special(value: Any) -> list[str]:
    # A datetime is a date too, so it comes first.
    if isinstance(value, dt.datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, dt.date):
        return ["date", value.isoformat()]
    if isinstance(value, dt.time):
        return ["time", value.isoformat()]
    if isinstance(value, dt.timedelta):
        return ["duration", duration_iso_string(value)]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    if isinstance(value, uuid.UUID):
        return ["uuid", str(value)]
    if isinstance(value, bytes | bytearray | memoryview):
        return ["bytes", base64.b64encode(bytes(value)).decode()]
    if type(value) is F:
        return ["f", value.name]  # type: ignore[attr-defined]
    raise TypeError(
        "data: numbers, texts, dates, Decimal, UUID, model instances, lists of these, "
        "F('field') or a nested Q"
    )


def _as_q(params: Any) -> Q:
    if isinstance(params, Q):
        return params
    if isinstance(params, dict) and all(isinstance(key, str) for key in params):
        return Q(**params)
    raise InvalidUpdate("params", params, "use a dict of lookups as for filter(), or a Q")


def _encode_q(q: Q) -> list[Any]:
    children: list[Any] = []
    for child in q.children:
        if isinstance(child, Q):
            children.append(_encode_q(child))
        elif isinstance(child, tuple):
            lookup, value = child
            encoded = _encode_lookup(lookup, value)
            children.append({"k": _by_key(lookup, value), "v": encoded})
        else:
            raise InvalidUpdate("params", child, "use lookups by keyword inside a Q")
    return [q.connector, int(q.negated), children]


def _by_key(lookup: str, value: Any) -> str:
    """A lookup that is given an instance, as one that is given its key.

    A foreign key may refer by another field, which the key then is not.
    """
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if not values or not all(isinstance(each, models.Model) for each in values):
        return lookup
    *path, last = lookup.split("__")
    parts = [*path, "pk", last] if path and last in _INSTANCE_LOOKUPS else [*path, last, "pk"]
    return "__".join(parts)


def _encode_lookup(lookup: str, value: Any) -> Any:
    try:
        return encode_value(value)
    except TypeError as error:
        raise InvalidUpdate(f"params[{lookup!r}]", value, f"use {error}") from None


def _decode_q(value: Iterable[Any]) -> Q:
    connector, negated, children = value
    q = Q(_connector=connector, _negated=bool(negated))
    q.children = [
        (child["k"], decode_value(child["v"])) if isinstance(child, dict) else _decode_q(child)
        for child in children
    ]
    return q


def _plain_equalities(model: Model, q: Q) -> tuple[tuple[str, Any], ...] | None:
    """The equalities that say all of ``q``, or None where they do not."""
    if q.negated or (q.connector != Q.AND and len(q.children) > 1):
        return None
    equal: dict[str, Any] = {}
    for child in q.children:
        if not isinstance(child, tuple):
            return None
        pair = _plain_equality(model, *child)
        if pair is None or equal.get(pair[0], pair[1]) != pair[1]:
            return None
        equal[pair[0]] = pair[1]
    return tuple(sorted(equal.items()))


def _guard(model: Model, q: Q) -> tuple[tuple[str, Any], ...] | None:
    """Equalities of which one has to hold wherever ``q`` does, None where none are known.

    By these the push server finds the conditions that a row may meet, out of many.
    """
    if q.negated or q.connector not in (Q.AND, Q.OR) or not q.children:
        return None
    guards = [_guard_of_child(model, child) for child in q.children]
    if q.connector == Q.AND:
        # Any of them will do: the one that says most.
        return min((each for each in guards if each is not None), key=len, default=None)
    together: dict[tuple[str, Any], None] = {}
    for guard in guards:
        if guard is None:
            return None
        together |= dict.fromkeys(guard)
    return tuple(together) if len(together) <= MAX_GUARD else None


def _guard_of_child(model: Model, child: Any) -> tuple[tuple[str, Any], ...] | None:
    if isinstance(child, Q):
        return _guard(model, child)
    lookup, value = child
    name = lookup.removesuffix("__in")
    if name == lookup:
        pair = _plain_equality(model, lookup, value)
        return None if pair is None else (pair,)
    if not isinstance(value, list | tuple | set | frozenset) or not 0 < len(value) <= MAX_GUARD:
        return None
    # No row's value is in a list because both are NULL.
    pairs = [_plain_equality(model, name, each) for each in value if each is not None]
    return tuple(pair for pair in pairs if pair) if all(pairs) else None


def _plain_equality(model: Model, lookup: str, value: Any) -> tuple[str, Any] | None:
    name = lookup.removesuffix("__exact")
    field = _exact_field(model, name)
    if field is None or hasattr(value, "resolve_expression"):
        return None
    if isinstance(value, models.Model):
        value = getattr(value, field.target_field.attname)
    target = _target(field)
    try:
        encoded = encode_value(target.to_python(value))
    except (ValidationError, TypeError, ValueError, ArithmeticError):
        # For filter() to refuse, in its own words.
        return None
    if isinstance(encoded, dict):
        # Dates and UUIDs compare as the one text that encode_value gives each.
        encoded = encoded["$"][1]
    return ("pk" if field == model._meta.pk else field.attname), encoded


def plain_value(value: Any) -> Any:
    """A fetched field's value in the form that equalities are written in."""
    encoded = encode_value(value)
    return encoded["$"][1] if isinstance(encoded, dict) else encoded


def _exact_field(model: Model, name: str) -> Any:
    field = concrete_field(model, name)
    if field is None:
        return None
    target = _target(field)
    if type(target) in _EXACT_FIELDS:
        return field
    text = type(target) in _TEXT_FIELDS and not getattr(target, "db_collation", None)
    vendor = connections[router.db_for_read(model)].vendor
    return field if text and vendor in _EXACT_TEXT_VENDORS else None


@functools.lru_cache(maxsize=4096)
def concrete_field(model: Model, name: str) -> Any:
    """A model's field by its name, its column's or ``pk``; None where there is none."""
    if name == "pk":
        return model._meta.pk
    fields = {each.name: each for each in model._meta.concrete_fields}
    fields |= {each.attname: each for each in model._meta.concrete_fields}
    return fields.get(name)


def _target(field: Any) -> Any:
    while field.remote_field:
        field = field.target_field
    return field
