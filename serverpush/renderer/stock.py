"""Django's own middleware: what it reads of a request changes no rendering.

A session, a user or a CSRF cookie is only made ready there, and is noted when somebody looks
at it; and from ``LocaleMiddleware`` on the language is the page's. What decides by what
it reads, as ``LoginRequiredMiddleware`` does, and all that a project brings itself, is noted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.utils import translation
from django.utils.module_loading import import_string

COMMON = "django.middleware.common.CommonMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
STOCK = frozenset(
    {
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.sites.middleware.CurrentSiteMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        LOCALE,
        "django.middleware.security.SecurityMiddleware",
    }
)
METHODS = ("process_request", "process_view", "process_template_response", "process_response")


def is_stock(path: str) -> bool:
    """Is this middleware, by its dotted path, one of those?"""
    condition = _CONDITIONS.get(path)
    return path in STOCK if condition is None else condition()


_CONDITIONS: dict[str, Callable[[], bool]] = {
    # It refuses browsers by their name where the settings say so.
    COMMON: lambda: not settings.DISALLOWED_USER_AGENTS,
    # It loads the session where that keeps the secret.
    CSRF: lambda: not settings.CSRF_USE_SESSIONS,
    # What the project brings itself may read what it will when it is made.
    MESSAGES: lambda: _is_djangos(settings.MESSAGE_STORAGE),
    SESSIONS: lambda: _is_djangos(settings.SESSION_ENGINE),
}


def _is_djangos(path: str) -> bool:
    return path.startswith("django.")


def is_stock_method(method: Any) -> bool:
    """Is this a method of middleware that is one of those?"""
    owner = type(getattr(method, "__self__", None))
    return is_stock(f"{owner.__module__}.{owner.__qualname__}")


def pause_notes() -> None:
    """Let nothing be noted that this middleware reads, in this process.

    To be called before the middleware is loaded.
    """
    for path in filter(is_stock, settings.MIDDLEWARE):
        kind = import_string(path)
        for name in METHODS:
            method = vars(kind).get(name)
            if method is not None and not hasattr(method, "__wrapped__"):
                setattr(kind, name, _paused(path, method))
                if path == LOCALE and name == "process_request":
                    setattr(kind, name, _in_the_pages_language(path, method))


def _in_the_pages_language(path: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Its page's language instead of what the request asks for, where the page has one."""
    paused = _paused(path, method)

    @functools.wraps(method)
    def process_request(middleware: Any, request: Any) -> Any:
        language = getattr(request, "serverpush_language", "")
        urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
        if not language or is_language_prefix_patterns_used(urlconf)[0]:
            # Its path is found only in the language that it names.
            return method(middleware, request)
        response = paused(middleware, request)
        translation.activate(language)
        request.LANGUAGE_CODE = translation.get_language()
        return response

    return process_request


def _paused(path: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def paused(middleware: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        notes = getattr(request, "serverpush_notes", None)
        if notes is None or not is_stock(path):
            return method(middleware, request, *args, **kwargs)
        with notes.paused():
            return method(middleware, request, *args, **kwargs)

    return paused
