"""A page anew, from a request whose view has just run."""

from __future__ import annotations

import time

from django.urls import ResolverMatch

from serverpush import pages
from serverpush.protocol import Page
from serverpush.renderer.requests import PageRequest
from serverpush.renderer.sessions import forget_made_key


def page_of(request: PageRequest, match: ResolverMatch, began: float) -> Page:
    """The page that ``request`` is for, with the dependencies it has now.

    Arguments:
        began: when the job began, before anything was read; seconds since the epoch.

    Raises ``InvalidUpdate`` and ``UpdateFailed``.
    """
    # Before the update function asks: a change during its queries is a change
    # that the page has yet to hear of.
    recorded = max(time.time(), began)
    dependencies = pages.collect(match.func, request, match.args, match.kwargs)
    with request.serverpush_notes.paused():
        forget_made_key(request)
        return pages.build_page(request, dependencies, time=began, recorded=recorded)
