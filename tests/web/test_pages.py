"""The page record: when it is made, what is in it, and where it goes."""

import gzip
import json
import logging
import re
import time

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from serverpush import pages as shared
from serverpush.exceptions import InvalidUpdate, UpdateFailed
from serverpush.tokens import session_hash, verify_page
from serverpush.web import pages
from tests.project.models import Book
from tests.web import views

pytestmark = pytest.mark.django_db

SCRIPT = '<script src="/static/serverpush/serverpush.js" defer></script>'
RECORD = re.compile(r'<script id="serverpush-page" type="application/json">(.*?)</script>')


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = "tests.web.urls"
    views.CALLS.clear()
    pages._LOGGED.clear()


@pytest.fixture
def answer(client):
    """The page that a response of one's own makes."""

    def get(response, **more):
        views.answered.response = lambda request: response
        return client.get("/answered/", **more)

    return get


def record_of(response):
    found = RECORD.findall(response.content.decode(response.charset))
    assert len(found) == 1, response.content
    return json.loads(found[0])


def page_of(response):
    return verify_page(record_of(response)["page"])


def is_untouched(response):
    return b"serverpush" not in response.content


class TestRecord:
    def test_a_page_with_updates_gets_record_and_script_before_its_body_ends(self, client):
        response = client.get("/page/")
        text = response.content.decode()
        assert RECORD.sub("RECORD", text) == (
            f"<!doctype html><html><body><p>Hello</p>RECORD{SCRIPT}</body></html>"
        )

    def test_what_the_page_says(self, client):
        before = time.time()
        response = client.get("/page/7/word/?a=1&b=%20", headers={"host": "localhost:8000"})
        page = page_of(response)
        assert (page.path, page.query, page.host) == (
            "/page/7/word/",
            "a=1&b=%20",
            "localhost:8000",
        )
        assert (page.secure, page.script, page.zone) == (False, "", "America/Chicago")
        assert before - 0.001 <= page.time <= page.recorded <= time.time()
        assert [each.name for each in page.dependencies] == ["book"]
        assert (page.session, page.user) == ("", "")
        assert record_of(response)["since"] == f"{page.time:.3f}"

    def test_the_update_function_gets_the_views_arguments_once(self, client):
        response = client.get("/page/7/word/")
        assert [(response.wsgi_request, (), {"number": 7, "word": "word"})] == views.CALLS

    def test_path_and_script_name_apart(self, client):
        page = page_of(client.get("/page/", SCRIPT_NAME="/site"))
        assert (page.script, page.path) == ("/site", "/page/")

    def test_https(self, client):
        assert page_of(client.get("/page/", secure=True)).secure

    def test_the_language_of_the_view(self, client):
        page = page_of(client.get("/page/", headers={"accept-language": "de"}))
        assert page.language == "de"

    def test_no_updates_no_record(self, client):
        assert is_untouched(client.get("/plain/"))
        assert is_untouched(client.get("/quiet/"))

    def test_generators_and_coroutines_of_both_kinds(self, client):
        names = [each.name for each in page_of(client.get("/generating/")).dependencies]
        assert names == ["one", "two"]
        names = [each.name for each in page_of(client.get("/on_loop_generating/")).dependencies]
        assert names == ["one", "two"]
        Book.objects.create(title="Emma")
        names = [each.name for each in page_of(client.get("/on_loop/")).dependencies]
        assert names == ["books1"]

    def test_what_a_template_shows_is_what_the_record_says(self, client):
        response = client.get("/templated/")
        shown = re.search(r"<body>([\d.]+)<", response.content.decode())[1]
        assert shown == record_of(response)["since"]

    def test_the_record_cannot_be_broken_out_of(self, client, settings):
        settings.SERVERPUSH_URL = "//a/</script><!--"
        response = client.get("/page/")
        assert record_of(response)["server"] == "//a/</script><!--"

    def test_the_query_cannot_break_out_either(self, client):
        response = client.get("/page/?a=</script><!--<script>")
        assert page_of(response).query == "a=</script><!--<script>"
        assert response.content.count(b"<script") == 2

    @pytest.mark.parametrize(
        ("setting", "value", "host", "server"),
        [
            ("PORT", 8013, "localhost:8000", None),
            ("PORT", 9000, "localhost:8000", "http://localhost:9000"),
            ("PORT", 9000, "localhost", "http://localhost:9000"),
            ("PORT", 9000, "[::1]:8000", "http://[::1]:9000"),
            ("PORT", 0, "localhost", None),
            ("URL", "", "localhost", ""),
            ("URL", "https://push.example.org", "localhost", "https://push.example.org"),
        ],
    )
    def test_the_address_to_connect_to(self, client, settings, setting, value, host, server):
        settings.ALLOWED_HOSTS = ["localhost", "[::1]"]
        setattr(settings, f"SERVERPUSH_{setting}", value)
        assert record_of(client.get("/page/", headers={"host": host}))["server"] == server

    def test_the_address_of_a_secure_page_is_secure(self, client, settings):
        settings.SERVERPUSH_PORT = 9000
        assert record_of(client.get("/page/", secure=True))["server"] == "https://testserver:9000"


