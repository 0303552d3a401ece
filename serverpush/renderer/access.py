"""Access: whose sessions and permissions are still what they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import (
    SESSION_KEY,
)
from django.contrib.sessions.backends import cache, cached_db, db, file
from django.utils import timezone

from serverpush.jobs import AccessJob, IdentifyJob
from serverpush.protocol import dump
from serverpush.renderer.places import sentence
from serverpush.renderer.users import Users
from serverpush.results import AccessResult, IdentifyResult

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
        self._users = Users([*texts, *(user for _, user in visits if user)])
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
