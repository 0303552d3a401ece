"""The three serializers, and each way in which one comes to nothing."""

import datetime as dt
import importlib
import json
import logging

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.utils import timezone, translation

from serverpush.protocol import Serializer, Visitor
from serverpush.renderer.jobs import run
from serverpush.results import RenderResult
from serverpush.tokens import session_hash
from tests.project.models import Author, Book, Note
from tests.renderer import views
from tests.renderer.conftest import log_in, render_job, view

pytestmark = pytest.mark.django_db

FIELDS = Serializer("fields", reads_request=False)


def done(value):
    return RenderResult("done", json.dumps(value, separators=(",", ":"), ensure_ascii=False))


# Field maps


def test_field_map(render, book):
    data = {"title": "object.title", "price": "object.stock|add:2", "who": "object.author.name"}
    assert render(FIELDS, book, data=data) == done({"price": 2, "title": "Emma", "who": None})


def test_a_list_of_fields(render, book):
    assert render(FIELDS, book, data=["title", "pk"]) == done({"title": "Emma", "pk": book.pk})


def test_a_field_map_reads_request_and_data(render, ann, settings):
    data = {"me": "request.user.username", "text": "data.text"}
    result = render(FIELDS, ann, data=data, cookie=log_in(settings, ann))
    assert result == done({"me": "ann", "text": "data.text"})


def test_a_missing_path_leaves_the_others_and_is_logged_once(render, book, caplog):
    data = {"title": "object.title", "no": "object.nothing"}
    other = Book.objects.create(title="Other")
    assert render(FIELDS, book, data=data, name="shelf") == done({"no": None, "title": "Emma"})
    assert render(FIELDS, other, data=data, name="shelf") == done({"no": None, "title": "Other"})
    assert len(caplog.records) == 1
    for part in ("'shelf'", "'object.nothing'", "project.Book", str(book.pk)):
        assert part in caplog.text


def test_a_missing_path_of_another_update_is_logged_too(render, book, caplog):
    for name in ("one", "two"):
        render(FIELDS, book, data={"no": "object.nothing"}, name=name)
    assert len(caplog.records) == 2


def test_a_field_that_json_cannot_hold_is_named(render, book):
    book.author = Author.objects.create(name="Jane")
    book.save()
    result = render(FIELDS, book, data={"title": "object.title", "who": "object.author"})
    assert result.status == "failed"
    assert "'who' gave what JSON can't hold" in result.error


# Functions


def test_function(render, ann):
    assert render("hello_serializer", ann) == done("Hey, ann!")


def test_what_json_can_hold(render, book):
    assert render("everything", book, data={"a": [1, None]}) == done(
        {
            "title": "Emma",
            "date": "2026-01-02",
            "time": "2026-01-02T03:04:05Z",
            "price": "1.50",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "lazy": "Monday",
            "data": {"a": [1, None]},
        }
    )


def test_a_coroutine_function(render, book):
    assert render("awaiting", book) == done("Emma")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("failing", "raised ValueError: no luck with Emma"),
        ("nan", "gave what JSON can't hold"),
        ("unserializable", "gave what JSON can't hold"),
        ("circular", "gave what JSON can't hold"),
        ("half_a_pair", "gave text with half of a surrogate pair"),
        ("leaving", "raised SystemExit: 3"),
        ("interrupted", "raised KeyboardInterrupt"),
        ("renamed_since", "is not there to be called"),
    ],
)
def test_a_failure_names_update_instance_and_reason(render, book, name, reason, caplog):
    result = render(name, book, name="shelf")
    assert result.status == "failed"
    assert result.error.startswith(f"update 'shelf' of project.Book {book.pk}: ")
    assert f"tests.renderer.views:{name} {reason}" in result.error
    # The push server logs the error: once is enough.
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_a_failure_names_its_place(render, book):
    line = views.failing.__code__.co_firstlineno + 1
    assert f"(tests/renderer/views.py, line {line})" in render("failing", book).error.replace(
        views.__file__, "tests/renderer/views.py"
    )


