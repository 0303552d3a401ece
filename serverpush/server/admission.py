"""Admission: what a client must bring to be connected, and which page it then has."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.http import parse_cookie

from serverpush import tokens
from serverpush.conf import is_loopback
from serverpush.exceptions import BadMessage, BadToken
from serverpush.jobs import ResolveJob
from serverpush.protocol import Page, Position, Visitor
from serverpush.results import ResolveResult
from serverpush.server import origins
from serverpush.server.core.visits import Visit
from serverpush.server.transport import Client, Handshake, Refused

logger = logging.getLogger("serverpush.server")

# Connections by URL that one address may make at once, and then each second.
URL_BURST = 50
URL_RATE = 5
REMEMBERED_ADDRESSES = 10_000
MAX_URL = 4096
# Of what a client may authenticate with.
NAMES = {"page", "url", "user"}


@dataclass(frozen=True)
class Admission:
    """A client that was let in; ``since`` is a position, or seconds since the epoch.

    ``made`` is when the page was rendered, or its user's token made, whichever was
    earlier, in seconds since the epoch. ``is_named`` is False where it has yet to say
    what it is here for. ``tab`` is by what it says that it is known again.
    """

    page: Page
    visitor: Visitor
    visit: Visit
    since: Position | float
    made: float
    is_named: bool = True
    tab: Any = None


class Admissions:
    """Lets clients in.

    Arguments:
        resolve: has a renderer find the page of a URL.
        refuses: has the access ended to a page rendered then (seconds since the epoch)?
        head: where the log stands.
        report: takes what the operator has to know.
        shift: seconds by which the clock of the log is ahead of this machine's.
    """

    def __init__(
        self,
        resolve: Callable[[ResolveJob], ResolveResult],
        refuses: Callable[[Visit, float], bool],
        head: Callable[[], Position],
        report: Callable[[str], None],
        shift: Callable[[], float],
    ) -> None:
        self._shift = shift
        self._resolve = resolve
        self._refuses = refuses
        self._head = head
        self._report = report
        self._addresses: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, client: Client, auth: dict[str, Any]) -> Admission:
        """Check what a client authenticates with; raises ``Refused`` (contract, section 6)."""
        handshake = client.handshake
        visitor = Visitor(
            cookie=handshake.cookie,
            accept_language=handshake.headers.get("accept-language", ""),
            user_agent=handshake.headers.get("user-agent", ""),
            address=handshake.address,
        )
        since = since_of(auth.get("since"))
        head = self._head()
        user, made, bearer = "", time.time() + self._shift(), ""
        if "user" in auth:
            user, made, bearer = _user(auth["user"], made)
        if "page" in auth:
            page = _page(auth["page"])
        elif "url" in auth:
            page = self._by_url(client, auth, visitor)
        else:
            # For messages only: nothing was rendered, and the token is as old as it says.
            page = Page("", time=made, recorded=made)
        visit = self._visit(page, visitor, user, made, bearer)
        # Nobody knows when such a token was made; but of a page when it was rendered.
        if bearer and "page" not in auth and self._refuses(Visit(bearer=bearer), 0.0):
            raise Refused("session_mismatch", "access by this token has ended")
        if since is None:
            since = page.time if "page" in auth else head
        made = min(page.time, made)
        return Admission(
            page, visitor, visit, since, made, bool(auth.keys() & NAMES), auth.get("tab")
        )

    def _visit(self, page: Page, visitor: Visitor, user: str, made: float, bearer: str) -> Visit:
        """On whose behalf this is; raises ``Refused`` where the page is for another.

        ``user`` is that of a user token, empty without one, and ``made`` when it was
        made, in seconds since the epoch; ``bearer`` is its hash where that is not known.
        """
        key = parse_cookie(visitor.cookie).get(settings.SESSION_COOKIE_NAME, "")
        is_bound = bool(page.session or page.user or user or bearer)
        if user and page.user and user != page.user:
            raise Refused("session_mismatch", "the page and the token are for two users")
        visit = Visit(key, tokens.session_hash(key), page.user or user, is_bound, bearer)
        if page.session and page.session != visit.session:
            raise Refused("session_mismatch", "this page was rendered for another session")
        if self._refuses(visit, page.time) or (user and self._refuses(visit, made)):
            raise Refused("session_mismatch", "access to this page has ended")
        return visit

    def _by_url(self, client: Client, auth: dict[str, Any], visitor: Visitor) -> Page:
        url, query = auth["url"], auth.get("query", "")
        if not isinstance(url, str) or not isinstance(query, str) or not url.startswith("/"):
            raise Refused("page_not_found", "url is a path such as '/news/', query a text")
        if len(url) + len(query) > MAX_URL:
            raise Refused("page_not_found", f"url and query may have {MAX_URL} characters")
        self._take_turn(peer(client.handshake))
        host, secure = origins.site_of(client.handshake.headers)
        wanted = Page(
            path=unquote(url),
            query=query.removeprefix("?"),
            host=host,
            secure=secure,
            time=time.time(),
        )
        result = self._resolve(ResolveJob(wanted, visitor))
        if result.page is None:
            raise self._refusal(result, visitor)
        # The renderers go by the clock of this machine.
        page, shift = result.page, self._shift()
        return replace(page, time=page.time + shift, recorded=page.recorded + shift)

    def _refusal(self, result: ResolveResult, visitor: Visitor) -> Refused:
        # What the project's own code said is for its developers.
        why = result.error if settings.DEBUG else ""
        if result.has_failed:
            # Unlike the next one, no answer for good: the browser tries again.
            self._report(f"a page by url could not be had: {result.error}")
            return Refused("server_error", why or "the server failed")
        # The path is the client's, who may write a line's end there.
        logger.info("no page by url for %s: %r", visitor.address, result.error)
        return Refused("page_not_found", why or "this URL has no live page for you")

    def _take_turn(self, address: str) -> None:
        now = time.monotonic()
        tokens_left, last = self._addresses.pop(address, (float(URL_BURST), now))
        tokens_left = min(float(URL_BURST), tokens_left + (now - last) * URL_RATE)
        self._addresses[address] = (tokens_left - 1 if tokens_left >= 1 else tokens_left, now)
        if len(self._addresses) > REMEMBERED_ADDRESSES:
            self._addresses.popitem(last=False)
        if tokens_left < 1:
            raise Refused("too_many_connections", "too many connections by url from this address")


def peer(handshake: Handshake) -> str:
    """The address that a client comes from, for limits and log lines.

    A proxy on this machine says for whom it asks, last in ``X-Forwarded-For``.
    Nobody else is believed: whoever asks could write anything there.
    """
    if is_loopback(handshake.address):
        told = handshake.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        with suppress(ValueError):
            return str(ipaddress.ip_address(told))
    return handshake.address


def _page(token: Any) -> Page:
    try:
        return tokens.verify_page(token)
    except BadToken as error:
        raise Refused(error.code, str(error)) from None


def _user(token: Any, now: float) -> tuple[str, float, str]:
    """The user's key, when the token was made, and its hash if only the project understands it.

    Of that one nobody knows when it was made: ``now``.
    """
    try:
        return *tokens.verify_user(token), ""
    except BadToken as error:
        if error.code == "bad_token" and tokens.is_opaque(token):
            return "", now, tokens.token_hash(token)
        raise Refused(error.code, str(error)) from None


def since_of(value: Any) -> Position | float | None:
    """A position, or a ``generated_timestamp`` as a number or text."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        seconds = float(value)
        if 0 <= seconds < 1e11:
            return seconds
    except (TypeError, ValueError):
        pass
    try:
        return Position.parse(str(value))
    except BadMessage:
        raise Refused("bad_token", "since is a position or a generated_timestamp") from None
