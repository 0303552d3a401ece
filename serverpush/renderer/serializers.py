"""The three serializers, each run as one of the page's visitors would run it."""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils import timezone, translation

from serverpush import discovery
from serverpush.conf import config
from serverpush.exceptions import InvalidUpdate, SerializerFailed, UpdateFailed
from serverpush.fieldmap import FieldMap
from serverpush.jobs import RenderJob
from serverpush.labels import Model, model_of
from serverpush.protocol import Page
from serverpush.renderer.awaited import awaited
from serverpush.renderer.handler import Chain, is_success
from serverpush.renderer.livepages import page_of
from serverpush.renderer.notes import Notes
from serverpush.renderer.once import error_once, logger
from serverpush.renderer.payloads import NotJSON, fields_to_json, response_to_json, to_json
from serverpush.renderer.places import raised
from serverpush.renderer.requests import PageRequest, page_request
from serverpush.renderer.writes import WriteGuard
from serverpush.results import EVERYTHING, RenderResult
from serverpush.tokens import session_hash


class _Gone(Exception):
    """The instance is no more."""


class _Refused(Exception):
    """The visitor is not the one that the page was rendered for."""


class _TooLarge(Exception):
    """The payload has more bytes than an event may have."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"gives {size} bytes, and SERVERPUSH_SEND_BUFFER is {limit}")


class StandIn:
    """What ``removed`` hands a serializer: no more than ``pk`` and ``_meta``."""

    def __init__(self, model: Model, pk: Any) -> None:
        self._meta = model._meta
        self.pk = pk

    def __repr__(self) -> str:
        return f"<removed {self._meta.label} {self.pk}>"


def render(chain: Chain, job: RenderJob) -> RenderResult:
    """Serialize one instance for one visitor; whatever is raised is told as ``failed``."""
    rendering = _Rendering(job)
    try:
        request = page_request(job.page, job.visitor, by_script=True)
        rendering.notes = request.serverpush_notes
        with chain.respond(request, rendering) as response:
            result = rendering.result(response)
    except BaseException as error:  # noqa: BLE001
        rendering.error = error
        result = rendering.broken(error)
    if rendering.guard.refused:
        result = RenderResult("failed", error=str(rendering.guard.refused))
    return replace(result, reads=tuple(sorted(rendering.reads)))


class _Rendering:
    """A ``Task`` that serializes; made for one job."""

    has_view = True

    def __init__(self, job: RenderJob) -> None:
        self.job = job
        self.began = time.time()
        self.guard = WriteGuard(job)
        self.error: BaseException | None = None
        self.payload: str | None = None
        self.ran = False
        self.page: Page | None = None
        self.model = model_of(job.model)
        self.notes = Notes()
        self.reached = False

    @property
    def reads(self) -> frozenset[str]:
        """What the result depends on of the request.

        What refuses before the view is asked may be Django's own, of which nothing is noted.
        """
        return self.notes.sources if self.reached else EVERYTHING

    def around(self) -> AbstractContextManager[object]:
        return self.guard.watching()

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.guard.refusing())
            stack.enter_context(_as_rendered(self.job.page))
            yield

    def answer(
        self, chain: Chain, request: PageRequest, match: ResolverMatch | None
    ) -> HttpResponseBase:
        assert match is not None
        self.reached = True
        if not _may_see(request, self.job.page):
            raise _Refused
        if self.job.serializer.kind == "view":
            return self._run_view(chain, request, match)

        def serialize(request: PageRequest, *args: Any, **kwargs: Any) -> Any:
            return self._serialize(request)

        exempt: Any = serialize
        exempt._non_atomic_requests = getattr(match.func, "_non_atomic_requests", set())
        answer = chain.call_plainly(exempt, request, match.args, match.kwargs)
        self.ran = True
        return answer if isinstance(answer, HttpResponseBase) else HttpResponse()

    def finish(self, request: PageRequest, match: ResolverMatch) -> None:
        if self.job.serializer.kind != "view" or not _is_own(match, self.job.serializer.target):
            return
        try:
            with self.guard.refusing():
                self.page = page_of(request, match, self.began)
        except (InvalidUpdate, UpdateFailed) as error:
            # By its old dependencies it might not follow what it shows now.
            self.error = error

    def result(self, response: HttpResponseBase) -> RenderResult:
        """What became of it, from the response as the middleware left it."""
        if self.error is not None:
            return self.broken(self.error)
        if not self.ran or not is_success(response):
            return RenderResult("refused")
        if self.payload is None:
            with self.running():
                self.payload = response_to_json(response)
        size = len(self.payload.encode())
        if size > config().send_buffer:
            # Nobody would get it: it need not go any further.
            return self.broken(_TooLarge(size, config().send_buffer))
        return RenderResult("done", self.payload, page=self.page)

    def broken(self, error: BaseException) -> RenderResult:
        if isinstance(error, _Gone):
            return RenderResult("gone")
        if isinstance(error, _Refused | Http404 | PermissionDenied):
            return RenderResult("refused")
        if isinstance(error, InvalidUpdate | UpdateFailed):
            return RenderResult("failed", error=f"page {self.job.page.path}: {error}")
        job = self.job
        reason = str(error) if isinstance(error, NotJSON | _Missing | _TooLarge) else raised(error)
        what = job.serializer.target or "its field map"
        failure = SerializerFailed(job.name, self.model._meta.label, job.pk, f"{what} {reason}")
        logger.debug("%s", failure, exc_info=error)
        return RenderResult("failed", error=str(failure))

    def _serialize(self, request: PageRequest) -> HttpResponseBase | None:
        """Set the payload, or return the response that a function gave instead."""
        instance, data = self._instance(), json.loads(self.job.data)
        if self.job.serializer.kind == "fields":
            self.payload = self._map_fields(instance, request, data)
            return None
        found = discovery.resolve(self.job.serializer.target)
        if not callable(found):
            raise _Missing("is not there to be called")
        value = awaited(found(request, instance, data))
        if isinstance(value, HttpResponseBase):
            return value
        self.payload = to_json(value)
        return None

    def _map_fields(self, instance: Any, request: PageRequest, data: Any) -> str:
        values, missing = _field_map(self.job.data).render(instance, request, data)
        for sentence in missing if self.job.present else ():
            path = sentence.removesuffix(f" on {instance!r}")
            error_once(
                ("path", self.job.name, self.job.model, path),
                "update %r of %s %s: %s",
                self.job.name,
                self.model._meta.label,
                self.job.pk,
                sentence,
            )
        return fields_to_json(values)

    def _run_view(
        self, chain: Chain, request: PageRequest, match: ResolverMatch
    ) -> HttpResponseBase:
        # Its arguments are what the path says.
        request.serverpush_notes.add("path")
        view = _view(match, self.job.serializer.target)
        kwargs = match.kwargs | self._more_arguments(view, request, match)
        response = chain.call(view, request, match.args, kwargs)
        self.ran = True
        return response

    def _more_arguments(
        self, view: Callable[..., Any], request: PageRequest, match: ResolverMatch
    ) -> dict[str, Any]:
        """Instance and data, where the view takes them and the URL does not give them."""
        name = discovery.object_argument(view)
        if name is None:
            return {}
        signature = inspect.signature(discovery.unwrap(view))
        given = signature.bind_partial(request, *match.args, **match.kwargs).arguments
        given |= _bound(view)
        more: dict[str, Any] = {}
        if name not in given:
            more[name] = self._instance()
        if "data" not in given:
            more["data"] = json.loads(self.job.data)
        return more

    def _instance(self) -> Any:
        field: Any = self.model._meta.pk
        try:
            pk = field.to_python(self.job.pk)
        except ValidationError:
            raise _Gone from None
        if not self.job.present:
            return StandIn(self.model, pk)
        for instance in self.model._default_manager.filter(pk=pk)[:1]:
            return instance
        raise _Gone


class _Missing(Exception):
    """The serializer that a page names is gone; ``str()`` is the end of a sentence."""


@functools.lru_cache(maxsize=256)
def _field_map(data: str) -> FieldMap:
    return FieldMap(json.loads(data))


@contextmanager
def _as_rendered(page: Page) -> Iterator[None]:
    """In the page's own language and time zone, whatever the handshake asked for.

    Those are what pages that share a rendering have in common.
    """
    zone = _zone(page.zone)
    with ExitStack() as stack:
        if page.language:
            stack.enter_context(translation.override(page.language))
        if zone is not None:
            stack.enter_context(timezone.override(zone))
        yield


@functools.lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    """None for the name of a zone that a project made itself, or that is not known here."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _may_see(request: PageRequest, page: Page) -> bool:
    """A page that read session or user is for those only; any other is not asked."""
    return _has_session(request, page.session) and _has_user(request, page.user)