def test_the_next_job_is_done_after_a_failure(render, book):
    render("leaving", book)
    assert render("awaiting", book) == done("Emma")


def test_a_function_that_refuses(render, book):
    assert render("not_found", book) == RenderResult("refused")


# Instances


@pytest.mark.parametrize("pk", [999_999, "abc", 10**30])
def test_an_instance_that_is_no_more(render, book, pk):
    assert render("everything", book, pk=pk) == RenderResult("gone")


def test_an_instance_that_the_default_manager_hides(render):
    note = Note.everything.create(text="x", hidden=True)
    assert render("key_only", note) == RenderResult("gone")


def test_a_stand_in_for_what_is_removed(render, book, caplog):
    Book.objects.all().delete()
    assert render("key_only", book, present=False) == done([book.pk, "project.Book", None])
    data = {"key": "object.pk", "title": "object.title", "who": "object.author.name"}
    expected = done({"key": book.pk, "title": None, "who": None})
    assert render(FIELDS, book, present=False, data=data) == expected
    assert not caplog.records


def test_the_stand_in_reaches_a_view(render, ann):
    user = User(pk=77)
    result = render(view("positional", reads_object=True), user, path="/named/x/", present=False)
    assert result.payload == '"x None"'


# Views


def test_the_seeds_view_gets_instance_and_data(render, ann, settings):
    result = render(
        view("hello", True), ann, path="/hello/", data={"a": 1}, cookie=log_in(settings, ann)
    )
    assert json.loads(result.payload) == "Hey, ann! ann {'a': 1}"


def test_a_view_that_takes_no_object_runs_without_one(render, book, django_assert_num_queries):
    pk = book.pk
    Book.objects.create(title="Other")
    with django_assert_num_queries(1):
        result = render(view("shelf"), book, path="/ask/", pk=pk + 1000)
    assert result == done("Emma,Other")


@pytest.mark.parametrize("path", ["/named/x/", "/placed/x/"])
def test_what_the_url_gives_is_not_given_twice(render, ann, path):
    assert render(view("positional", True), ann, path=path, data=5).payload == '"x 5"'


def test_what_partial_binds_is_not_given_twice(render, ann):
    assert render(view("positional", True), ann, path="/bound/", data=5).payload == '"bound 5"'


def test_a_class_runs_as_the_url_has_it(render, book):
    result = render(view("Board"), book, path="/board/")
    assert result.payload == '"tasks: 1"'
    assert [each.name for each in result.page.dependencies] == ["board"]


def test_another_view_runs_as_its_own_url_has_it(render, book):
    assert render(view("Board"), book, path="/shelf/") == done("tasks: 1")


def test_a_coroutine_view(render, book):
    assert render(view("asynchronous"), book, path="/asynchronous/").payload == '"1 books"'


def test_a_template_response(render, book):
    assert render(view("templated"), book, path="/templated/").payload == '"/templated/"'


@pytest.mark.parametrize(
    ("name", "path", "payload"),
    [
        ("as_json", "/json/", '{"n":1,"text":"é"}'),
        ("latin", "/latin/", '"é"'),
        ("streamed", "/streamed/", '"aé"'),
        ("streamed_asynchronously", "/streamed-asynchronously/", '"ab"'),
    ],
)
def test_the_kinds_of_response(render, book, name, path, payload):
    assert render(view(name), book, path=path).payload == payload


@pytest.mark.parametrize(
    ("name", "path", "reason"),
    [
        ("not_json", "/not-json/", "gave a JSON response that is none (NaN is not JSON)"),
        ("image", "/image/", "gave a response of type 'image/png'"),
        ("broken", "/broken/", "raised ValueError: no luck"),
    ],
)
def test_a_view_that_fails(render, book, name, path, reason):
    result = render(view(name), book, path=path)
    assert (result.status, result.page) == ("failed", None)
    assert reason in result.error


@pytest.mark.parametrize("name", ["missing", "forbidden", "moved"])
def test_a_response_that_is_no_success_is_refused(render, book, name, caplog):
    assert render(view(name), book, path=f"/{name}/") == RenderResult("refused")
    assert not caplog.records


