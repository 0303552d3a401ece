"""Origins: which pages' scripts may connect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host

from serverpush.conf import config

# What Django allows itself where DEBUG is on and ALLOWED_HOSTS is empty.
_LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


def is_allowed(environ: dict[str, Any]) -> bool:
    """May the request that these WSGI variables tell of open a connection?

    A browser's origin must be one of the site's hosts (any port), of
    ``CSRF_TRUSTED_ORIGINS`` or of ``SERVERPUSH_ALLOWED_ORIGINS``. One that sends
    no origin may not bring the session's cookie, unless the browser itself says
    that page and server are of one origin (``Sec-Fetch-Site``, which no script
    can set: it leaves the origin out of same-origin requests).
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        if environ.get("HTTP_SEC_FETCH_SITE") == "same-origin":
            return True
        cookies = parse_cookie(environ.get("HTTP_COOKIE", ""))
        return settings.SESSION_COOKIE_NAME not in cookies
    return _is_listed(origin) or _is_of_the_site(origin, environ)


def site_of(headers: Mapping[str, str]) -> tuple[str, bool]:
    """The site's host (with its port) and whether it is on HTTPS, by a handshake's headers.

    The origin tells, where it is the site's own; a page from elsewhere does not
    know the site by its own name. Without one, the header counts that the project
    believes its proxy (``SECURE_PROXY_SSL_HEADER``).
    """
    origin, host = headers.get("origin", ""), headers.get("host", "")
    if _is_of_the_site(origin, {"HTTP_HOST": host}):
        return origin.partition("://")[2], origin.startswith("https:")
    return host, _came_by_https(headers)


def _came_by_https(headers: Mapping[str, str]) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER is None:
        return False
    name, secure = settings.SECURE_PROXY_SSL_HEADER
    said = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower(), "")
    return bool(said.partition(",")[0].strip() == secure)


def _is_listed(origin: str) -> bool:
    its_scheme, _, its_host = origin.partition("://")
    for listed in (*settings.CSRF_TRUSTED_ORIGINS, *config().allowed_origins):
        scheme, _, host = listed.rstrip("/").partition("://")
        if its_scheme != scheme:
            continue
        if its_host == host or (host.startswith("*.") and its_host.endswith(host[1:])):
            return True
    return False


def _is_of_the_site(origin: str, environ: dict[str, Any]) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    host, _ = split_domain_port(parts.netloc)
    hosts = list(settings.ALLOWED_HOSTS)
    if settings.DEBUG and not hosts:
        hosts = _LOCAL_HOSTS
    if "*" in hosts:
        # Every host is the site's: then the page must come from the very host asked.
        return bool(host) and host == split_domain_port(environ.get("HTTP_HOST", ""))[0]
    return bool(host) and validate_host(host, hosts)
