"""A rendering may only read; what else it does is refused or named."""

import json
import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from serverpush.protocol import Serializer
from serverpush.renderer.jobs import run
from serverpush.renderer.writes import WriteGuard, is_write
from tests.project.models import Author, Book
from tests.renderer import views
from tests.renderer.conftest import log_in, render_job, view

pytestmark = pytest.mark.django_db

# A write that fails breaks the transaction that the tests' own would be in.
alone = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "sql",
    [
        'INSERT INTO "t" VALUES (1)',
        "  \n insert into t values (1)",
        "/* by */ UPDATE t SET a = 1",
        "-- by\nDELETE FROM t",
        "(DELETE FROM t)",
        "REPLACE INTO t VALUES (1)",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM x",
        "with x as (select 1) update t set a = 1",
        "EXPLAIN ANALYZE DELETE FROM t",
        "CREATE TABLE t (a int)",
        "TRUNCATE t",
        "MERGE INTO t USING s ON (1=1)",
    ],
)
def test_writing_statements(sql):
    assert is_write(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1",
        "SELECT a FROM t FOR UPDATE",
        "SELECT a FROM t FOR NO KEY UPDATE",
        "WITH x AS (SELECT 1) SELECT a FROM t FOR UPDATE",
        "WITH x AS (SELECT 1) SELECT a FROM t FOR NO  KEY\nUPDATE",
        "WITH x AS (SELECT 'DELETE FROM t') SELECT \"update\" FROM x",
        "SELECT 'INSERT INTO t'",
        "SAVEPOINT s1",
        "ROLLBACK TO SAVEPOINT s1",
        "RELEASE SAVEPOINT s1",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 10 FROM c",
        "PRAGMA foreign_keys",
        "SET search_path TO x",
        "SHOW x",
        "EXPLAIN SELECT 1",
    ],
)
def test_reading_statements(sql):
    assert not is_write(sql)


@alone
def test_a_write_is_refused_under_debug(render, book, settings):
    settings.DEBUG = True
    result = render("writing", book, name="shelf")
    assert result.status == "failed"
    assert result.error.startswith("update 'shelf' may only read, but its serializer runs")
    assert "INSERT INTO" in result.error
    assert not Author.objects.exists()


@alone
def test_a_write_that_the_serializer_hides_is_refused_too(render, book, settings):
    settings.DEBUG = True
    assert render("writing_quietly", book).status == "failed"
    assert not Author.objects.exists()


@pytest.mark.parametrize("name", ["many", "raw"])
def test_every_way_to_write(render, book, settings, name):
    settings.DEBUG = True
    result = render(Serializer("function", f"{__name__}:{name}"), book)
    assert (result.status, Author.objects.count()) == ("failed", 0)


def many(request, book, data):
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO project_author (name, email) VALUES (%s, '')", [["a"]])


def raw(request, book, data):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO project_author (name, email) VALUES ('a', '')")


def test_reading_with_a_lock_is_allowed(render, book, settings):
    settings.DEBUG = True
    result = render(Serializer("function", f"{__name__}:locking"), book)
    assert json.loads(result.payload) == "Emma"


def locking(request, book, data):
    from django.db import transaction

    with transaction.atomic():
        return Book.objects.select_for_update().get(pk=book.pk).title


def test_without_debug_a_write_is_carried_out_and_logged_once(render, book, caplog):
    for _ in range(2):
        assert render("writing", book, name="shelf").status == "done"
    assert Author.objects.count() == 2
    assert len(caplog.records) == 1
    assert "update 'shelf' may only read" in caplog.text


@alone
def test_a_view_that_writes_is_refused_under_debug(render, settings):
    settings.DEBUG = True
    author = Author.objects.create(name="Jane")
    result = render(view("counting"), author, path="/counting/")
    assert (result.status, result.page) == ("failed", None)
    assert Author.objects.count() == 1


def test_what_middleware_writes_is_not_the_pages_fault(new_chain, ann, settings, caplog):
    settings.DEBUG = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.last_seen"]
    chain = new_chain()
    job = render_job("hello_serializer", ann, cookie=log_in(settings, ann))
    assert run(chain, job).payload == '"Hey, ann!"'
    assert "UPDATE" in caplog.text
    assert User.objects.get().first_name == "seen"


def last_seen(get_response):
    def middleware(request):
        User.objects.filter(pk=request.user.pk).update(first_name="seen")
        return get_response(request)

    return middleware


def test_connections_are_watched_only_meanwhile(render, book):
    before = list(connection.execute_wrappers)
    render("writing", book)
    assert connection.execute_wrappers == before


def test_a_connection_that_is_opened_meanwhile_is_watched():
    guard = WriteGuard(render_job("writing", Book(pk=1)))
    seen = []

    def other_thread():
        with connections["default"].cursor():
            seen.append(guard in connections["default"].execute_wrappers)
        connections["default"].close()

    with guard.watching():
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_wrapper_of_the_projects_own_keeps_its_place():
    guard = WriteGuard(render_job("writing", Book(pk=1)))

    def own(execute, *args):
        return execute(*args)

    with connection.execute_wrapper(own):
        with guard.watching():
            assert connection.execute_wrappers == [guard, own]
        assert connection.execute_wrappers == [own]


def test_nothing_is_reported(render, book, monkeypatch):
    from serverpush import reporting

    seen = []
    monkeypatch.setattr(views, "writing", lambda *args: seen.append(reporting.is_suppressed()))
    render("writing", book)
    assert (seen, reporting.is_suppressed()) == ([True], False)