def test_a_decorator_of_the_module_refuses(render, book):
    assert render(view("private"), book, path="/private/") == RenderResult("refused")


def test_a_decorator_of_the_urlconf_refuses(render, book, ann, settings):
    for path in ("/guarded/", "/shelf/"):
        assert render(view("ask_members"), book, path=path) == RenderResult("refused")
    cookie = log_in(settings, ann)
    assert render(view("ask_members"), book, path="/guarded/", cookie=cookie).status == "done"


def test_a_url_that_is_no_more_is_refused(render, book):
    assert render("everything", book, path="/no/such/") == RenderResult("refused")


# The page anew


def test_the_pages_own_view_brings_its_dependencies_anew(render, book):
    page = render(view("shelf"), book, path="/shelf/", query="a=1").page
    assert (page.path, page.query) == ("/shelf/", "a=1")
    assert [each.name for each in page.dependencies] == ["shelf"]
    assert 0 < page.time <= page.recorded


def test_another_view_leaves_the_page(render, book):
    assert render(view("shelf"), book, path="/ask/").page is None


def test_where_the_update_function_raises_nobody_knows_what_to_follow(render, book):
    result = render(view("raising"), book, path="/raising/")
    assert (result.status, result.page) == ("failed", None)
    assert result.error.startswith("page /raising/: ")
    assert "raising_update raised ValueError" in result.error


# Who may see it


def test_a_page_of_a_user_is_for_that_user(render, book, ann, bob, settings):
    cookie = log_in(settings, ann)
    assert render("awaiting", book, cookie=cookie, user=str(ann.pk)) == done("Emma")
    assert render("awaiting", book, cookie=cookie, user=str(bob.pk)) == RenderResult("refused")
    assert render("awaiting", book, user=str(ann.pk)) == RenderResult("refused")


def test_a_user_who_is_deactivated_is_refused(render, book, ann, settings):
    cookie = log_in(settings, ann)
    User.objects.update(is_active=False)
    assert render("awaiting", book, cookie=cookie, user=str(ann.pk)) == RenderResult("refused")


ENGINES = ["db", "cache", "cached_db", "file"]