class TestGlobals:
    def test_they_join_each_pages_own(self, client, settings):
        settings.SERVERPUSH_GLOBALS = ["tests.web.views.sitewide"]
        names = [each.name for each in page_of(client.get("/page/7/word/")).dependencies]
        assert names == ["book", "author"]

    def test_they_make_any_page_live(self, client, settings):
        settings.SERVERPUSH_GLOBALS = ("tests.web.views.sitewide",)
        assert len(page_of(client.get("/plain/")).dependencies) == 1

    def test_they_get_the_views_arguments_where_they_take_them(self, client, settings):
        settings.SERVERPUSH_GLOBALS = ["tests.web.views.sitewide_with_arguments"]
        response = client.get("/page/7/word/")
        assert views.CALLS[1] == (response.wsgi_request, (), {"number": 7, "word": "word"})

    def test_coroutine_functions(self, client, settings):
        settings.SERVERPUSH_GLOBALS = ["tests.web.views.sitewide_on_loop"]
        assert len(page_of(client.get("/plain/")).dependencies) == 1

    def test_one_that_is_not_there_is_an_error(self, client, settings, caplog):
        settings.SERVERPUSH_GLOBALS = ["tests.web.views.nothing"]
        assert is_untouched(client.get("/plain/"))
        assert "tests.web.views.nothing" in caplog.text


class TestPlace:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ("<body>a</body>", "<body>a|</body>"),
            ("<BODY>a</BODY >", "<BODY>a|</BODY >"),
            ("<html><p>a", "<html><p>a|"),
            ("<!DOCTYPE html><p>a", "<!DOCTYPE html><p>a|"),
            ("<body class='x'>a", "<body class='x'>a|"),
            ("<script>'</body>'</script>a</body>", "<script>'</body>'</script>a|</body>"),
            ("<p>a</p>", None),
            ("", None),
            ("<bodyguard>", None),
        ],
    )
    def test_where_it_goes(self, answer, body, expected):
        response = answer(HttpResponse(body))
        if expected is None:
            assert response.content.decode() == body
            assert views.CALLS == []
        else:
            text = RECORD.sub("", response.content.decode()).replace(SCRIPT, "|")
            assert text == expected

    @pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16", "shift_jis"])
    def test_the_charset_of_the_response(self, answer, charset):
        response = answer(
            HttpResponse(
                "<body>ß</body>" if charset != "shift_jis" else "<body>ソ</body>",
                content_type=f"text/html; charset={charset}",
            )
        )
        assert page_of(response).dependencies
        text = response.content.decode(charset)
        assert RECORD.sub("", text) in (f"<body>{x}{SCRIPT}</body>" for x in "ßソ")

    def test_a_charset_that_lies_leaves_the_page_as_it_is(self, answer):
        response = answer(
            HttpResponse(b"<body>\xd8</body>", content_type="text/html; charset=utf-16")
        )
        assert response.content == b"<body>\xd8</body>"
        response = answer(
            HttpResponse(b"<body></body>", content_type="text/html; charset=nonsense")
        )
        assert response.content == b"<body></body>"

    def test_content_length_is_put_right(self, answer):
        response = answer(HttpResponse("<body></body>", headers={"Content-Length": "13"}))
        assert response["Content-Length"] == str(len(response.content))
        assert len(response.content) > 13

    @pytest.mark.parametrize(
        "headers",
        [
            {"Content-Type": "application/json"},
            {"Content-Type": "text/plain; charset=utf-8"},
            {"Content-Encoding": "br"},
            {"Content-Range": "bytes 0-12/99"},
            {"Content-Disposition": "attachment; filename=a.html"},
        ],
    )
    def test_what_is_no_page_is_left_alone(self, answer, headers):
        response = answer(HttpResponse(views.BODY, headers=headers))
        assert response.content.decode() == views.BODY
        assert views.CALLS == []

    @pytest.mark.parametrize("status", [204, 205, 206, 304, 400, 403, 404, 500])
    def test_a_page_that_nobody_can_see_is_not_asked_for_updates(self, answer, status):
        response = answer(HttpResponse(views.BODY, status=status))
        assert is_untouched(response)
        assert views.CALLS == []

    @pytest.mark.parametrize("path", ["/redirect/", "/streaming/", "/file/"])
    def test_responses_without_a_text(self, client, path):
        response = client.get(path)
        if response.streaming:
            assert b"".join(response.streaming_content).decode() == views.BODY
        assert views.CALLS == []

    @pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
    def test_other_methods_than_get_and_head(self, client, method):
        assert is_untouched(getattr(client, method)("/page/"))
        assert views.CALLS == []

    def test_head_asks_for_the_updates_too(self, client):
        response = client.head("/page/")
        assert response.content == b""
        assert len(views.CALLS) == 1

    def test_inside_gzip(self, answer, settings):
        settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
        body = f"<body>{'a' * 5000}</body>"
        response = answer(HttpResponse(body), headers={"accept-encoding": "gzip"})
        assert response["Content-Encoding"] == "gzip"
        assert b"serverpush-page" in gzip.decompress(response.content)


