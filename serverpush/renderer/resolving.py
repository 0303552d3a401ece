"""From a URL to a page, asked as a browser would ask and without a trace."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace

from django.conf import settings
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch

from serverpush.exceptions import ServerPushError
from serverpush.jobs import ResolveJob
from serverpush.protocol import Page
from serverpush.renderer.handler import Chain, is_success
from serverpush.renderer.livepages import page_of
from serverpush.renderer.places import sentence
from serverpush.renderer.requests import PageRequest, page_request
from serverpush.renderer.writes import rolled_back
from serverpush.results import ResolveResult

_HTML = ("text/html", "application/xhtml+xml")


def resolve(chain: Chain, job: ResolveJob) -> ResolveResult:
    """The page at a URL, for one visitor; a page of None has its reason in ``error``."""
    resolving = _Resolving(job)
    try:
        request = page_request(_below_script(job.page), job.visitor, by_script=False)
        with chain.respond(request, resolving) as response:
            return resolving.result(response)
    except BaseException as error:  # noqa: BLE001
        return _failed(f"{job.page.path}: {sentence(error)}")


def _failed(why: str) -> ResolveResult:
    return ResolveResult(None, why, has_failed=True)


def _below_script(page: Page) -> Page:
    """The page by the path that the URLconf knows; a browser says the whole one."""
    script = (settings.FORCE_SCRIPT_NAME or page.script or "").rstrip("/")
    path = page.path
    if script and (path == script or path.startswith(f"{script}/")):
        path = path[len(script) :]
    return replace(page, path=path, script=script)


class _Resolving:
    """A ``Task`` that runs the URL's view and then its update function."""

    has_view = True

    def __init__(self, job: ResolveJob) -> None:
        self.job = job
        self.began = time.time()
        self.error: BaseException | None = None
        self.page: Page | None = None

    def around(self) -> AbstractContextManager[object]:
        return rolled_back()

    def running(self) -> AbstractContextManager[object]:
        # On its own, so that the update function does not see what the view
        # wrote and nobody else ever will.
        return rolled_back()

    def answer(
        self, chain: Chain, request: PageRequest, match: ResolverMatch | None
    ) -> HttpResponseBase:
        assert match is not None
        return chain.call(match.func, request, match.args, match.kwargs)

    def finish(self, request: PageRequest, match: ResolverMatch) -> None:
        self.page = page_of(request, match, self.began)

    def result(self, response: HttpResponseBase) -> ResolveResult:
        path = self.job.page.path
        if isinstance(self.error, ServerPushError):
            return _failed(str(self.error))
        if response.status_code >= 500:
            why = (
                f": {sentence(self.error)}"
                if self.error is not None
                else f" answers {response.status_code}"
            )
            return _failed(path + why)
        if not is_success(response):
            return ResolveResult(None, f"{path} answers {response.status_code}")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in _HTML:
            return ResolveResult(None, f"{path} is {kind or 'of no type'}, not HTML")
        if self.page is None:
            return ResolveResult(None, f"{path} was answered before its view")
        return ResolveResult(self.page)
