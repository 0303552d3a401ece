"""What a rendering reads of its request is told with its result."""

from __future__ import annotations

import copy
import re
import threading

import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject

from serverpush.protocol import Page, Serializer, Visitor
from serverpush.renderer.jobs import run
from serverpush.renderer.notes import Notes
from serverpush.renderer.requests import page_request
from serverpush.results import EVERYTHING
from serverpush.tokens import session_hash
from tests.renderer import conftest
from tests.renderer.conftest import MIDDLEWARE, log_in

pytestmark = pytest.mark.django_db

VISITOR = Visitor("theme=dark; size=2", "de", "Browser/1.0", "192.0.2.7")
SESSION = {"cookie:sessionid"}
CSRF = {"cookie:csrftoken"}
VIEWS = "tests.renderer.views_notes"


def render_job(*args, language="en", **more):
    """For a page as the site renders them: in some language."""
    return conftest.render_job(*args, language=language, **more)


@pytest.fixture
def reads(chain, book):
    def reads(name, kind="function", path="/ask/", visitor=VISITOR, **page):
        serializer = Serializer(kind, f"{VIEWS}:{name}", reads_object=kind != "view")
        job = render_job(serializer, book, path=path, visitor=visitor, **page)
        result = run(chain, job)
        assert result.status == "done", result
        return set(result.reads)

    return reads


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("nothing", set()),
        ("by_host", set()),
        ("by_template", set()),
        ("by_path", {"path"}),
        ("by_full_path", {"path", "query"}),
        ("by_match", {"path"}),
        ("by_query", {"query"}),
        ("by_raw_query", {"query"}),
        ("by_cookie", {"cookie:theme"}),
        ("by_two_cookies", {"cookie:theme", "cookie:size"}),
        ("by_all_cookies", {"cookies"}),
        ("by_session", SESSION),
        ("by_session_key", SESSION),
        ("by_session_later", SESSION),
        ("by_user", SESSION),
        ("by_user_later", SESSION),
        ("by_user_in_template", SESSION),
        ("by_perms_in_template", SESSION),
        ("by_csrf", CSRF),
        ("by_csrf_in_template", CSRF),
        ("by_language_header", {"header:accept-language"}),
        ("by_browser", {"header:user-agent"}),
        ("by_address", {"address"}),
        ("by_all_headers", EVERYTHING),
        ("by_headers_as_text", EVERYTHING),
        ("by_whole_environ", EVERYTHING),
        ("by_another_environ", EVERYTHING),
        ("by_an_empty_session", SESSION),
        ("by_a_copied_session", SESSION),
        ("by_copied_headers", EVERYTHING),
        ("by_copied_attributes", EVERYTHING),
        ("by_a_cookie_that_it_deletes", {"cookie:theme"}),
        ("by_cookies_as_json", {"cookies"}),
        ("by_absolute_uri", {"path", "query"}),
        ("by_accepted_types", set()),
        ("by_language_code", set()),
    ],
)
def test_a_function(reads, name, noted):
    assert reads(name) == noted


def test_messages_are_in_a_cookie_where_there_is_one(reads):
    assert reads("by_messages_in_template") == {"cookie:messages"}


def test_a_field_map(chain, book):
    for path, noted in (
        ("object.title", set()),
        ("request.user.pk", SESSION),
        ("request.GET.a", {"query"}),
    ):
        job = render_job(Serializer("fields"), book, data={"x": path}, visitor=VISITOR)
        assert set(run(chain, job).reads) == noted


def test_a_view_depends_on_its_path(reads):
    assert reads("page", "view", "/notes/page/") == {"path", "query"}


def test_what_the_update_function_reads_counts_too(reads):
    assert reads("page_that_asks", "view", "/notes/asks/") == {"path", *SESSION}


def test_what_refuses_is_noted(chain, book):
    serializer = Serializer("view", f"{VIEWS}:members", reads_object=False)
    result = run(chain, render_job(serializer, book, path="/notes/members/", visitor=VISITOR))
    assert result.status == "refused"
    assert set(result.reads) >= SESSION


@pytest.fixture
def as_ann(settings, ann):
    """Ann's visitor, and what her page is bound to."""
    cookie = log_in(settings, ann)
    bound = {"session": session_hash(cookie.partition("=")[2]), "user": str(ann.pk)}
    return {"visitor": Visitor(cookie), **bound}


def test_a_page_that_is_for_one_session_depends_on_it(reads, as_ann):
    assert reads("nothing", **as_ann) == SESSION


