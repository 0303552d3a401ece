"""Users: fetched together, with what they may do and their tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.core.exceptions import (
    FieldDoesNotExist,
    ImproperlyConfigured,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db.models import ManyToManyField
from django.utils.crypto import constant_time_compare

from serverpush.jobs import UsersJob
from serverpush.labels import Model
from serverpush.renderer.places import raised, sentence
from serverpush.results import UsersResult
from serverpush.tokens import token_hash, token_of

FLAGS = ("is_active", "is_staff", "is_superuser")
# By name: importing it needs django.contrib.auth among the apps.
STOCK_GET_USER = ("django.contrib.auth.backends", "ModelBackend.get_user")


def look_up(job: UsersJob) -> UsersResult:
    """Answer whether the users are there, and what their tokens are, with one query for all.

    Who is not active has no token, nor has a user for whom the project's tokenizer gives
    none, or misses a row. Of one for whom it raises anything else nothing is known.
    """
    try:
        users = Users(job.users)
    except Exception as error:  # noqa: BLE001 - a manager of the project may raise anything
        return UsersResult((), sentence(error))
    found: list[str | None] = []
    unknown: dict[int, str] = {}
    for place, user in enumerate(map(users.get, job.users)):
        if user is None or not job.tokens:
            found.append(None if user is None else "")
            continue
        try:
            token = token_of(user) if getattr(user, "is_active", True) else ""
        except ObjectDoesNotExist:
            token = ""
        except Exception as error:  # noqa: BLE001 - so may the tokenizer
            token, unknown[place] = "", f"the token of user {user.pk}: {raised(error)}"
        found.append(token and token_hash(token))
    return UsersResult(tuple(found), next(iter(unknown.values()), ""), frozenset(unknown))


class Users:
    """Users by their keys as text, fetched together."""

    def __init__(self, texts: Iterable[Any]) -> None:
        self._found: dict[Any, Any] = {}
        try:
            self._model: Any = get_user_model()
        except ImproperlyConfigured:
            self._model = None
        self.are_known = self._model is not None
        if self.are_known:
            keys = {key for text in texts if (key := self._key(text)) is not None}
            # The manager that ModelBackend asks.
            self._found = self._model._default_manager.in_bulk(list(keys)) if keys else {}

    def get(self, text: Any) -> Any:
        return self._found.get(self._key(text)) if self.are_known else None

    def of_session(self, data: dict[str, Any]) -> Any:
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

    def rights(self, others: Iterable[Any]) -> Rights:
        """What they may do: those fetched here, and ``others``."""
        users = {**self._found, **{each.pk: each for each in others if each is not None}}
        if not users:
            return Rights()
        own = [key for key, user in users.items() if isinstance(user, self._model)]
        return Rights.fetched(self._model, own)

    def _by_backend(self, backend: Any, text: Any) -> Any:
        get_user: Any = type(backend).get_user
        if (get_user.__module__, get_user.__qualname__) != STOCK_GET_USER:
            key = self._key(text)
            return None if key is None else backend.get_user(key)
        user = self.get(text)
        return user if user is not None and backend.user_can_authenticate(user) else None

    def _key(self, text: Any) -> Any:
        try:
            key = self._model._meta.pk.to_python(text)
        except ValidationError:
            return None
        # A database may raise for a number that none of its rows can have.
        return None if isinstance(key, int) and key.bit_length() > 63 else key


def _verifies(user: Any, given: Any) -> bool:
    if not given:
        return False
    return constant_time_compare(given, user.get_session_auth_hash()) or any(
        constant_time_compare(given, each) for each in user.get_session_auth_fallback_hash()
    )


@dataclass(frozen=True, slots=True)
class Rights:
    """What users may do, by their keys: the permissions of their groups are theirs."""

    groups: dict[Any, set[Any]] = field(default_factory=dict)
    permissions: dict[Any, set[Any]] = field(default_factory=dict)
    of_groups: dict[Any, set[Any]] = field(default_factory=dict)

    @classmethod
    def fetched(cls, model: Model, keys: Collection[Any]) -> Rights:
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
