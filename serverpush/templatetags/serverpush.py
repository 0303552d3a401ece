"""``{% load serverpush %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from serverpush.web import subscriptions
from serverpush.web.pages import PLACEHOLDER

register = template.Library()


@register.simple_tag
def serverpush_scripts() -> SafeString:
    """Where the page record and the script go; the middleware fills it in."""
    return mark_safe(PLACEHOLDER)


@register.simple_tag(takes_context=True)
def serverpush_token(context: template.Context) -> str:
    """The token of the page's user, empty where nobody is logged in."""
    return subscriptions.user_token(_request(context, "serverpush_token"))


@register.simple_tag(takes_context=True)
def channel_token(context: template.Context, channel_id: str) -> str:
    """The token by which this page may subscribe to a channel."""
    return subscriptions.channel_token(_request(context, "channel_token"), channel_id)


@register.simple_tag(takes_context=True)
def route_token(context: template.Context, target: Any) -> str:
    """The token by which this page may subscribe to a route: an instance, or its text."""
    return subscriptions.route_token(_request(context, "route_token"), target)


def _request(context: template.Context, tag: str) -> HttpRequest:
    request: HttpRequest | None = getattr(context, "request", None) or context.get("request")
    if request is None:
        raise template.TemplateSyntaxError(
            f"{{% {tag} %}} signs for the session of a request: render the template with one"
        )
    return request
