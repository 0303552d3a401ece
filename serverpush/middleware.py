"""Django's face of the page record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from serverpush.conf import config
from serverpush.web import pages
from serverpush.web.answers import Answer


class ServerPushMiddleware:
    """Puts the page record and the script into HTML pages that have updates.

    Comes last in ``MIDDLEWARE``: after authentication, and inside whatever
    compresses or caches. Sync and async.

    Raises ``ImproperlyConfigured`` at the start where a setting's value is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        config()
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        pages.mark_time(request)
        if self.is_async:
            return self.__acall__(request)
        response: HttpResponseBase
        with Answer(request) as answer:
            answer.response = response = self.get_response(request)
        if _is_rendering(request) or not pages.concerns(request, response):
            return response
        finished: HttpResponseBase = pages.finish(request, response)
        return finished

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase
        with Answer(request) as answer:
            answer.response = response = await self.get_response(request)
        if _is_rendering(request) or not pages.concerns(request, response):
            return response
        # It asks the database, and the update function may be a sync one.
        finished: HttpResponseBase = await sync_to_async(pages.finish)(request, response)
        return finished


def _is_rendering(request: HttpRequest) -> bool:
    """Is this a renderer's request, whose page has its record already?"""
    return getattr(request, "serverpush_rendering", False)