class TestTag:
    SOURCE = "{% load serverpush %}<body><i>{% serverpush_scripts %}</i>{% serverpush_scripts %}"

    def test_the_first_gets_it_and_others_vanish(self, client):
        text = client.get("/templated/", {"source": self.SOURCE}).content.decode()
        assert RECORD.sub("RECORD", text) == f"<body><i>RECORD{SCRIPT}</i>"

    def test_it_works_in_a_fragment(self, client):
        source = "{% load serverpush %}<p>{% serverpush_scripts %}</p>"
        assert page_of(client.get("/templated/", {"source": source}))

    def test_a_page_without_updates_gets_a_record_without_any(self, client):
        response = client.get("/tagged/")
        assert page_of(response).dependencies == ()
        assert RECORD.sub("RECORD", response.content.decode()) == f"<p>RECORD{SCRIPT}</p>"

    def test_the_answer_to_a_post_says_that_its_url_gives_another_page(self, client):
        before = time.time()
        response = client.post("/tagged/")
        assert page_of(response).dependencies == ()
        record = record_of(response)
        assert record["again"] is False
        assert before - 0.001 <= float(record["since"]) <= time.time()
        assert "again" not in record_of(client.get("/tagged/"))

    def test_without_a_record_the_script_says_where_to_connect(self, client, settings, caplog):
        settings.SERVERPUSH_URL = "/live"
        settings.SERVERPUSH_GLOBALS = [f"{views.__name__}.failing_update"]
        settings.DEBUG = False
        assert 'data-server="/live"' in client.get("/tagged/").content.decode()
        assert "is served without live updates" in caplog.text

    def test_inject_false_leaves_only_the_tag(self, client, settings):
        settings.SERVERPUSH_INJECT = False
        assert is_untouched(client.get("/page/"))
        assert views.CALLS == []
        assert page_of(client.get("/templated/", {"source": self.SOURCE}))


class TestNonce:
    def test_django_csps(self, rf):
        request = rf.get("/")
        request.csp_nonce = "a&b"
        assert 'nonce="a&amp;b"' in pages._script(request)

    def test_a_nonce_that_is_made_when_it_is_read(self, rf):
        class Nonce(SimpleLazyObject):
            def __bool__(self):
                return False

        request = rf.get("/")
        request.csp_nonce = Nonce(lambda: "made")
        assert 'nonce="made"' in pages._script(request)

    def test_djangos_own(self, rf, monkeypatch):
        request = rf.get("/")
        monkeypatch.setattr(pages, "get_nonce", lambda request: "own")
        assert 'nonce="own"' in pages._script(request)

    def test_none(self, rf):
        assert pages._script(rf.get("/")) == SCRIPT


