"""The page record: made after the view, signed, and put into its HTML."""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.templatetags.static import static
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString

from serverpush.conf import config
from serverpush.exceptions import InvalidUpdate, UpdateFailed
from serverpush.pages import build_page, collect, has_updates
from serverpush.protocol import Page
from serverpush.tokens import sign_page

try:
    from django.middleware.csp import get_nonce
except ImportError:  # Django 5.2

    def get_nonce(request: HttpRequest) -> Any:  # type: ignore[misc]
        return None


logger = logging.getLogger("serverpush")

PLACEHOLDER = "<!--serverpush-scripts-->"
_PLACEHOLDER = PLACEHOLDER.encode()
RECORD_ID = "serverpush-page"
SCRIPT = "serverpush/serverpush.js"
DEFAULT_PORT = 8013
ANY_PORT = 0

_WITHOUT_PAGE = frozenset({204, 205, 206})
_DOCUMENT = re.compile(rb"<(?:!doctype|html|body)\b", re.IGNORECASE)


def mark_time(request: HttpRequest) -> None:
    """Note when a request came in, before anything is read for its page."""
    request.serverpush_time = _now()  # type: ignore[attr-defined]


def generated_timestamp(request: HttpRequest | None) -> str:
    """When a request came in, in seconds since the epoch, as text."""
    return _timestamp(getattr(request, "serverpush_time", None) or _now())


def want_scripts(request: HttpRequest) -> None:
    """Note that a page needs record and script, whether it has updates or not."""
    request.serverpush_wanted = True  # type: ignore[attr-defined]


