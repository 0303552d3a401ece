"""The middleware as Django runs it, sync and async."""

import asyncio
import re

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import resolve

from serverpush.middleware import ServerPushMiddleware
from serverpush.tokens import verify_page
from serverpush.web import pages
from tests.web import views

pytestmark = pytest.mark.django_db

RECORD = re.compile(rb'"page": "([^"]+)"')


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = "tests.web.urls"
    views.CALLS.clear()


def names_of(response):
    (token,) = RECORD.findall(response.content)
    return [each.name for each in verify_page(token.decode()).dependencies]


class TestAsync:
    """Through Django's asynchronous handler."""

    @pytest.mark.parametrize(
        ("path", "names"),
        [
            ("page", ["book"]),
            ("on_loop", ["books0"]),
            ("generating", ["one", "two"]),
            ("on_loop_generating", ["one", "two"]),
        ],
    )
    def test_update_functions_of_both_kinds(self, async_client, path, names):
        response = asyncio.run(async_client.get(f"/{path}/"))
        assert names_of(response) == names

    def test_a_page_without_updates(self, async_client):
        response = asyncio.run(async_client.get("/plain/"))
        assert response.content.decode() == views.BODY

    def test_a_template_response(self, async_client):
        assert names_of(asyncio.run(async_client.get("/templated/"))) == ["book"]

    def test_it_is_a_coroutine_function_only_around_one(self):
        async def on_loop(request):
            return HttpResponse()

        assert iscoroutinefunction(ServerPushMiddleware(on_loop))
        assert not iscoroutinefunction(ServerPushMiddleware(lambda request: HttpResponse()))

    def test_a_plain_page_stays_on_the_loop(self, rf):
        """No thread is asked where there is nothing to do."""

        async def on_loop(request):
            request.resolver_match = resolve("/plain/")
            return HttpResponse(views.BODY)

        coroutine = ServerPushMiddleware(on_loop)(rf.get("/plain/"))
        # Run by hand: it would stop at anything that it has to wait for.
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        assert ended.value.value.content.decode() == views.BODY


class TestRendering:
    def test_a_renderers_request_passes_untouched(self, rf):
        def view(request):
            request.resolver_match = resolve("/page/")
            return HttpResponse(views.BODY)

        request = rf.get("/page/")
        request.serverpush_rendering = True
        assert ServerPushMiddleware(view)(request).content.decode() == views.BODY
        assert views.CALLS == []
        assert request.serverpush_time

    def test_so_it_does_on_the_loop(self, rf):
        async def view(request):
            request.resolver_match = resolve("/page/")
            return HttpResponse(views.BODY)

        request = rf.get("/page/")
        request.serverpush_rendering = True
        response = asyncio.run(ServerPushMiddleware(view)(request))
        assert response.content.decode() == views.BODY
        assert views.CALLS == []


def test_the_time_is_taken_before_the_view(rf):
    seen = []

    def view(request):
        seen.append(request.serverpush_time)
        return HttpResponse()

    request = rf.get("/")
    ServerPushMiddleware(view)(request)
    assert seen == [request.serverpush_time]
    assert pages.generated_timestamp(request) == f"{seen[0]:.3f}"


def test_a_template_response_that_is_rendered_later(rf):
    def view(request):
        request.resolver_match = resolve("/templated/")
        return TemplateResponse(request, engines["django"].from_string("<body></body>"))

    response = ServerPushMiddleware(view)(rf.get("/templated/"))
    assert not response.is_rendered
    assert views.CALLS == []
    assert names_of(response.render()) == ["book"]


def test_a_response_without_a_view(rf):
    response = ServerPushMiddleware(lambda request: HttpResponse(views.BODY))(rf.get("/"))
    assert response.content.decode() == views.BODY


def test_a_wrong_setting_is_told_at_the_start(settings):
    settings.SERVERPUSH_PORT = "8013"
    with pytest.raises(ImproperlyConfigured, match="SERVERPUSH_PORT = '8013'"):
        ServerPushMiddleware(lambda request: HttpResponse())
