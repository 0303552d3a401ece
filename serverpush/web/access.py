"""Access: what the site knows of its end, reported once it is committed.

Logging out, and logging in anew, ends a session; deleting a user ends that user's
access; other groups, permissions or ``RIGHTS`` change it. Whatever else is saved of a
user (a password, ``is_active``) puts the user in doubt, and the push server has a
renderer look. What a request causes to its own session or user waits for its answer.
What tells nobody (a session that expires or is flushed by hand, a group's own
permissions, ``update()``) is found by the push server's sweep.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, models, router
from django.db.models.signals import m2m_changed, post_delete, post_init, post_save

from serverpush.labels import Model, label_of
from serverpush.protocol import Ending
from serverpush.tokens import session_hash
from serverpush.web.answers import Answer, awaited
from serverpush.web.commits import after_commit
from serverpush.web.outbox import outbox

RELATIONS = ("groups", "user_permissions")
# ``is_active`` is none of them: a session whose user may not be there is found by a look.
RIGHTS = ("is_staff", "is_superuser")
NOTED = "_serverpush_rights"
UNKNOWN = (None, None)


def connect() -> None:
    """Listen to the signals of logins and users; calling it again changes nothing."""
    user_logged_out.connect(_logged_out, dispatch_uid="serverpush.logged_out")
    user_logged_in.connect(_logged_in, dispatch_uid="serverpush.logged_in")
    try:
        user_model: Any = get_user_model()
    except ImproperlyConfigured:
        # There are no users in this project.
        return
    for model in apps.get_models():
        # Proxies and children are saved and deleted under their own names.
        if issubclass(model, user_model):
            label = label_of(model)
            if _has_rights(model):
                uid = f"serverpush.user_loaded.{label}"
                post_init.connect(_loaded, sender=model, dispatch_uid=uid)
            post_save.connect(_saved, sender=model, dispatch_uid=f"serverpush.user_saved.{label}")
            post_delete.connect(
                _deleted, sender=model, dispatch_uid=f"serverpush.user_deleted.{label}"
            )
    for field in _relations(user_model):
        through: Any = field.remote_field.through
        uid = f"serverpush.user_may.{label_of(through)}"
        m2m_changed.connect(_related, sender=through, dispatch_uid=uid)


def _relations(user_model: Any) -> list[Any]:
    """The fields that say what a user may do, as far as this user model has them."""
    fields: Iterable[Any] = user_model._meta.many_to_many
    return [each for each in fields if each.name in RELATIONS]


def _has_rights(model: Model) -> bool:
    return any(field.attname in RIGHTS for field in model._meta.concrete_fields)


def _logged_out(sender: Any, request: Any, **kwargs: Any) -> None:
    # The session is flushed next; it still has its key.
    session = _session(request)
    if session is not None:
        _end_session(session, session.session_key)


def _logged_in(sender: Any, request: Any, **kwargs: Any) -> None:
    # The session got another key, or was flushed, which had another user: the
    # request's cookie has the key that is no more.
    session = _session(request)
    if session is not None:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if key != session.session_key:
            _end_session(session, key)


def _session(request: Any) -> Any:
    """The session of a browser's request; None for one that a renderer made up."""
    if getattr(request, "serverpush_rendering", False):
        return None
    return getattr(request, "session", None)


def _end_session(session: Any, key: str | None) -> None:
    if key:
        model = getattr(session, "model", None)
        using = DEFAULT_DB_ALIAS if model is None else router.db_for_write(model)
        _report(Ending(sessions=(session_hash(key),)), using, awaited())


def _loaded(sender: Model, instance: models.Model, **kwargs: Any) -> None:
    values = instance.__dict__
    values[NOTED] = (values.get("is_staff"), values.get("is_superuser"))


def _saved(
    sender: Model,
    instance: models.Model,
    created: bool,
    raw: bool,
    update_fields: Iterable[str] | None,
    using: str,
    **kwargs: Any,
) -> None:
    rights = _saved_rights(instance, update_fields)
    flipped = rights != instance.__dict__.get(NOTED, UNKNOWN)
    if flipped:
        # Not before the commit: what is rolled back has to be saved, and told, again.
        after_commit(lambda: instance.__dict__.update({NOTED: rights}), using)
    # A login saves when it was.
    if not created and set(update_fields or ()) != {"last_login"}:
        # A fixture's user was not loaded from the database.
        flipped |= raw and rights != UNKNOWN
        key = _key(instance)
        changed = (key,) if flipped else ()
        _report_user(key, Ending(changed=changed, doubtful=(key,)), using)


def _saved_rights(user: models.Model, update_fields: Iterable[str] | None) -> tuple[Any, ...]:
    """What the database holds of ``RIGHTS`` after a save; None for what is not known."""
    values = user.__dict__
    noted = values.get(NOTED, UNKNOWN)
    return tuple(
        values.get(name) if update_fields is None or name in update_fields else before
        for name, before in zip(RIGHTS, noted, strict=True)
    )


def _deleted(sender: Model, instance: models.Model, using: str, **kwargs: Any) -> None:
    # Now, for Django sets the key to None next.
    key = _key(instance)
    _report_user(key, Ending(users=(key,)), using)


def _related(
    sender: Model,
    instance: models.Model,
    action: str,
    reverse: bool,
    pk_set: set[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    if action != "pre_clear" and not (action in ("post_add", "post_remove") and pk_set):
        return
    if not reverse:
        keys = [_key(instance)]
    elif action == "pre_clear":
        # Asked before they are gone, reported after the commit: a clear is a transaction.
        keys = list(_members(sender, instance, using))
    else:
        keys = [str(pk) for pk in pk_set or ()]
    if keys:
        _report(Ending(changed=tuple(keys)), using)


def _members(through: Model, instance: models.Model, using: str) -> Iterator[str]:
    """The users who have ``instance``, a group or a permission."""
    for field in _relations(get_user_model()):
        if field.remote_field.through is through:
            has = {field.m2m_reverse_field_name(): instance}
            rows = through._base_manager.using(using).filter(**has)
            keys = rows.values_list(f"{field.m2m_field_name()}__pk", flat=True)
            yield from (str(pk) for pk in keys)


def _key(user: Any) -> str:
    # A child of the user model may have a key of its own beside it.
    return str(getattr(user, get_user_model()._meta.pk.attname))


def _report_user(user: str, ending: Ending, using: str) -> None:
    answer = awaited()
    _report(ending, using, answer if answer is not None and answer.is_for(user) else None)


def _report(ending: Ending, using: str, answer: Answer | None = None) -> None:
    def put() -> None:
        # Timed after the commit: a page that is rendered from now on shows what is new.
        timed = replace(ending, at=time.time())
        (outbox if answer is None else answer).put(timed)

    after_commit(put, using)
