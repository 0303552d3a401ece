"""Model labels: how a model is named between processes, ``app_label.model``."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

from serverpush.exceptions import UnknownModel
from serverpush.protocol import Key, KeyKind, ModelInfo

Model = type[models.Model]


def label_of(model: Model) -> str:
    return model._meta.label_lower


@cache
def model_of(label: str) -> Model:
    """The model of a label, in any case; raises ``UnknownModel`` with the nearest."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        labels = {each._meta.label.lower(): each._meta.label for each in apps.get_models()}
        near = difflib.get_close_matches(label.lower(), labels, n=1)
        raise UnknownModel(label, labels[near[0]] if near else "") from None


def key_of(pk: Any) -> Key:
    """A primary key as JSON has it."""
    return pk if isinstance(pk, int) and not isinstance(pk, bool) else str(pk)


def has_one_key(model: Model) -> bool:
    """False for a composite primary key, which none of our messages could hold."""
    return not model._meta.is_composite_pk


def table() -> dict[str, ModelInfo]:
    """What the push server needs to know of every model of the project."""
    every = apps.get_models(include_auto_created=True)
    return {
        label_of(model): ModelInfo(
            label=label_of(model),
            family=tuple(label_of(each) for each in every if _related(model, each)),
            key=_key_kind(model),
        )
        for model in every
    }


def _related(changed: Model, watched: Model) -> bool:
    """Can a change of one touch an instance of the other?

    Saving a child writes its parents' tables, and saving a parent changes what
    its children inherit; a proxy has no table of its own.
    """
    one, other = changed._meta.concrete_model, watched._meta.concrete_model
    return bool(one and other and (issubclass(one, other) or issubclass(other, one)))


def _key_kind(model: Model) -> KeyKind:
    field: Any = model._meta.pk
    while field.remote_field:
        field = field.target_field
    if isinstance(field, models.UUIDField):
        return "uuid"
    return "integer" if isinstance(field, models.IntegerField | models.AutoField) else "text"
