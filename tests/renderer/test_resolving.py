"""A URL as a browser asks for it, leaving nothing behind."""

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse

from serverpush.jobs import ResolveJob
from serverpush.protocol import Page, Visitor
from serverpush.renderer.handler import Chain
from serverpush.renderer.jobs import run
from tests.project.models import Author
from tests.renderer.conftest import log_in

NOBODY = Visitor()

pytestmark = pytest.mark.django_db


@pytest.fixture
def resolve(chain):
    def resolve_one(path, visitor=NOBODY, **page):
        page = {"host": "testserver", **page}
        job = ResolveJob.from_json(ResolveJob(Page(path, **page), visitor).to_json())
        return run(chain, job)

    return resolve_one


def test_a_page_and_its_dependencies(resolve, book):
    visitor = Visitor(accept_language="de")
    page = resolve("/shelf/", visitor, query="?a=1", host="localhost:8000", secure=True).page
    assert [each.name for each in page.dependencies] == ["shelf"]
    assert (page.path, page.query, page.host, page.secure) == (
        "/shelf/",
        "a=1",
        "localhost:8000",
        True,
    )
    assert page.language == "de"
    assert 0 < page.time <= page.recorded


def test_a_page_is_bound_to_the_user_that_it_read(resolve, ann, settings):
    page = resolve("/private/", Visitor(log_in(settings, ann))).page
    assert page.user == str(ann.pk)
    assert page.session


def test_a_page_that_reads_nobody_is_for_everybody(resolve, ann, settings):
    page = resolve("/shelf/", Visitor(log_in(settings, ann))).page
    assert (page.user, page.session) == ("", "")


def test_a_page_without_updates(resolve, book):
    assert resolve("/asynchronous/").page.dependencies == ()


@pytest.mark.parametrize(
    ("path", "reason", "has_failed"),
    [
        ("/no/such/", "/no/such/ answers 404", False),
        ("/missing/", "/missing/ answers 404", False),
        ("/forbidden/", "/forbidden/ answers 403", False),
        ("/moved/", "/moved/ answers 302", False),
        ("/shelf", "/shelf answers 301", False),
        ("/private/", "/private/ answers 302", False),
        ("/json/", "/json/ is application/json, not HTML", False),
        ("/broken/", "/broken/: ValueError: no luck", True),
        ("/raising/", "raising_update raised ValueError: the update function has no luck", True),
    ],
)
def test_what_is_no_page(resolve, path, reason, has_failed):
    result = resolve(path)
    assert result.page is None
    assert reason in result.error
    assert result.has_failed is has_failed


def test_a_database_that_is_away_is_no_answer_for_good(resolve):
    def fail(*args):
        raise OperationalError("no such server")

    with connection.execute_wrapper(fail):
        result = resolve("/counting/")
    assert "OperationalError" in result.error
    assert result.has_failed


def test_an_answer_that_the_server_fails(resolve, settings):
    settings.MIDDLEWARE = ["tests.renderer.test_resolving.closed"]
    result = run(Chain(), ResolveJob(Page("/shelf/", host="testserver"), NOBODY))
    assert (result.error, result.has_failed) == ("/shelf/ answers 503", True)


def closed(get_response):
    return lambda request: HttpResponse(status=503)


def test_the_view_is_asked_as_by_a_browser(resolve):
    assert [each.name for each in resolve("/ask/").page.dependencies] == ["by_browser"]


def test_what_the_view_writes_is_rolled_back(resolve, settings):
    settings.DEBUG = True
    page = resolve("/counting/").page
    assert not Author.objects.exists()
    # Nor does the page wait for the row that nobody else will ever see.
    assert [each.keys for each in page.dependencies] == [()]


def test_a_durable_block_of_the_view_is_rolled_back(resolve):
    assert resolve("/durable/").page is not None
    assert not Author.objects.exists()


def test_the_path_below_a_script_name(resolve, settings, book):
    settings.FORCE_SCRIPT_NAME = "/app"
    page = resolve("/app/shelf/").page
    assert (page.path, page.script) == ("/shelf/", "/app")
    assert resolve("/shelf/").page.path == "/shelf/"
