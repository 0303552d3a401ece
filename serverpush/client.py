"""What a project imports: the template context, reporting changes, and sending messages."""

from __future__ import annotations

from django.http import HttpRequest

from serverpush.reporting import suppress
from serverpush.web.changes import ping_notifier
from serverpush.web.messages import disconnect, notify, notify_all, push_route, send_update
from serverpush.web.pages import generated_timestamp
from serverpush.web.presence import presence
from serverpush.web.subscriptions import channel_token, route_token

__all__ = [
    "channel_token",
    "context_processor",
    "disconnect",
    "notify",
    "notify_all",
    "ping_notifier",
    "presence",
    "push_route",
    "route_token",
    "send_update",
    "suppress",
]


def context_processor(request: HttpRequest) -> dict[str, str]:
    """``generated_timestamp``: when the request came in, in seconds since the epoch."""
    return {"generated_timestamp": generated_timestamp(request)}
