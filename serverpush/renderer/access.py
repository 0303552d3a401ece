"""Access: whose sessions and permissions are still what they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.sessions.backends import cache, cached_db, db, file
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import ManyToManyField
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from serverpush.jobs import AccessJob, AccessResult, IdentifyJob, IdentifyResult
from serverpush.labels import Model
from serverpush.protocol import dump
from serverpush.renderer.places import sentence

FLAGS = ("is_active", "is_staff", "is_superuser")
# By name: importing it needs django.contrib.auth among the apps.
STOCK_GET_USER = ("django.contrib.auth.backends", "ModelBackend.get_user")

_Data = dict[str, Any]


def check(job: AccessJob) -> AccessResult:
    """Answer each visit of the job, with one query for all sessions and few for all users.

    Nothing is saved, rotated or flushed. What can't be reached is an error: nobody
    is thrown out because a database is down. What the project's own code raises
    about a user is an error for that user's visits only.
    """
    try:
        answers = _Answers(job.visits)
    except Exception as error:  # noqa: BLE001 - a store of the project may raise anything
        return AccessResult((), sentence(error))
    stamps: list[str | None] = []
    unknown: dict[int, str] = {}
    for place, (key, user) in enumerate(job.visits):
        try:
            stamps.append(answers.stamp(key, user))
        except Exception as error:  # noqa: BLE001 - so may a backend
            stamps.append("")
            unknown[place] = sentence(error)
    return AccessResult(tuple(stamps), next(iter(unknown.values()), ""), frozenset(unknown))


def identify(job: IdentifyJob) -> IdentifyResult:
    """The users of sessions, with one query for all sessions and few for all users."""
    try:
        answers = _Answers((key, "") for key in job.keys)
    except Exception as error:  # noqa: BLE001 - a store of the project may raise anything
        return IdentifyResult((), sentence(error))
    errors = [sentence(each) for each in answers.errors.values()]
    return IdentifyResult(tuple(map(answers.holder, job.keys)), errors[0] if errors else "")


class _Answers:
    """What the visits of one job have in common, read once for all of them."""

    def __init__(self, visits: Iterable[tuple[str, str]]) -> None:
        visits = list(visits)
        self._sessions = _sessions({key for key, _ in visits if key})
        named = {}
        if apps.is_installed("django.contrib.auth"):
            named = {key: data for key, data in self._sessions.items() if SESSION_KEY in data}
        texts = [data[SESSION_KEY] for data in named.values()]
        self._users = _Users([*texts, *(user for _, user in visits if user)])
        self._holders: dict[str, Any] = {}
        self.errors: dict[str, Exception] = {}
        for key, data in named.items():
            try:
                self._holders[key] = self._users.of_session(data)
            except Exception as error:  # noqa: BLE001 - a backend of the project may raise anything
                self.errors[key] = error
        self._rights = self._users.rights(self._holders.values())

    def holder(self, key: str) -> str | None:
        """The key of a session's user as text, "" where nobody is logged in; None: not known."""
        if key in self.errors:
            return None
        holder = self._holders.get(key)
        return "" if holder is None else str(holder.pk)

    def stamp(self, key: str, user: str) -> str | None:
        if key and key not in self._sessions:
            return None
        if key in self.errors:
            raise self.errors[key]
        holder = self._holders.get(key)
        if holder is None and key in self._holders:
            return None
        if not user or (holder is not None and str(holder.pk) == user):
            return "" if holder is None else _digest(self._rights.of(holder))
        other = self._users.get(user)
        if not key and self._users.are_known and not getattr(other, "is_active", other):
            return None
        # The project's own middleware said who that is (a token, another user whose
        # view is shown), so only that can take it back, when the page is rendered.
        # From here it can only be seen that something has changed.
        rights = [each and self._rights.of(each) for each in (holder, other)]
        return _digest([user, _password(other), *rights])


def _password(user: Any) -> str:
    # No session has its hash, which would tell that it is another one now.
    return user.get_session_auth_hash() if hasattr(user, "get_session_auth_hash") else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(dump(value).encode()).hexdigest()[:16]


# Sessions


def _sessions(keys: set[str]) -> dict[str, _Data]:
    """The data of those that are there, by key."""
    # In a renderer's process it is read-only.
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    keys = {key for key in keys if _is_plain(key)}
    if not keys:
        return {}
    if _reads_by(store, db.SessionStore, cached_db.SessionStore):
        return _from_database(store, keys)
    if _reads_by(store, cache.SessionStore):
        return _from_cache(store, keys)
    return _one_by_one(store, keys)


def _is_plain(key: str) -> bool:
    # It comes from a cookie, and one that a database or a cache refuses to be
    # asked for would end the job for all the others.
    return key.isascii() and key.isprintable() and " " not in key


def _reads_by(store: Any, *stock: Any) -> bool:
    """Does a store read as one of Django's own? A subclass may read otherwise."""
    names = ("load", "decode", "_get_session_from_db", "cache_key")
    return any(
        all(getattr(store, name, None) is getattr(each, name, None) for name in names)
        for each in stock
    )


