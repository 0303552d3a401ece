"""One job leaves nothing for the next."""

import contextvars
import json
import random

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import connection
from django.urls import get_script_prefix, get_urlconf
from django.utils import timezone, translation

from serverpush.jobs import AccessJob, MatchJob, ResolveJob
from serverpush.protocol import Page, Serializer, Visitor
from serverpush.renderer import jobs
from serverpush.renderer.jobs import run
from tests.project.models import Book
from tests.renderer.conftest import log_in, render_job, view

pytestmark = pytest.mark.django_db

_note = contextvars.ContextVar("note", default="nothing")


def noting(request, book, data):
    before = _note.get()
    _note.set(data)
    return before


def here(name):
    return Serializer("function", f"{__name__}:{name}")


def test_language_and_time_zone_end_with_the_job(render, book):
    language, zone = translation.get_language(), timezone.get_current_timezone_name()
    german = Visitor(accept_language="de")
    results = [
        json.loads(render("leaking", book, visitor=visitor).payload)
        for visitor in (Visitor(), german, Visitor(), german)
    ]
    assert results == [["en", zone], ["de", zone]] * 2
    assert translation.get_language() == language
    assert timezone.get_current_timezone_name() == zone


def test_lazy_texts_are_in_the_visitors_language(render, book):
    visitors = (Visitor(accept_language="de"), Visitor())
    assert [render("lazy", book, visitor=each).payload for each in visitors] == [
        '"Montag"',
        '"Monday"',
    ]


def test_context_variables_end_with_the_job(render, book):
    results = [render(here("noting"), book, data="mine").payload for _ in range(2)]
    assert results == ['"nothing"'] * 2


def test_script_name_and_urlconf_end_with_the_job(render, book):
    assert render("awaiting", book, script="/app").status == "done"
    assert (get_script_prefix(), get_urlconf()) == ("/", None)


def test_the_script_name_is_in_reversed_urls(render, book):
    assert render(here("reversing"), book, script="/app").payload == '"/app/moved/"'
    assert render(here("reversing"), book).payload == '"/moved/"'


def reversing(request, book, data):
    from django.urls import reverse

    from tests.renderer import views

    return reverse(views.moved)


@pytest.mark.parametrize("status", ["done", "failed", "refused"])
def test_djangos_request_signals_surround_a_rendering(render, book, status):
    seen = []

    def note(signal, **kwargs):
        seen.append(signal)

    request_started.connect(note)
    request_finished.connect(note)
    name = {"done": "awaiting", "failed": "leaving", "refused": "not_found"}[status]
    try:
        assert render(name, book).status == status
    finally:
        request_started.disconnect(note)
        request_finished.disconnect(note)
    assert seen == [request_started, request_finished]


@pytest.mark.parametrize(("path", "deeper"), [("/ask/", 1), ("/loose/", 0)])
def test_atomic_requests(chain, book, monkeypatch, path, deeper):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    before = len(connection.savepoint_ids)
    result = run(chain, render_job(here("depth"), book, path=path))
    assert json.loads(result.payload) == before + deeper


def depth(request, book, data):
    return len(connection.savepoint_ids)


def test_users_never_see_each_others_data(chain, book, settings):
    users = [User.objects.create_user(f"user{number}") for number in range(8)]
    cookies = {each: log_in(settings, each, secret=f"of {each.username}") for each in users}
    order = random.Random(7)
    for _ in range(80):
        user = order.choice(users)
        job = render_job("whoami", book, cookie=cookies[user], user=str(user.pk))
        assert json.loads(run(chain, job).payload) == [user.username, f"of {user.username}"]
        private = render_job(view("private"), book, path="/private/", cookie=cookies[user])
        assert json.loads(run(chain, private).payload) == f"secret of {user.username}"
        nobody = run(chain, render_job("whoami", book))
        assert json.loads(nobody.payload) == ["", None]


def test_two_runs_give_equal_results(render, book):
    one, other = (render("everything", book, data={"b": 1, "a": 2}) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    "job",
    [
        MatchJob("project.book", 1, (), ()),
        render_job("awaiting", Book(pk=1)),
        ResolveJob(Page("/shelf/"), Visitor()),
        AccessJob((("a key", "1"),)),
    ],
    ids=lambda job: type(job).__name__,
)
def test_a_mistake_of_our_own_is_a_failed_result(chain, monkeypatch, caplog, job):
    def mistaken(*args):
        raise AssertionError("this can't be")

    for name in ("match", "render", "resolve", "check"):
        monkeypatch.setattr(jobs, name, mistaken)
    result = run(chain, job)
    assert "AssertionError: this can't be" in result.error
    assert len(caplog.records) == 1