def concerns(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Is there anything to do for this response?"""
    # Every response of the site is asked: what most of them end with comes first.
    return _is_html(response) and _has_part(request, response) and _is_whole(response)


def finish(request: HttpRequest, response: Any) -> Any:
    """Put record and script into a response that ``concerns`` was true for."""
    if not getattr(response, "is_rendered", True):
        response.add_post_render_callback(lambda rendered: finish(request, rendered))
        return response
    is_live = _is_live(request, response)
    try:
        content = _utf8(response.content, response.charset)
        place = _place(content, is_live or _is_wanted(request))
        if place is None:
            return response
        elements = _elements(request, response, is_live, place.is_chosen)
        if elements:
            content = place.before + elements.encode() + place.after
            _replace(response, _from_utf8(content, response.charset))
    except (LookupError, UnicodeError):
        # A charset that does not fit the content: not ours to repair.
        pass
    return response


def _is_html(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def _has_part(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Is its page live, or does it ask for record and script?"""
    return (
        _is_live(request, response)
        or _is_wanted(request)
        # An unrendered template response is looked at when it is rendered.
        or not getattr(response, "is_rendered", True)
        or _PLACEHOLDER in getattr(response, "content", b"")
    )


def _is_whole(response: HttpResponseBase) -> bool:
    headers = response.headers
    return (
        200 <= response.status_code < 600
        and not response.streaming
        and "Content-Encoding" not in headers
        and "Content-Range" not in headers
        and not headers.get("Content-Disposition", "").lower().startswith("attachment")
    )


def _is_wanted(request: HttpRequest) -> bool:
    return getattr(request, "serverpush_wanted", False)


def _is_live(request: HttpRequest, response: HttpResponseBase) -> bool:
    match = request.resolver_match
    return match is not None and _can_come_again(request, response) and has_updates(match.func)


def _can_come_again(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Would the page be had again by its URL alone? Only such a one may be told to refresh."""
    return (
        request.method in ("GET", "HEAD")
        and 200 <= response.status_code < 300
        and response.status_code not in _WITHOUT_PAGE
    )


def _elements(
    request: HttpRequest, response: HttpResponseBase, is_live: bool, is_chosen: bool
) -> SafeString:
    """Record and script; the script alone where what there is to record can't be."""
    record = script = SafeString()
    is_asked = is_chosen or _is_wanted(request)
    try:
        if is_asked:
            script = _script(request, _server(request.get_host(), request.is_secure()))
        page = _page(request, response, is_live, is_asked)
        if page is not None:
            again = _can_come_again(request, response)
            record, script = _record(page, again=again), _script(request)
    except Exception as error:
        if settings.DEBUG:
            raise
        _log_once(request, error)
    return record + script


def _record(page: Page, *, again: bool) -> SafeString:
    """The record's element; ``again``: would the page be had again by its URL?"""
    server = _server(page.host, page.secure)
    value = {"server": server, "page": sign_page(page), "since": _timestamp(page.time)}
    return json_script(value if again else {**value, "again": False}, RECORD_ID)


def _page(
    request: HttpRequest, response: HttpResponseBase, is_live: bool, is_asked: bool
) -> Page | None:
    began: float = request.serverpush_time  # type: ignore[attr-defined]
    # Not before it began, even if the clock was set back meanwhile.
    recorded = max(time.time(), began)
    match: Any = request.resolver_match
    dependencies = collect(match.func, request, match.args, match.kwargs) if is_live else ()
    if not dependencies and not is_asked:
        return None
    return build_page(
        request,
        dependencies,
        time=began - _age(response),
        recorded=recorded,
        save_session=True,
    )


def _age(response: HttpResponseBase) -> int:
    """How much older than its request a page is that a cache gave, in seconds."""
    try:
        # One more, for Age counts whole seconds.
        return max(int(response.headers["Age"]), 0) + 1
    except (KeyError, ValueError):
        return 0


def _now() -> float:
    # Down to the millisecond: rounded up it would be later than the first read.
    return math.floor(time.time() * 1000) / 1000


def _timestamp(seconds: float) -> str:
    return f"{seconds:.3f}"


def _server(host: str, secure: bool) -> str | None:
    """The address for a page to connect to; None for its own host and the default port."""
    if config().url is not None:
        return config().url
    if config().port in (DEFAULT_PORT, ANY_PORT):
        return None
    host = re.sub(r":\d+$", "", host)
    return f"{'https' if secure else 'http'}://{host}:{config().port}"


def _script(request: HttpRequest, server: str | None = None) -> SafeString:
    """The script's element; with ``server``, the address to connect to, where no record has it."""
    nonce = getattr(request, "csp_nonce", None)
    if nonce is None:
        nonce = get_nonce(request)
    more = SafeString()
    if nonce is not None:
        more += format_html(' nonce="{}"', str(nonce))
    if server is not None:
        more += format_html(' data-server="{}"', server)
    return format_html('<script src="{}"{} defer></script>', static(SCRIPT), more)


@dataclass(frozen=True)
class _Place:
    """Where in a document the elements go; ``is_chosen`` by its author."""

    before: bytes
    after: bytes
    is_chosen: bool


def _place(content: bytes, is_live: bool) -> _Place | None:
    before, mark, after = content.partition(PLACEHOLDER.encode())
    if mark:
        return _Place(before, after.replace(mark, b""), True)
    if not is_live or not config().inject:
        return None
    end = content.lower().rfind(b"</body")
    if end >= 0:
        return _Place(content[:end], content[end:], False)
    return _Place(content, b"", False) if _DOCUMENT.search(content) else None


def _utf8(content: bytes, charset: str) -> bytes:
    return content.decode(charset).encode() if _is_wide(charset) else content


def _from_utf8(content: bytes, charset: str) -> bytes:
    return content.decode().encode(charset) if _is_wide(charset) else content


def _is_wide(charset: str) -> bool:
    # Latin letters are the same single bytes in nearly all charsets, not in UTF-16.
    return PLACEHOLDER.encode(charset) != PLACEHOLDER.encode()


def _replace(response: Any, content: bytes) -> None:
    response.content = content
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(content))


_LOGGED: set[tuple[str, str]] = set()
_LOGGED_LIMIT = 1000


def _log_once(request: HttpRequest, error: Exception) -> None:
    source = getattr(error, "update", "") or request.path_info
    if (source, str(error)) in _LOGGED:
        return
    if len(_LOGGED) >= _LOGGED_LIMIT:
        _LOGGED.clear()
    _LOGGED.add((source, str(error)))
    # What the project's function raised is worth its traceback.
    trace = None if isinstance(error, InvalidUpdate) else error
    if isinstance(error, UpdateFailed):
        trace = error.__cause__ if isinstance(error.__cause__, Exception) else error
    logger.error("%s is served without live updates: %s", request.path_info, error, exc_info=trace)
