"""A page from its request: the update functions called, their dependencies compiled.

The site does this when it renders a page, and a renderer when it resolves a
connection by URL or runs a view again.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.sessions.backends import signed_cookies
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.utils import timezone, translation
from django.utils.module_loading import import_string

from serverpush import discovery
from serverpush.conf import config
from serverpush.exceptions import InvalidUpdate, UpdateFailed
from serverpush.protocol import Dependency, Page
from serverpush.tokens import session_hash
from serverpush.updates import compile_updates, fitting

View = Callable[..., Any]


def has_updates(view: View) -> bool:
    """Is there an update function to call for this view? Costs a cached look-up."""
    return bool(config().globals) or discovery.find(view) is not None


def collect(
    view: View, request: HttpRequest, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Dependency, ...]:
    """Call a view's update function and the global ones, and compile what they return.

    Arguments:
        view: the URL's callback, as ``request.resolver_match.func`` is.
        request: handed to the functions.
        args, kwargs: what the URL gave the view.

    Functions may be coroutine functions and generators of both kinds. This one
    is synchronous: under an event loop call it through ``sync_to_async``.

    Raises ``InvalidUpdate`` for an entry that can't be used, and ``UpdateFailed``
    for whatever a function itself raised.
    """
    found = discovery.find(view)
    dependencies: tuple[Dependency, ...] = ()
    if found is not None:
        result = _called(found.source, found.function, request, *args, **kwargs)
        dependencies = _compiled(result, found.source, found.module, found.view)
    target = discovery.unwrap(view)
    for path in config().globals:
        function, signature = _global(path)
        if _accepts(signature, request, args, kwargs):
            result = _called(path, function, request, *args, **kwargs)
        else:
            result = _called(path, function, request)
        dependencies += _compiled(result, path, sys.modules.get(function.__module__), target)
    return fitting(dependencies)


def build_page(
    request: HttpRequest,
    dependencies: tuple[Dependency, ...],
    *,
    time: float,
    recorded: float,
    save_session: bool = False,
) -> Page:
    """The page that a request led to.

    Arguments:
        dependencies: what ``collect`` gave.
        time: when the request came in, in seconds since the epoch.
        recorded: when ``collect`` was called, in seconds since the epoch.
        save_session: save a session that this request filled for the first time,
            so that it gets its key now. Never in a renderer.

    The page is bound to session and user where its rendering read the session,
    and reading stays unnoticed here: a page that is the same for everybody must
    not get ``Vary: Cookie`` from this.
    """
    session, user = _binding(request, save_session)
    return Page(
        path=request.path_info,
        query=request.META.get("QUERY_STRING", ""),
        host=request.get_host(),
        secure=request.is_secure(),
        script=request.META.get("SCRIPT_NAME", ""),
        time=time,
        recorded=recorded,
        language=translation.get_language() or "",
        zone=timezone.get_current_timezone_name(),
        session=session,
        user=user,
        dependencies=dependencies,
    )


def _called(source: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        result = function(*args, **kwargs)
        if inspect.isawaitable(result) or inspect.isasyncgen(result):
            result = async_to_sync(_awaited)(result)
        # A generator's body runs only here, so that what it raises is its own.
        return list(result) if isinstance(result, Iterator) else result
    except Exception as error:
        raise UpdateFailed(source, error) from error


async def _awaited(result: Any) -> Any:
    if inspect.isasyncgen(result):
        return [entry async for entry in result]
    return await result


def _compiled(
    entries: Any, source: str, module: ModuleType | None, view: View
) -> tuple[Dependency, ...]:
    try:
        return compile_updates(entries, source=source, module=module, view=view)
    except InvalidUpdate:
        raise
    except Exception as error:
        raise UpdateFailed(source, error) from error


@lru_cache(maxsize=64)
def _global(path: str) -> tuple[Callable[..., Any], inspect.Signature]:
    try:
        function = import_string(path)
        return function, inspect.signature(function)
    except (ImportError, TypeError, ValueError) as error:
        raise UpdateFailed(path, error) from error


def _accepts(
    signature: inspect.Signature,
    request: HttpRequest,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> bool:
    try:
        signature.bind(request, *args, **kwargs)
    except TypeError:
        return False
    return True


def _binding(request: HttpRequest, save_session: bool) -> tuple[str, str]:
    """The hash of the session's key and the user's key, both empty where not read."""
    session: Any = getattr(request, "session", None)
    if session is None or not session.accessed:
        return "", ""
    user: Any = getattr(request, "user", None)
    is_known = user is not None and user.is_authenticated
    return _bound_session(session, save_session), str(user.pk) if is_known else ""


def _bound_session(session: Any, save_session: bool) -> str:
    if isinstance(session, signed_cookies.SessionStore):
        # Its key is all that it holds: each save makes another.
        return ""
    if save_session and session.session_key is None and session.modified and not session.is_empty():
        session.save()
    return session_hash(session.session_key)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SERVERPUSH_GLOBALS":
        _global.cache_clear()


setting_changed.connect(_forget)
