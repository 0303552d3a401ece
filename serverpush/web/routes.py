"""Routes: the saves and deletes of models that have a REST URL, told along it."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import models
from django.db.models.signals import post_delete, post_save
from django.utils.functional import Promise

from serverpush.exceptions import BadMessage
from serverpush.labels import Model, label_of
from serverpush.messages import Message, event_of, route_topic
from serverpush.protocol import dump
from serverpush.reporting import is_suppressed
from serverpush.web.changes import reported_label
from serverpush.web.commits import after_commit
from serverpush.web.outbox import outbox

logger = logging.getLogger("serverpush")

# Models whose route could not be had: each is logged once.
_logged: set[Model] = set()

# Left on what a deletion began with: the routes that a child has told of for its parents.
_TOLD = "_serverpush_told"


def connect() -> None:
    """Listen to the models that have ``get_api_url``; calling it again changes nothing."""
    for model in apps.get_models():
        if hasattr(model, "get_api_url"):
            # By model, as changes are: others' deletes need not be fetched for it.
            uid = f"serverpush.route.{label_of(model)}"
            post_save.connect(_saved, sender=model, dispatch_uid=uid)
            post_delete.connect(_deleted, sender=model, dispatch_uid=uid)


def _saved(sender: Model, instance: models.Model, created: bool, using: str, **kwargs: Any) -> None:
    for route in _saved_routes(sender, instance, created):
        _push(route, "create" if created else "update", using)


def _saved_routes(sender: Model, instance: models.Model, created: bool) -> list[str]:
    """The route of what was saved, and those of its parents that have others."""
    routes = []
    for model in (sender, *sender._meta.get_parent_list()):
        if hasattr(model, "get_api_url"):
            has_list = created and hasattr(model, "get_api_list_url")
            routes.append(
                _route(model, instance, "get_api_list_url" if has_list else "get_api_url")
            )
    return [each for each in dict.fromkeys(routes) if each is not None]


def _deleted(
    sender: Model, instance: models.Model, using: str, origin: Any = None, **kwargs: Any
) -> None:
    # Now, for Django sets the key to None next.
    if (route := _route(sender, instance, "get_api_url")) is None:
        return
    if origin is not None:
        # With a child its parents' rows go, and Django tells of each of them.
        told: set[tuple[Model, str]] = origin.__dict__.setdefault(_TOLD, set())
        if (sender, route) in told:
            told.discard((sender, route))
            return
        told.update((parent, route) for parent in sender._meta.get_parent_list())
    _push(route, "delete", using)


def plain(route: Any) -> Any:
    """A route that is made when it is needed, as ``reverse_lazy`` does, as its text."""
    return str(route) if isinstance(route, Promise) else route


def _route(model: Model, instance: models.Model, name: str) -> str | None:
    """What a method of an instance of a model, or of its parent, gives."""
    if is_suppressed() or reported_label(model) is None:
        return None
    try:
        route: str = plain(getattr(_as(model, instance), name)())
        route_topic(route)
    except Exception as error:  # noqa: BLE001 - it is saved, and that must not fail here
        _log_once(model, name, error)
        return None
    return route


def _as(model: Model, instance: models.Model) -> Any:
    """An instance as its parent sees it: with that one's methods."""
    classes = type(instance).__mro__
    place = classes.index(model)
    return super(classes[place - 1], instance) if place else instance


def _push(route: str, type: str, using: str) -> None:
    topic = route_topic(route)
    data = dump({"route": route, "type": type})
    # Timed after the commit, as changes are.
    after_commit(lambda: outbox.put(Message((topic,), event_of(topic), data, time.time())), using)


def _log_once(sender: Model, name: str, error: Exception) -> None:
    if sender not in _logged:
        _logged.add(sender)
        reason = str(error) if isinstance(error, BadMessage) else f"raised {error!r}"
        logger.error(
            "nothing is sent along the route of %s: %s %s", sender._meta.label, name, reason
        )


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "INSTALLED_APPS":
        connect()


setting_changed.connect(_forget)
