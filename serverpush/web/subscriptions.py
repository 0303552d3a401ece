"""Subscriptions: the tokens by which a page may follow channels, routes and its user."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import signed_cookies
from django.http import HttpRequest

from serverpush.exceptions import BadMessage, InvalidMessage
from serverpush.messages import Topic, channel_topic, route_topic
from serverpush.tokens import session_hash, sign_topic, token_of
from serverpush.web.pages import want_scripts
from serverpush.web.routes import plain

UNSAFE = set("&<>\"'\\`\n\r")


def channel_token(request: HttpRequest, channel_id: str) -> str:
    """A token by which the request's session may subscribe to a channel.

    Raises ``InvalidMessage`` for an id that no channel can have.
    """
    return _signed(request, channel_topic, channel_id)


def route_token(request: HttpRequest, target: Any) -> str:
    """A token by which the request's session may subscribe to a route.

    Arguments:
        target: an instance with ``get_api_url()``, or a route's text.
    """
    route = target.get_api_url() if hasattr(target, "get_api_url") else target
    return _signed(request, route_topic, plain(route))


def user_token(request: HttpRequest) -> str:
    """The request's user's token, by ``SERVERPUSH_TOKENIZER``; "" for nobody.

    Raises ``InvalidMessage`` for one that would not arrive as it is.
    """
    want_scripts(request)
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    token = token_of(user)
    if set(token) & UNSAFE:
        # Escaped, it would be another one in a script.
        raise InvalidMessage(
            f"the token of user {user.pk} by SERVERPUSH_TOKENIZER has a quote, a line's end or "
            "one of & < > \\, which not every place in a page can hold"
        )
    return token


def _signed(request: HttpRequest, topic_of: Any, name: Any) -> str:
    want_scripts(request)
    try:
        topic: Topic = topic_of(name)
    except BadMessage as error:
        raise InvalidMessage(str(error)) from None
    session: Any = getattr(request, "session", None)
    if session is None:
        return sign_topic(topic, "", "")
    if isinstance(session, signed_cookies.SessionStore):
        # Its key is all that it holds, and another one after each save: the user stays.
        user: Any = getattr(request, "user", None)
        return sign_topic(topic, "", str(user.pk) if user and user.is_authenticated else "")
    # The page is this session's from here on, and no cache may give it to another.
    # Looking into it loads it: one that has expired loses its key.
    session.get("serverpush")
    if session.session_key is None and session.modified and not session.is_empty():
        session.save()
    return sign_topic(topic, session_hash(session.session_key), "")