def test_a_user_that_the_project_makes_is_noted_whoever_looks_first(
    settings, new_chain, book, as_ann
):
    settings.MIDDLEWARE = [*MIDDLEWARE, f"{VIEWS}.UserByTheme"]
    serializer = Serializer("function", f"{VIEWS}:by_user")
    visitor = Visitor(f"{as_ann.pop('visitor').cookie}; theme=dark")
    # The check of access has looked already.
    result = run(new_chain(), render_job(serializer, book, visitor=visitor, **as_ann))
    assert result.status == "done", result
    assert set(result.reads) == {"cookie:theme", *SESSION}


def test_that_there_are_no_cookies_is_noted_too(reads):
    assert reads("by_cookies_as_json", visitor=Visitor()) == {"cookies"}


def test_what_reads_cookies_past_their_methods_gets_nothing(chain, book):
    job = render_job(Serializer("function", f"{VIEWS}:past_their_methods"), book, visitor=VISITOR)
    result = run(chain, job)
    assert result.status == "failed"
    assert "dark" not in result.error


@pytest.mark.parametrize("factory", ["asks_by_view", "gives_one_that_asks_by_view"])
def test_a_factory_of_middleware_that_asks_by_view(settings, new_chain, book, factory):
    settings.MIDDLEWARE = [*MIDDLEWARE, f"{VIEWS}.{factory}"]
    serializer = Serializer("function", f"{VIEWS}:nothing")
    assert set(run(new_chain(), render_job(serializer, book, visitor=VISITOR)).reads) == {"path"}


def test_a_path_whose_pattern_is_the_projects(settings, new_chain, book):
    settings.ROOT_URLCONF = f"{VIEWS}_urls"
    settings.MIDDLEWARE = [f"{VIEWS}.RequestInAThread", *MIDDLEWARE]
    serializer = Serializer("function", f"{VIEWS}:nothing")
    chain = new_chain()
    job = render_job(serializer, book, path="/team/1/", visitor=Visitor("team=1"))
    result = run(chain, job)
    assert result.status == "done"
    assert {"path", "cookie:team"} <= set(result.reads)
    job = render_job(serializer, book, path="/team/1/", visitor=Visitor("team=2"))
    result = run(chain, job)
    assert (result.status, set(result.reads)) == ("refused", EVERYTHING)


def test_a_session_engine_of_the_projects_is_noted_when_it_is_made(settings, new_chain, book):
    settings.SESSION_ENGINE = f"{VIEWS}_sessions"
    settings.MIDDLEWARE = [f"{VIEWS}.RequestInAThread", *MIDDLEWARE]
    serializer = Serializer("function", f"{VIEWS}:nothing")
    result = run(new_chain(), render_job(serializer, book, visitor=VISITOR))
    assert set(result.reads) == {"cookie:theme", *SESSION}


def test_with_patterns_by_language_the_path_says_which(settings, new_chain, book):
    """A view may have gone over to another one, in which its own path is not found."""
    settings.ROOT_URLCONF = f"{VIEWS}_urls"
    locale = "django.middleware.locale.LocaleMiddleware"
    settings.MIDDLEWARE = [each for each in MIDDLEWARE if each != locale] + [locale]
    serializer = Serializer("function", f"{VIEWS}:nothing")
    job = render_job(serializer, book, path="/en/hello/", visitor=VISITOR, language="de")
    assert run(new_chain(), job).status == "done"


def test_a_csrf_token_that_is_kept_in_the_session(reads, settings):
    settings.CSRF_USE_SESSIONS = True
    assert reads("by_csrf_in_template") == SESSION


def test_a_path_that_is_no_more_fails_alone(chain, book):
    serializer = Serializer("function", f"{VIEWS}:nothing")
    result = run(chain, render_job(serializer, book, path="/no/such/", visitor=VISITOR))
    assert result.status == "refused"
    assert set(result.reads) == {"path"} or set(result.reads) == EVERYTHING


def test_what_djangos_own_middleware_refuses_is_for_one_alone(settings, new_chain, book):
    settings.PREPEND_WWW = True
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware", *MIDDLEWARE]
    serializer = Serializer("function", f"{VIEWS}:nothing")
    result = run(new_chain(), render_job(serializer, book, visitor=VISITOR))
    assert result.status == "refused"
    assert set(result.reads) == EVERYTHING


def test_a_page_of_no_language_has_what_its_request_asks_for(reads):
    noted = reads("by_language_code", language="")
    assert noted == {"cookie:django_language", "header:accept-language", "path"}


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_language_is_the_pages_from_the_middleware_on(settings, new_chain, book, language):
    locale = "django.middleware.locale.LocaleMiddleware"
    settings.MIDDLEWARE = [*MIDDLEWARE, locale, f"{VIEWS}.LanguageInAThread"]
    serializer = Serializer("function", f"{VIEWS}:by_a_languages_thread")
    visitor = Visitor("django_language=fr", "es")
    job = render_job(serializer, book, visitor=visitor, language=language)
    result = run(new_chain(), job)
    assert (result.payload, result.reads) == (f'["{language}","{language}"]', ())