class TestBinding:
    def test_a_public_page_stays_public(self, client):
        client.force_login(User.objects.create_user("ann"))
        response = client.get("/page/")
        assert "Cookie" not in response.get("Vary", "")
        assert not response.cookies
        page = page_of(response)
        assert (page.session, page.user) == ("", "")

    def test_a_page_whose_view_read_the_user(self, client):
        user = User.objects.create_user("ann")
        client.force_login(user)
        page = page_of(client.get("/with_user/"))
        assert page.session == session_hash(client.session.session_key)
        assert page.user == str(user.pk)

    def test_a_page_whose_update_function_read_the_user(self, client):
        user = User.objects.create_user("ann")
        client.force_login(user)
        response = client.get("/update_reads/")
        assert page_of(response).user == str(user.pk)
        assert "Cookie" in response["Vary"]

    def test_an_anonymous_visitor_without_a_session(self, client):
        response = client.get("/with_user/")
        page = page_of(response)
        assert (page.session, page.user) == ("", "")
        assert not response.cookies

    def test_a_session_that_this_response_creates_counts_by_its_key(self, client):
        response = client.get("/with_session/")
        key = response.cookies["sessionid"].value
        assert page_of(response).session == session_hash(key)
        assert client.get("/with_user/").cookies == {}

    def test_a_session_without_a_user(self, client):
        client.get("/with_session/")
        page = page_of(client.get("/with_user/"))
        assert page.session == session_hash(client.session.session_key)
        assert page.user == ""

    def test_a_cookie_of_no_session_binds_to_nothing(self, client):
        client.cookies["sessionid"] = "x" * 32
        page = page_of(client.get("/with_user/"))
        assert (page.session, page.user) == ("", "")

    def test_a_renderers_page_saves_no_session(self, rf, settings):
        request = rf.get("/")
        request.session = SessionStore()
        request.session["a"] = 1
        request.user = AnonymousUser()
        page = shared.build_page(request, (), time=1, recorded=2)
        assert (page.session, request.session.session_key) == ("", None)

    def test_a_user_without_a_session_binds_all_the_same(self, rf):
        request = rf.get("/")
        request.session = SessionStore()
        assert request.session.get("a") is None
        request.user = User(pk=5)
        page = shared.build_page(request, (), time=1, recorded=2)
        assert (page.session, page.user) == ("", "5")

    def test_a_session_that_is_its_own_cookie_binds_only_its_user(self, client, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        user = User.objects.create_user("ann")
        client.force_login(user)
        page = page_of(client.get("/with_user/"))
        assert (page.session, page.user) == ("", str(user.pk))
        client.logout()
        page = page_of(client.get("/with_session/"))
        assert (page.session, page.user) == ("", "")

    def test_without_sessions_at_all(self, rf):
        page = shared.build_page(rf.get("/a/"), (), time=1, recorded=2)
        assert (page.session, page.user, page.path) == ("", "", "/a/")


class TestCached:
    def test_a_page_from_the_cache_is_as_old_as_it_is(self, client, monkeypatch):
        client.get("/cached/")
        now = time.time()
        # Both the cache and the middleware ask this clock.
        monkeypatch.setattr(time, "time", lambda: now + 30)
        response = client.get("/cached/")
        assert views.CALLS.count("view") == 1
        assert now - 3 < page_of(response).time < now

    @pytest.mark.parametrize(("age", "seconds"), [("0", 1), ("12", 13), ("-5", 1), ("x", 0)])
    def test_age(self, age, seconds):
        assert pages._age(HttpResponse(headers={"Age": age})) == seconds


class TestErrors:
    def test_an_error_in_the_update_function_does_not_break_the_page(self, client, caplog):
        for _ in range(3):
            assert client.get("/failing/").content.decode() == views.BODY
        (record,) = [each for each in caplog.records if each.name == "serverpush"]
        assert record.levelno == logging.ERROR
        assert "tests.web.views.failing_update raised LookupError" in record.getMessage()
        assert "/failing/" in record.getMessage()
        assert record.exc_info[0] is LookupError

    def test_an_invalid_update_does_not_either(self, client, caplog):
        assert client.get("/wrong/").content.decode() == views.BODY
        (record,) = [each for each in caplog.records if each.name == "serverpush"]
        assert "tests.web.views.wrong_update, entry 1, 'name': 'not fine'" in record.getMessage()
        assert record.exc_info is None

    def test_under_debug_they_are_raised(self, client, settings):
        settings.DEBUG = True
        with pytest.raises(UpdateFailed, match="failing_update raised LookupError") as caught:
            client.get("/failing/")
        assert isinstance(caught.value.__cause__, LookupError)
        with pytest.raises(InvalidUpdate, match="wrong_update, entry 1"):
            client.get("/wrong/")
        with pytest.raises(UpdateFailed, match="halfway"):
            client.get("/generating_badly/")

    def test_a_host_that_is_not_allowed_does_not_break_the_page(self, client, settings):
        settings.MIDDLEWARE = ["serverpush.middleware.ServerPushMiddleware"]
        response = client.get("/page/", headers={"host": "elsewhere.example.org"})
        assert response.status_code == 200
        assert is_untouched(response)

    def test_a_missing_manifest_does_not_break_the_page(self, client, settings, caplog):
        settings.STORAGES = {
            "staticfiles": {
                "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
            }
        }
        settings.STATIC_ROOT = "/nowhere"
        assert is_untouched(client.get("/page/"))
        assert client.get("/tagged/").status_code == 200
        assert "serverpush.js" in caplog.text

    def test_what_was_logged_is_remembered_within_bounds(self, rf, monkeypatch, caplog):
        monkeypatch.setattr(pages, "_LOGGED_LIMIT", 10)
        for number in range(25):
            pages._log_once(rf.get("/"), LookupError(str(number)))
        assert len(pages._LOGGED) <= 10
        assert len(caplog.records) == 25


def test_the_timestamp_without_the_middleware_is_now():
    before = time.time()
    shown = float(pages.generated_timestamp(RequestFactory().get("/")))
    assert before - 0.001 <= shown <= time.time()
