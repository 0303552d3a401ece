"""The rebuilt request: what it says, and what it may not change."""

import datetime as dt
import json

import pytest
from django.contrib.messages import constants
from django.contrib.messages.storage.base import BaseStorage, Message
from django.contrib.messages.storage.cookie import MessageEncoder
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.utils import timezone

from serverpush.protocol import Page, Visitor
from serverpush.renderer.jobs import run
from serverpush.renderer.requests import page_request
from tests.project.models import Author, Book
from tests.renderer.conftest import log_in, render_job, view

pytestmark = pytest.mark.django_db

VISITOR = Visitor("a=b; c=d", "de,en;q=0.5", "Browser/1.0", "192.0.2.7")


def rebuilt(visitor=VISITOR, **page):
    return page_request(
        Page(**{"path": "/ask/", "host": "testserver", **page}), visitor, by_script=True
    )


def test_headers_and_cookies():
    request = rebuilt()
    assert request.method == "GET"
    assert request.COOKIES == {"a": "b", "c": "d"}
    assert request.headers["Accept-Language"] == "de,en;q=0.5"
    assert request.headers["User-Agent"] == "Browser/1.0"
    assert request.headers["Accept"] == "text/html"
    assert request.headers["X-Requested-With"] == "XMLHttpRequest"
    assert request.META["REMOTE_ADDR"] == "192.0.2.7"
    assert request.serverpush_rendering


@pytest.mark.parametrize(
    ("host", "secure", "port"),
    [
        ("testserver", False, "80"),
        ("testserver", True, "443"),
        ("testserver:8000", False, "8000"),
        ("[::1]:8000", False, "8000"),
    ],
)
def test_host_and_scheme(settings, host, secure, port):
    settings.ALLOWED_HOSTS = ["*"]
    request = rebuilt(host=host, secure=secure)
    assert (request.get_host(), request.get_port()) == (host, port)
    assert request.scheme == ("https" if secure else "http")


@pytest.mark.parametrize("path", ["/", "/café/", "/日本/語", "/a b/%41/", "/a//b;c=d/"])
def test_the_path_is_the_one_that_the_site_saw(path):
    request = rebuilt(path=path, query="q=%C3%A9&r=1+2")
    assert (request.path_info, request.path) == (path, path)
    assert request.GET.dict() == {"q": "é", "r": "1 2"}


def test_a_page_below_a_script_name():
    request = rebuilt(path="/ask/", script="/app")
    assert (request.path, request.path_info) == ("/app/ask/", "/ask/")


@pytest.mark.parametrize("cookie", ["a=Ã©", "a=é", "a=日本", "a=\ud800"])
def test_cookies_beyond_ascii(cookie):
    assert set(rebuilt(Visitor(cookie)).COOKIES) == {"a"}


def test_what_a_view_sees(render, book):
    result = render(
        view("ask"),
        book,
        query="q=%C3%A9",
        host="localhost:8000",
        secure=True,
        visitor=VISITOR,
    )
    assert json.loads(result.payload) == (
        "XMLHttpRequest|/ask/?q=%C3%A9|localhost:8000|https|192.0.2.7|é|Browser/1.0|de"
    )


def test_arguments_from_the_url(render, book):
    assert render(view("numbered"), book, path="/café/7/").payload == '"number 7"'


def test_a_host_that_the_site_does_not_serve_is_refused(render, book):
    assert render("awaiting", book, host="evil.example").status == "refused"


