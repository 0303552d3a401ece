"""The project's own middleware around whatever a job does in the view's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished, request_started
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, get_resolver, set_script_prefix, set_urlconf

from serverpush.renderer.requests import PageRequest
from serverpush.renderer.routes import has_only_stock_patterns
from serverpush.renderer.sessions import keep_messages
from serverpush.renderer.stock import is_stock_method


class Task(Protocol):
    """What a job does where a browser's request would run the view.

    ``error`` is what was raised inside the middleware, by task or view. Where it
    has no view, no URL is resolved, and ``match`` is None.
    """

    error: BaseException | None
    has_view: bool

    def around(self) -> AbstractContextManager[object]:
        """Entered around the middleware and the reading of the response."""

    def running(self) -> AbstractContextManager[object]:
        """Entered around ``answer`` and the rendering of its response."""

    def answer(
        self, chain: Chain, request: PageRequest, match: ResolverMatch | None
    ) -> HttpResponseBase:
        """The response; called where no middleware has refused."""

    def finish(self, request: PageRequest, match: ResolverMatch) -> None:
        """Called inside the middleware, after a response that is a success."""


class Chain(BaseHandler):
    """``settings.MIDDLEWARE``, loaded once, in the order that Django runs it.

    Raises on creation what loading the middleware raises.
    """

    _middleware_chain: Callable[[PageRequest], Any]
    _view_middleware: list[Callable[..., Any]]
    _template_response_middleware: list[Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        # It is told the view and its arguments, which are what the path says.
        self._asks_by_view = not all(map(is_stock_method, self._view_middleware))

    @contextmanager
    def respond(self, request: PageRequest, task: Task) -> Iterator[HttpResponseBase]:
        """The response to ``request``, closed afterwards as a server would.

        Django's request signals are sent, so that whatever a project or a
        library renews with each request (connections, caches, its own state)
        is as new for a job.
        """
        request.serverpush_task = task
        with request.serverpush_notes.paused():
            set_script_prefix(request.META["SCRIPT_NAME"] or "/")
        request_started.send(sender=type(self), environ=request.environ)
        response: Any = None
        try:
            with task.around():
                set_urlconf(settings.ROOT_URLCONF)
                response = self._middleware_chain(request)
                yield response
        finally:
            if response is None:
                request_finished.send(sender=type(self))
            else:
                response._handler_class = type(self)
                response._resource_closers.append(request.close)
                response.close()

    def call(
        self, view: Callable[..., Any], request: PageRequest, args: Any, kwargs: Any
    ) -> HttpResponseBase:
        """Call a view as Django does: atomic, sync or async, its errors offered."""
        try:
            response: HttpResponseBase = self.call_plainly(view, request, args, kwargs)
        except Exception as error:
            response = self.process_exception_by_middleware(error, request)
            if response is None:
                raise
        return response

    def call_plainly(
        self, view: Callable[..., Any], request: PageRequest, args: Any, kwargs: Any
    ) -> Any:
        wrapped = self.make_view_atomic(view)
        if iscoroutinefunction(wrapped):
            wrapped = async_to_sync(wrapped)
        return wrapped(request, *args, **kwargs)

    def _get_response(self, request: PageRequest) -> HttpResponseBase:
        # Nothing leaves here as an exception: for most, Django would log a
        # traceback, and SystemExit would cut short what the middleware undoes.
        try:
            return self._run(request, request.serverpush_task)
        except BaseException as error:  # noqa: BLE001
            request.serverpush_task.error = error
            return HttpResponse(status=_status(error))

    def _run(self, request: PageRequest, task: Task) -> HttpResponseBase:
        if not task.has_view:
            keep_messages(request)
            return task.answer(self, request, None)
        match = self._resolved(request)
        keep_messages(request)
        response = self._by_view_middleware(request, match)
        if response is not None:
            return self._rendered(request, response)
        with task.running():
            response = task.answer(self, request, match)
            self.check_response(response, match.func)
            response = self._rendered(request, response)
        if is_success(response):
            task.finish(request, match)
        return response

    def _resolved(self, request: PageRequest) -> ResolverMatch:
        """Its view and arguments; noted as its path where somebody gets to see them.

        Or where it is not for Django alone to say whether there is such a path.
        """
        with request.serverpush_notes.paused():
            path = request.path_info
            urlconf = getattr(request, "urlconf", None)
        if urlconf is not None:
            set_urlconf(urlconf)
        resolver = get_resolver(urlconf)
        if not has_only_stock_patterns(resolver):
            request.serverpush_notes.add("path")
        try:
            match = resolver.resolve(path)
        except Http404:
            request.serverpush_notes.add("path")
            raise
        request.resolver_match = match
        return match

    def _by_view_middleware(
        self, request: PageRequest, match: ResolverMatch
    ) -> HttpResponseBase | None:
        if self._asks_by_view:
            request.serverpush_notes.add("path")
        for method in self._view_middleware:
            response: HttpResponseBase | None = method(
                request, match.func, match.args, match.kwargs
            )
            if response:
                return response
        return None

    def _rendered(self, request: PageRequest, response: Any) -> HttpResponseBase:
        if callable(getattr(response, "render", None)):
            for method in self._template_response_middleware:
                response = method(request, response)
                self.check_response(response, method, name=repr(method))
            try:
                response = response.render()
            except Exception as error:
                response = self.process_exception_by_middleware(error, request)
                if response is None:
                    raise
        rendered: HttpResponseBase = response
        return rendered


def is_success(response: HttpResponseBase) -> bool:
    return 200 <= response.status_code < 300


def _status(error: BaseException) -> int:
    if isinstance(error, Http404):
        return 404
    if isinstance(error, PermissionDenied):
        return 403
    return 400 if isinstance(error, BadRequest | SuspiciousOperation) else 500
