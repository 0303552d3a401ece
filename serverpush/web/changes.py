"""Changes: what the models' signals and ``ping_notifier`` report once it is committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.signals import m2m_changed, post_delete, post_save

from serverpush.conf import config
from serverpush.exceptions import UnknownModel
from serverpush.labels import Model, has_one_key, key_of, label_of, model_of
from serverpush.protocol import CHANGE_ACTIONS, Change, ChangeAction
from serverpush.reporting import is_suppressed
from serverpush.web.commits import after_commit
from serverpush.web.outbox import outbox

LEFT_OUT = frozenset({"admin.logentry"})
# By name: this module is imported before the app registry is ready for models.
SESSION_BASE = ("django.contrib.sessions.base_session", "AbstractBaseSession")

# A label, a primary key and what happened.
_Told = tuple[str, Any, ChangeAction]

_CLEARING = "_serverpush_clearing"

# Decided once for each class of the project's own registry.
_labels: dict[Model, str | None] = {}


def connect() -> None:
    """Listen to the models' signals; calling it again changes nothing."""
    post_save.connect(_saved, dispatch_uid="serverpush.saved")
    m2m_changed.connect(_related, dispatch_uid="serverpush.related")
    for model in apps.get_models():
        # A receiver for all models would make Django fetch every row that any
        # QuerySet.delete() removes, clearsessions' too.
        uid = f"serverpush.deleted.{label_of(model)}"
        if reported_label(model) is not None:
            post_delete.connect(_deleted, sender=model, dispatch_uid=uid)
        else:
            post_delete.disconnect(sender=model, dispatch_uid=uid)