def _from_database(store: Any, keys: set[str]) -> dict[str, _Data]:
    # Where there is a cache before it, it has nothing that the database has not.
    rows = store.get_model_class().objects.filter(
        session_key__in=keys, expire_date__gt=timezone.now()
    )
    decode = store().decode
    return {row.session_key: decode(row.session_data) for row in rows}


def _from_cache(store: Any, keys: set[str]) -> dict[str, _Data]:
    names = {store.cache_key_prefix + key: key for key in keys}
    found = store()._cache.get_many(list(names))
    return {names[name]: data for name, data in found.items() if data is not None}


def _one_by_one(store: Any, keys: set[str]) -> dict[str, _Data]:
    if issubclass(store, file.SessionStore):
        # It takes every error for a session that is gone.
        os.stat(store._get_storage_path())
    found = {}
    for key in keys:
        session = store(key)
        data = session.load()
        # An engine drops or replaces the key of a session that is gone.
        if session.session_key == key:
            found[key] = data
    return found


# Users


class _Users:
    """Users by their keys as text, fetched together."""

    def __init__(self, texts: Iterable[Any]) -> None:
        self.are_known = apps.is_installed("django.contrib.auth")
        self._found: dict[Any, Any] = {}
        if self.are_known:
            self._model: Any = get_user_model()
            keys = {key for text in texts if (key := self._key(text)) is not None}
            # The manager that ModelBackend asks.
            self._found = self._model._default_manager.in_bulk(list(keys)) if keys else {}

    def get(self, text: Any) -> Any:
        return self._found.get(self._key(text)) if self.are_known else None

    def of_session(self, data: _Data) -> Any:
        """Whom ``django.contrib.auth.get_user`` would take the session's user for, or None."""
        path: Any = data.get(BACKEND_SESSION_KEY)
        if path not in settings.AUTHENTICATION_BACKENDS:
            return None
        user = self._by_backend(load_backend(path), data[SESSION_KEY])
        if hasattr(user, "get_session_auth_hash") and not _verifies(
            user, data.get(HASH_SESSION_KEY)
        ):
            return None
        return user or None

    def rights(self, others: Iterable[Any]) -> _Rights:
        """What they may do: those fetched here, and ``others``."""
        users = {**self._found, **{each.pk: each for each in others if each is not None}}
        if not users:
            return _Rights()
        own = [key for key, user in users.items() if isinstance(user, self._model)]
        return _Rights.fetched(self._model, own)

    def _by_backend(self, backend: Any, text: Any) -> Any:
        get_user: Any = type(backend).get_user
        if (get_user.__module__, get_user.__qualname__) != STOCK_GET_USER:
            key = self._key(text)
            return None if key is None else backend.get_user(key)
        user = self.get(text)
        return user if user is not None and backend.user_can_authenticate(user) else None

    def _key(self, text: Any) -> Any:
        try:
            return self._model._meta.pk.to_python(text)
        except ValidationError:
            return None


def _verifies(user: Any, given: Any) -> bool:
    if not given:
        return False
    return constant_time_compare(given, user.get_session_auth_hash()) or any(
        constant_time_compare(given, each) for each in user.get_session_auth_fallback_hash()
    )


# Permissions


@dataclass(frozen=True, slots=True)
class _Rights:
    """What users may do, by their keys: the permissions of their groups are theirs."""

    groups: dict[Any, set[Any]] = field(default_factory=dict)
    permissions: dict[Any, set[Any]] = field(default_factory=dict)
    of_groups: dict[Any, set[Any]] = field(default_factory=dict)

    @classmethod
    def fetched(cls, model: Model, keys: Collection[Any]) -> _Rights:
        groups = _related(model, "groups", keys)
        permissions = _related(model, "user_permissions", keys)
        if not groups:
            return cls(groups, permissions)
        kind: Any = model._meta.get_field("groups").related_model
        of_groups = _related(kind, "permissions", set().union(*groups.values()))
        return cls(groups, permissions, of_groups)

    def of(self, user: Any) -> list[Any]:
        """What decides what this user may do."""
        own = self.groups.get(user.pk, set())
        may = self.permissions.get(user.pk, set()).union(
            *(self.of_groups.get(each, ()) for each in own)
        )
        flags = [getattr(user, flag, None) for flag in FLAGS]
        return [str(user.pk), flags, sorted(map(str, own)), sorted(map(str, may))]


def _related(model: Model, name: str, keys: Collection[Any]) -> dict[Any, set[Any]]:
    """The keys that each of ``keys`` has in a many-to-many field, if there is such a field."""
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return {}
    if not keys or not isinstance(field, ManyToManyField):
        return {}
    source, target = f"{field.m2m_field_name()}__pk", f"{field.m2m_reverse_field_name()}__pk"
    through: Any = field.remote_field.through
    rows = through._base_manager.filter(**{f"{source}__in": keys}).values_list(source, target)
    found: dict[Any, set[Any]] = {}
    for one, other in rows:
        found.setdefault(one, set()).add(other)
    return found