# Sessions

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture(params=ENGINES)
def engine(request, settings, tmp_path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    cache.clear()
    yield request.param
    cache.clear()


@pytest.fixture
def stored(engine, tmp_path):
    """What the backends hold, whichever is in use."""

    def look():
        return (
            sorted(Session.objects.values_list("session_key", "session_data", "expire_date")),
            dict(cache._cache),
            {each.name: each.read_bytes() for each in tmp_path.iterdir()},
        )

    return look


SESSION_JOBS = {
    "touching_session": [5, True],
    "flushing_session": None,
    "cycling_session": True,
    "creating_session": [1, 32],
    "deleting_session": "deleted",
}


@pytest.mark.parametrize("name", SESSION_JOBS)
def test_a_session_is_read_and_never_stored(stored, chain, ann, settings, name):
    cookie = log_in(settings, ann, secret="plum")
    before = stored()
    job = render_job("whoami", ann, cookie=cookie)
    for each in (job, render_job(name, ann, cookie=cookie, data=5), job):
        result = run(chain, each)
        expected = SESSION_JOBS[name] if each is not job else ["ann", "plum"]
        assert (result.status, json.loads(result.payload or "0")) == ("done", expected)
        assert stored() == before


@pytest.mark.parametrize("name", SESSION_JOBS)
def test_no_session_is_made_for_a_visitor_without_one(stored, chain, ann, name):
    before = stored()
    assert run(chain, render_job(name, ann, data=5)).status == "done"
    assert stored() == before


def test_a_session_read_from_the_database_does_not_get_into_the_cache(new_chain, ann, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    chain = new_chain()
    cookie = log_in(settings, ann)
    cache.clear()
    assert run(chain, render_job("whoami", ann, cookie=cookie)).payload == '["ann",null]'
    assert not cache._cache


def test_a_coroutine_view_saves_nothing_either(stored, chain, ann, settings):
    cookie = log_in(settings, ann)
    before = stored()
    for visitor in (cookie, ""):
        job = render_job(view("session_asynchronously"), ann, path="/session/", cookie=visitor)
        assert run(chain, job).payload == '"5"'
    assert stored() == before


def test_a_session_is_not_rotated_for_a_new_secret_key(stored, chain, ann, settings):
    settings.SECRET_KEY = "the old one"
    cookie = log_in(settings, ann)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", ["the old one"]
    before = stored()
    job = render_job("whoami", ann, cookie=cookie)
    assert [run(chain, job).payload for _ in range(2)] == ['["ann",null]'] * 2
    assert stored() == before


def test_a_session_of_an_old_password_is_not_flushed(stored, chain, ann, settings):
    cookie = log_in(settings, ann)
    ann.set_password("another")
    ann.save()
    before = stored()
    assert run(chain, render_job("whoami", ann, cookie=cookie)).payload == '["",null]'
    assert stored() == before


def test_saving_with_every_request(stored, new_chain, ann, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    chain = new_chain()
    cookie = log_in(settings, ann)
    before = stored()
    assert run(chain, render_job("whoami", ann, cookie=cookie)).status == "done"
    assert stored() == before


def test_expired_sessions_are_left_to_the_site(chain, ann):
    long_ago = timezone.now() - dt.timedelta(days=1)
    Session.objects.create(session_key="expired1", session_data="", expire_date=long_ago)
    assert run(chain, render_job("deleting_session", ann)).status == "done"
    assert Session.objects.count() == 1


def test_a_made_session_binds_no_page(render, ann, settings):
    result = render(view("with_session"), ann, path="/with-session/")
    assert (result.page.session, result.page.user) == ("", "")


# Messages


class TableStorage(BaseStorage):
    """Messages in the database, as some projects have them."""

    def _get(self):
        return [Message(constants.INFO, each.name) for each in Author.objects.all()], True

    def _store(self, messages, response):
        Author.objects.exclude(name__in=[each.message for each in messages]).delete()
        return []


def test_messages_stay_unread(new_chain, book, settings):
    settings.MESSAGE_STORAGE = f"{__name__}.TableStorage"
    chain = new_chain()
    Author.objects.create(name="saved")
    job = render_job("reading_messages", book)
    assert [run(chain, job).payload for _ in range(2)] == ['["saved"]'] * 2


def test_messages_in_the_session_stay_unread(chain, ann, settings):
    waiting = MessageEncoder().encode([Message(constants.INFO, "saved")])
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    job = render_job("reading_messages", ann, cookie=log_in(settings, ann, _messages=waiting))
    assert [run(chain, job).payload for _ in range(2)] == ['["saved"]'] * 2


# Cached pages


def test_a_cached_page_is_neither_taken_nor_put(render, book):
    cache.clear()
    job = {"path": "/cached/"}
    assert render(view("cached"), book, **job).payload == '"1"'
    Book.objects.create(title="Other")
    assert render(view("cached"), book, **job).payload == '"2"'
    assert not cache._cache


def test_the_sites_own_cache_middleware(new_chain, book, settings):
    cache.clear()
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    chain = new_chain()
    job = render_job(view("shelf"), book, path="/shelf/")
    assert run(chain, job).payload == '"Emma"'
    Book.objects.update(title="Persuasion")
    assert run(chain, job).payload == '"Persuasion"'
    assert not cache._cache
