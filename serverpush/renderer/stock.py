"""Django's own middleware: what it reads of a request changes no rendering.

A session, a user or a CSRF cookie is only made ready there, and is noted when somebody looks
at it; and the language is the page's, whatever ``LocaleMiddleware`` finds. What decides by what
it reads, as ``LoginRequiredMiddleware`` does, and all that a project brings itself, is noted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

STOCK = frozenset(
    {
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.sites.middleware.CurrentSiteMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.security.SecurityMiddleware",
    }
)
COMMON = "django.middleware.common.CommonMiddleware"
"""It refuses browsers by their name where the settings say so."""
METHODS = ("process_request", "process_view", "process_template_response", "process_response")


def is_stock(path: str) -> bool:
    """Is this middleware, by its dotted path, one of those?"""
    return path in STOCK or (path == COMMON and not settings.DISALLOWED_USER_AGENTS)


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


def _paused(path: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def paused(middleware: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        notes = getattr(request, "serverpush_notes", None)
        if notes is None or not is_stock(path):
            return method(middleware, request, *args, **kwargs)
        with notes.paused():
            return method(middleware, request, *args, **kwargs)

    return paused
