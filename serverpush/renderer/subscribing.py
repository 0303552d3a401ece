"""Subscriptions: the project's own word on them, asked with the page's request."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.signals import setting_changed
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils.module_loading import import_string

from serverpush.conf import config
from serverpush.jobs import SubscribeJob
from serverpush.renderer.awaited import awaited
from serverpush.renderer.handler import Chain
from serverpush.renderer.places import raised
from serverpush.renderer.requests import PageRequest, page_request
from serverpush.renderer.writes import all_or_nothing
from serverpush.results import SubscribeResult
from serverpush.signals import channel_subscribe, channel_unsubscribe

# What a middleware answers by that does not let a visitor in.
REFUSALS = frozenset({301, 302, 303, 307, 308, 401, 403, 404})


def subscribe(chain: Chain, job: SubscribeJob) -> SubscribeResult:
    """Ask the permission hook, tell the receivers; what they raise is told in ``error``.

    But for ``PermissionDenied`` and ``Http404``, which say no as they do in a view.
    """
    asking = _Asking(job)
    try:
        request = page_request(job.page, job.visitor, by_script=True)
        with chain.respond(request, asking) as response:
            if not asking.was_reached and response.status_code not in REFUSALS:
                # Nobody has said no: the site does not answer there at all.
                why = f"the site's middleware answered {response.status_code} to {request.path}"
                asking.result = SubscribeResult(False, error=why)
            if job.signal == "unsubscribe" and not asking.was_reached:
                # It has left, whomever the middleware lets through by now.
                asking.answer(chain, request, None)
    except BaseException as error:  # noqa: BLE001
        asking.error = error
    if isinstance(asking.error, PermissionDenied | Http404):
        return SubscribeResult(False)
    if asking.error is not None:
        return SubscribeResult(False, error=raised(asking.error))
    return asking.result


def listens() -> bool:
    """Does the project receive any of the signals that are sent in a renderer?"""
    return channel_subscribe.has_listeners() or channel_unsubscribe.has_listeners()


class _Asking:
    """A ``Task`` that runs no view: only what the middleware made of the request counts."""

    has_view = False

    def __init__(self, job: SubscribeJob) -> None:
        self.job = job
        self.was_reached = False
        self.error: BaseException | None = None
        # What a middleware that answers by itself leaves of it.
        self.result = SubscribeResult(False)

    def around(self) -> AbstractContextManager[object]:
        return nullcontext()

    def running(self) -> AbstractContextManager[object]:
        return nullcontext()

    def answer(
        self, chain: Chain, request: PageRequest, match: ResolverMatch | None
    ) -> HttpResponseBase:
        job = self.job
        self.was_reached = True
        user = self._user_of(request)
        if job.asks and not awaited(_hook()(request, job.channel)):
            return HttpResponse(status=403)
        known = getattr(user, "is_authenticated", False)
        name = str(user.get_username()) if known else ""
        error = self._tell(request)
        self.result = SubscribeResult(True, str(user.pk) if known else "", name, error)
        return HttpResponse()

    def _user_of(self, request: PageRequest) -> Any:
        """The request's user, set where the middleware does not know it."""
        job = self.job
        user: Any = getattr(request, "user", None)
        if user is None and apps.is_installed("django.contrib.auth"):
            # By name: importing it needs the application.
            request.user = user = import_string("django.contrib.auth.models.AnonymousUser")()
        if job.user and not getattr(user, "is_authenticated", False):
            # Who leaves, of a session that has ended since; or by a user's token alone.
            found = _user(job.user)
            if found is not None and (job.signal == "unsubscribe" or found.is_active):
                request.user = user = found
        return user

    def _tell(self, request: PageRequest) -> str:
        """Send the signal; returns what went wrong where somebody has left all the same."""
        told = {"sender": subscribe, "request": request, "channel_id": self.job.channel}
        if self.job.signal == "subscribe" and channel_subscribe.has_listeners():
            with all_or_nothing():
                channel_subscribe.send(**told)
        elif self.job.signal == "unsubscribe":
            return _errors(channel_unsubscribe.send_robust(**told))
        return ""

    def finish(self, request: PageRequest, match: ResolverMatch) -> None:
        """There is no page."""


def _errors(answers: Iterable[tuple[Any, Any]]) -> str:
    """What receivers raised, each by its name; "" where none did."""
    return "; ".join(
        f"{receiver.__module__}:{getattr(receiver, '__qualname__', receiver)} {raised(answer)}"
        for receiver, answer in answers
        if isinstance(answer, Exception)
    )


def _user(pk: str) -> Any:
    if not apps.is_installed("django.contrib.auth"):
        return None
    return get_user_model()._default_manager.filter(pk=pk).first()


@lru_cache(maxsize=1)
def _hook() -> Any:
    return import_string(config().channel_permission or "")


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SERVERPUSH_CHANNEL_PERMISSION":
        _hook.cache_clear()


setting_changed.connect(_forget)