def test_a_storage_of_messages_of_the_projects_own_is_noted(settings, new_chain, book):
    settings.MESSAGE_STORAGE = f"{VIEWS}.StorageByTheme"
    serializer = Serializer("function", f"{VIEWS}:nothing")
    result = run(new_chain(), render_job(serializer, book, visitor=VISITOR))
    assert set(result.reads) == {"cookie:theme"}


def test_a_pause_is_for_its_own_thread():
    notes = Notes()
    with notes.paused():
        thread = threading.Thread(target=notes.add, args=["path"])
        thread.start()
        thread.join()
        notes.add("query")
        with notes.resumed():
            notes.add("address")
    assert notes.sources == {"path", "address"}


@pytest.mark.parametrize(
    ("middleware", "name", "noted"),
    [
        ("PutsThere", "nothing", set()),
        ("PutsThere", "by_what_was_put_there", EVERYTHING),
        ("ThemeInAThread", "by_a_thread", {"cookie:theme"}),
        ("ThemeInAThread", "nothing", {"cookie:theme"}),
        ("LooksAtTheAnswer", "nothing", SESSION),
        ("AsksByView", "nothing", {"path"}),
    ],
)
def test_middleware_of_the_project(settings, new_chain, book, middleware, name, noted):
    settings.MIDDLEWARE = [*MIDDLEWARE, f"{VIEWS}.{middleware}"]
    serializer = Serializer("function", f"{VIEWS}:{name}")
    result = run(new_chain(), render_job(serializer, book, visitor=VISITOR))
    assert result.status == "done", result
    assert set(result.reads) == noted


def test_browsers_that_the_settings_refuse(reads, settings):
    settings.DISALLOWED_USER_AGENTS = [re.compile("Robot")]
    assert "header:user-agent" in reads("nothing")


class TestRequest:
    """What a project may do with a request it may do with this one."""

    @pytest.fixture
    def request_(self):
        return page_request(Page("/ask/", "a=1", host="testserver"), VISITOR, by_script=True)

    def test_a_copy_is_a_request_of_its_own(self, request_):
        other = copy.copy(request_)
        other.path, other.user = "/elsewhere/", "somebody"
        assert request_.path == "/ask/"
        assert not hasattr(request_, "user")
        assert not hasattr(request_, "session")

    def test_what_is_set_is_there(self, request_):
        request_.GET = request_.GET.copy()
        request_.GET["b"] = "2"
        request_.COOKIES = {"own": "1"}
        assert (request_.GET["b"], request_.COOKIES) == ("2", {"own": "1"})
        request_.encoding = "utf-8"
        assert request_.GET["a"] == "1"

    def test_the_environ_is_a_dict(self, request_):
        meta = request_.META
        assert dict(meta) == {**meta} == meta.copy() == meta | {}
        assert meta.setdefault("X", 1) == meta.pop("X") == 1
        assert "X" not in meta
        assert meta.pop("X", None) is None
        assert len(meta) == len(list(meta)) == len(meta.items())
        assert request_.serverpush_notes.sources == EVERYTHING

    def test_what_is_made_or_set_can_be_deleted(self, request_):
        request_.user = request_.session = request_._cached_user = "somebody"
        for name in ("user", "session", "_cached_user", "COOKIES", "headers", "GET"):
            getattr(request_, name)
            delattr(request_, name)
        assert not hasattr(request_, "user")
        assert request_.COOKIES["theme"] == "dark"

    def test_headers_can_be_changed_and_replaced(self, request_):
        request_.headers._store["x-tenant"] = ("X-Tenant", "a")
        assert request_.headers["X-Tenant"] == "a"
        request_.headers = {**request_.headers, "X-Tenant": "b"}
        assert request_.headers["X-Tenant"] == "b"

    def test_a_user_that_is_lazy_in_its_own_way_stays_so(self, request_):
        class Lazy(SimpleLazyObject):
            def is_employee(self):
                return True

        made = []
        request_.user = Lazy(lambda: made.append(1) or User(username="ann"))
        assert request_.user.is_employee()
        assert not made
        assert request_.serverpush_notes.sources == set()
        assert copy.copy(request_.user).username == "ann"
        assert request_.serverpush_notes.sources == SESSION

    def test_a_session_that_is_lazy_is_not_made_before_its_time(self, request_):
        made = []
        request_.session = SimpleLazyObject(lambda: made.append(1) or {})
        assert not made

    def test_headers_are_found_in_any_case(self, request_):
        assert request_.headers["user-AGENT"] == "Browser/1.0"
        assert request_.headers.get("Cookie") == "theme=dark; size=2"
        assert "Origin" not in request_.headers
        assert request_.serverpush_notes.sources == {"header:user-agent", "cookies"}
