"""``{% load serverpush %}``."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString, mark_safe

from serverpush.web.pages import PLACEHOLDER

register = template.Library()


@register.simple_tag
def serverpush_scripts() -> SafeString:
    """Where the page record and the script go; the middleware fills it in."""
    return mark_safe(PLACEHOLDER)