def ping_notifier(
    target: Model | str | models.Model | Iterable[models.Model],
    pk: Any = None,
    *,
    action: ChangeAction = "changed",
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Report changes that no signal tells of: bulk operations, raw SQL.

    Arguments:
        target: an instance, several of them, or a model (class or label).
        pk: with a model: one primary key, or several.
        action: ``"created"``, ``"changed"`` or ``"deleted"``.
        using: the database whose running transaction has to commit first.

    Costs an append to a queue. Raises ``ValueError`` for an instance that is not
    saved, a key that its model can't have and another action, and
    ``UnknownModel`` for a label that names no model.
    """
    if action not in CHANGE_ACTIONS:
        raise ValueError(f"action is one of {', '.join(CHANGE_ACTIONS)}, not {action!r}")
    changes = list(_pinged(target, pk, action))
    if not is_suppressed():
        _report(changes, using)


def _pinged(target: Any, pk: Any, action: ChangeAction) -> Iterator[_Told]:
    if isinstance(target, str):
        target = model_of(target)
    if isinstance(target, type):
        if pk is None:
            raise ValueError(f"give ping_notifier a primary key of {target.__name__}, or several")
        keys = pk if _is_several(pk) else [pk]
        label = _pingable(target)
        yield from ((label, _checked_key(target, key), action) for key in keys)
        return
    for instance in [target] if isinstance(target, models.Model) else target:
        if instance.pk is None:
            raise ValueError(f"{instance!r} is not saved, so it has no primary key to report")
        label = _pingable(type(instance))
        _checked_key(type(instance), instance.pk)
        yield from _of_instance(instance, label, action)


def _pingable(model: Model) -> str:
    label = label_of(model_of(label_of(model)))
    if not has_one_key(model):
        raise ValueError(f"{label} has a composite primary key: its changes can't be reported")
    return label


def _is_several(pk: Any) -> bool:
    return isinstance(pk, Iterable) and not isinstance(pk, str | bytes)


def _checked_key(model: Model, pk: Any) -> Any:
    try:
        key = model._meta.pk.to_python(pk)
    except ValidationError as error:
        raise ValueError(
            f"{pk!r} can't be a key of {label_of(model)}: {error.messages[0]}"
        ) from None
    if key is None:
        raise ValueError(f"None can't be a key of {label_of(model)}")
    return key


def _plain_key(model: Model, pk: Any) -> Any:
    """The key as the database gives it: who creates an instance may spell it otherwise."""
    field: Any = model._meta.pk
    if type(pk) is int and isinstance(field, models.IntegerField):
        return pk
    if not isinstance(pk, int | str):
        # A UUID, say: has one spelling only.
        return pk
    try:
        return field.to_python(pk)
    except (ValidationError, TypeError, ValueError):
        # It is saved already, and what was saved must not fail here.
        return pk


def _report(changes: Iterable[_Told], using: str) -> None:
    for each in changes:
        after_commit(_put, using, *each)


def _put(label: str, pk: Any, action: ChangeAction) -> None:
    # Timed after the commit: a page of before it does not show the change.
    outbox.put(Change(label, key_of(pk), action, time.time()))


def _of_instance(instance: models.Model, label: str, action: ChangeAction) -> list[_Told]:
    pk = _plain_key(type(instance), instance.pk)
    told: list[_Told] = [(label, pk, action)]
    if instance._meta.parents:
        # The push server takes a child's key for its parents'; a second parent,
        # or one that is linked beside an own key, has another.
        for parent in instance._meta.get_parent_list():
            key = _plain_key(parent, getattr(instance, parent._meta.pk.attname))
            if key is not None and key != pk:
                told.append((label_of(parent), key, action))
    return told


def _saved(sender: Model, instance: models.Model, created: bool, using: str, **kwargs: Any) -> None:
    if is_suppressed() or (label := reported_label(sender)) is None:
        return
    _report(_of_instance(instance, label, "created" if created else "changed"), using)


def _deleted(sender: Model, instance: models.Model, using: str, **kwargs: Any) -> None:
    if is_suppressed() or (label := reported_label(sender)) is None:
        return
    # Now, for Django sets the key to None next.
    _report(_of_instance(instance, label, "deleted"), using)


def _related(
    sender: Model,
    instance: models.Model,
    action: str,
    reverse: bool,
    model: Model,
    pk_set: set[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    if is_suppressed():
        return
    here, there = reported_label(type(instance)), reported_label(model)
    if here is None and there is None:
        return
    if action == "pre_clear":
        _remember(_Relation(sender, instance, model, reverse), instance, using)
        return
    if action == "post_clear":
        keys = _recall(instance, sender)
    elif action in ("post_add", "post_remove") and pk_set:
        keys = _Relation(sender, instance, model, reverse).keys(pk_set, using)
    else:
        return
    if not keys:
        return
    if here is not None:
        _report(_of_instance(instance, here, "changed"), using)
    if there is not None:
        _report([(there, _plain_key(model, key), "changed") for key in keys], using)


class _Relation:
    """A many-to-many relation as one of its sides sees it."""

    def __init__(self, through: Model, instance: models.Model, model: Model, reverse: bool) -> None:
        self.through = through
        owner = model if reverse else type(instance)
        fields: Iterable[Any] = owner._meta.many_to_many
        # Relations that a library made itself may have neither field nor names.
        field = next((each for each in fields if each.remote_field.through is through), None)
        self.is_known = isinstance(field, models.ManyToManyField)
        if isinstance(field, models.ManyToManyField):
            names = [field.m2m_field_name(), field.m2m_reverse_field_name()]
            self.source, self.target = reversed(names) if reverse else names

    def keys(self, values: set[Any], using: str) -> list[Any]:
        """Primary keys for the values by which the through model refers to the others."""
        target: Any = self.through._meta.get_field(self.target) if self.is_known else None
        if target is None or target.target_field.primary_key:
            return list(values)
        found = target.related_model._base_manager.using(using).filter(
            **{f"{target.target_field.name}__in": values}
        )
        return list(found.values_list("pk", flat=True))

    def all_keys(self, instance: models.Model, using: str) -> list[Any]:
        """Primary keys of all the others that ``instance`` has."""
        if not self.is_known:
            return []
        rows = self.through._base_manager.using(using).filter(**{self.source: instance})
        return list(rows.values_list(f"{self.target}__pk", flat=True))


def _remember(relation: _Relation, instance: models.Model, using: str) -> None:
    """Leave the keys that a clear is about to remove on the instance, for after it."""
    keys = relation.all_keys(instance, using)
    instance.__dict__.setdefault(_CLEARING, {})[relation.through] = keys


def _recall(instance: models.Model, through: Model) -> list[Any]:
    clearing = instance.__dict__.get(_CLEARING, {})
    keys: list[Any] = clearing.pop(through, [])
    if not clearing:
        instance.__dict__.pop(_CLEARING, None)
    return keys


def reported_label(model: Model) -> str | None:
    """The label to report a class's changes under, or None for not at all."""
    try:
        return _labels[model]
    except KeyError:
        return _decided(model)


def _decided(model: Model) -> str | None:
    label = label_of(model)
    try:
        registered = apps.get_model(label)
    except LookupError:
        # Such as the migrations' own; the push server would not know it.
        return None
    decided = label if _is_reported(registered) else None
    if registered is model:
        # A migration's stand-in for it shall not be kept alive by this.
        _labels[model] = decided
    return decided


def _is_reported(model: Model) -> bool:
    if not has_one_key(model):
        return False
    chosen = _chosen()
    if chosen == "__all__":
        return label_of(model) not in LEFT_OUT and not _is_session(model)
    # Saving a child writes its parents' tables, and saving a proxy its model's.
    return any(issubclass(_concrete(model), _concrete(each)) for each in _known(chosen))


def _is_session(model: Model) -> bool:
    return any((each.__module__, each.__name__) == SESSION_BASE for each in model.__mro__)


def _chosen() -> str | tuple[str, ...]:
    try:
        return config().models
    except ImproperlyConfigured:
        # The checks say so; a save is not the place to.
        return "__all__"


def _known(labels: Iterable[str]) -> Iterator[Model]:
    for label in labels:
        try:
            yield model_of(label)
        except UnknownModel:
            continue


def _concrete(model: Model) -> Model:
    return model._meta.concrete_model or model


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in ("SERVERPUSH_MODELS", "INSTALLED_APPS"):
        _labels.clear()
        connect()


setting_changed.connect(_forget)