@pytest.fixture(params=ENGINES)
def bound(request, settings, tmp_path, new_chain):
    """Render for an anonymous page that is bound to a session; the session comes with it."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    session = importlib.import_module(settings.SESSION_ENGINE).SessionStore()
    session["cart"] = 1
    session.save()
    chain = new_chain()

    def render_one(instance, serializer="awaiting", key=session.session_key, **more):
        page = {"session": session_hash(session.session_key), **more}
        return run(chain, render_job(serializer, instance, cookie=f"sessionid={key}", **page))

    return render_one, session


def test_a_page_of_a_session_is_for_that_session(bound, book):
    render_one, session = bound
    assert render_one(book) == done("Emma")
    assert render_one(book, key="") == RenderResult("refused")
    other = type(session)()
    other.save()
    assert render_one(book, key=other.session_key) == RenderResult("refused")


def test_a_page_of_a_session_that_is_no_more_is_refused(bound, book):
    render_one, session = bound
    session.delete()
    assert render_one(book) == RenderResult("refused")


def test_a_page_of_a_session_that_expired_is_refused(bound, book):
    render_one, session = bound
    session.set_expiry(timezone.now() - dt.timedelta(hours=1))
    session.save()
    assert render_one(book) == RenderResult("refused")


def test_asking_for_the_session_marks_nothing(bound, book):
    render_one, _ = bound
    assert render_one(book, "marks_of_the_session") == done([False, False])


def test_a_page_of_a_session_where_there_are_none_is_refused(new_chain, book, settings):
    settings.MIDDLEWARE = []
    job = render_job("awaiting", book, session=session_hash("x" * 32))
    assert run(new_chain(), job) == RenderResult("refused")


def test_a_page_of_a_user_whose_session_is_its_cookie(new_chain, book, ann, bob, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    chain = new_chain()
    for cookie in (log_in(settings, ann), log_in(settings, ann, visits=2)):
        job = render_job("awaiting", book, cookie=cookie, user=str(ann.pk))
        assert run(chain, job) == done("Emma")
        job = render_job(view("with_user"), book, cookie=cookie, path="/with-user/")
        page = run(chain, job).page
        assert (page.session, page.user) == ("", str(ann.pk))
    for cookie in (log_in(settings, bob), ""):
        job = render_job("awaiting", book, cookie=cookie, user=str(ann.pk))
        assert run(chain, job) == RenderResult("refused")


# Language and time zone


LONDON = Visitor(accept_language="en")
MONTH = {"month": "object.published|date:'F'"}


def test_a_rendering_is_in_the_pages_language(render, book):
    Book.objects.update(published=dt.date(2026, 5, 1))
    more = {"visitor": LONDON, "language": "de"}
    assert render(FIELDS, book, data=MONTH, **more) == done({"month": "Mai"})
    assert render("month", book, **more) == done("Mai")
    assert render("month_in_a_template", book, **more) == done("Mai")


def test_a_page_that_has_no_language_takes_the_visitors(render, book):
    Book.objects.update(published=dt.date(2026, 5, 1))
    visitor = Visitor(accept_language="de")
    assert render(FIELDS, book, data=MONTH, visitor=visitor) == done({"month": "Mai"})


def test_a_view_runs_in_the_pages_language_too(render, book):
    """Whatever the visitor's browser asks for by now: pages that share it are alike in that."""
    result = render(view("language"), book, path="/language/", visitor=LONDON, language="de")
    assert result.payload == '"de"'


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        ("Asia/Tokyo", "21"),
        ("", "07"),
        # Of a zone that the project made itself, that no system has, and no name at all.
        ("+0530", "07"),
        ("Atlantis/Capital", "07"),
        ("America", "07"),
        ("../etc/passwd", "07"),
        ("\0", "07"),
    ],
)
def test_a_rendering_is_in_the_pages_time_zone(render, ann, settings, zone, hour):
    settings.TIME_ZONE = "America/New_York"
    User.objects.update(date_joined=dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC))
    data = {"hour": "object.date_joined|date:'H'"}
    assert render(FIELDS, ann, data=data, zone=zone) == done({"hour": hour})


def test_what_a_rendering_chose_ends_with_it(render, book):
    before = translation.get_language(), timezone.get_current_timezone_name()
    render("failing", book, language="de", zone="Asia/Tokyo")
    assert (translation.get_language(), timezone.get_current_timezone_name()) == before


# Middleware


def closed(get_response):
    return lambda request: HttpResponse("closed for today")


def test_an_answer_before_the_serializer_is_a_refusal(new_chain, book, settings):
    settings.MIDDLEWARE = [f"{__name__}.closed"]
    chain = new_chain()
    assert run(chain, render_job("awaiting", book)) == RenderResult("refused")
    assert run(chain, render_job(view("shelf"), book, path="/shelf/")) == RenderResult("refused")


def test_login_required_middleware_refuses(new_chain, book, ann, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    chain = new_chain()
    assert run(chain, render_job("awaiting", book)) == RenderResult("refused")
    cookie = log_in(settings, ann)
    assert run(chain, render_job("awaiting", book, cookie=cookie)) == done("Emma")


def test_middleware_undoes_what_it_did_even_for_system_exit(new_chain, book, settings):
    settings.MIDDLEWARE = [f"{__name__}.counted"]
    chain = new_chain()
    inside.clear()
    for name in ("leaving", "failing", "awaiting"):
        run(chain, render_job(name, book))
    assert inside == ["in", "out"] * 3


inside = []


def counted(get_response):
    def middleware(request):
        inside.append("in")
        response = get_response(request)
        inside.append("out")
        return response

    return middleware


def test_a_payload_that_no_client_may_get_goes_no_further(render, book, settings):
    settings.SERVERPUSH_SEND_BUFFER = 10
    result = render("everything", book)
    assert (result.status, result.payload) == ("failed", "")
    assert "SERVERPUSH_SEND_BUFFER is 10" in result.error
