"""What a project imports: the template context, and reporting changes."""

from __future__ import annotations

from django.http import HttpRequest

from serverpush.reporting import suppress
from serverpush.web.changes import ping_notifier
from serverpush.web.pages import generated_timestamp

__all__ = ["context_processor", "ping_notifier", "suppress"]


def context_processor(request: HttpRequest) -> dict[str, str]:
    """``generated_timestamp``: when the request came in, in seconds since the epoch."""
    return {"generated_timestamp": generated_timestamp(request)}