def _has_session(request: PageRequest, bound: str) -> bool:
    """Is the session that a page is bound to still there? The cookie may outlive it."""
    if not bound:
        return True
    session: Any = getattr(request, "session", None)
    if session is None:
        return False
    accessed = session.accessed
    # Loads it: a session that is deleted or expired has no key afterwards.
    session.keys()
    session.accessed = accessed
    return session_hash(session.session_key) == bound


def _has_user(request: PageRequest, bound: str) -> bool:
    if not bound:
        return True
    user: Any = getattr(request, "user", None)
    return bool(user is not None and user.is_authenticated and str(user.pk) == bound)


def _is_own(match: ResolverMatch, target: str) -> bool:
    return discovery.unwrap(match.func) is discovery.unwrap(discovery.resolve(target))


def _view(match: ResolverMatch, target: str) -> Callable[..., Any]:
    """The callback to run: as the URLs have it, with what decorates it there."""
    found = discovery.resolve(target)
    if not callable(found):
        raise _Missing("is not there to be called")
    view = discovery.unwrap(found)
    if discovery.unwrap(match.func) is view:
        return match.func
    callback = discovery.routed(view) or found
    return callback.as_view() if hasattr(callback, "as_view") else callback


def _bound(view: Any) -> dict[str, Any]:
    """The keywords that ``functools.partial`` gave a view."""
    bound: dict[str, Any] = {}
    while isinstance(view, functools.partial):
        bound |= view.keywords
        view = view.func
    return bound
