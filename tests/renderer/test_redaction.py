"""No log line has what lets a visitor in, whatever an exception of the project says."""

import pytest
from django.urls import path

from serverpush.jobs import AccessJob, IdentifyJob, ResolveJob, SubscribeJob
from serverpush.protocol import Page, Serializer, Visitor
from serverpush.renderer import jobs
from serverpush.renderer.jobs import run
from serverpush.signals import channel_subscribe
from tests.renderer.conftest import render_job

pytestmark = pytest.mark.django_db

KEY = "l0v2w3c5t7n9k1m3x5z7"


def counting(request, book, data):
    return int(request.COOKIES["sessionid"])


def quoting(request, book, data):
    raise ValueError(request.META["HTTP_COOKIE"])


def telling(request, book, data):
    raise ValueError(data + request.COOKIES["sessionid"])


urlpatterns = [path("count/", counting, {"book": None, "data": None})]


@pytest.fixture
def error(chain, book):
    """What is said of a rendering that failed."""

    def error(function, cookie, **more):
        serializer = Serializer("function", f"{__name__}:{function.__name__}")
        result = run(chain, render_job(serializer, book, cookie=cookie, **more))
        assert result.status == "failed"
        return result.error

    return error


def test_a_serializer_that_takes_it_for_a_number(error):
    said = error(counting, f"theme=dark; sessionid={KEY}")
    assert "ValueError: invalid literal for int() with base 10: '…' (" in said


def test_all_of_them_and_those_of_one_name(error):
    said = error(quoting, f"sessionid={KEY}; csrftoken=abcdefgh; sessionid=of-another-path")
    assert "ValueError: sessionid=…; csrftoken=…; sessionid=… (" in said


@pytest.mark.parametrize("value", ['"in quotes; no"', "Mañana y más", "a b c d e"])
def test_what_else_may_stand_in_one(error, value):
    said = error(counting, f"sessionid={value}")
    assert "base 10: '…' (" in said


def test_short_ones_are_part_of_other_words(error):
    said = error(telling, "sessionid=1234567; a=e; b=raised; c=Value", data="it was ")
    assert "raised ValueError: it was 1234567 (" in said


@pytest.mark.parametrize("kept", range(8, len(KEY)))
def test_one_that_is_cut_off(error, kept):
    """The text of an exception has 300 characters at most."""
    said = error(telling, f"sessionid={KEY}", data="." * (300 - len("ValueError: ") - kept))
    assert ".… (" in said


def test_a_view_that_is_asked_by_url(chain, settings):
    settings.ROOT_URLCONF = __name__
    asked = ResolveJob(Page("/count/", host="testserver"), Visitor(f"sessionid={KEY}"))
    said = run(chain, asked).error
    assert said == "/count/: ValueError: invalid literal for int() with base 10: '…'"


def test_a_receiver_of_a_subscription(chain):
    def receive(request, **kwargs):
        counting(request, None, None)

    channel_subscribe.connect(receive)
    try:
        asked = SubscribeJob("news", Page("/"), Visitor(f"sessionid={KEY}"), signal="subscribe")
        said = run(chain, asked).error
    finally:
        channel_subscribe.disconnect(receive)
    assert "base 10: '…' (" in said


@pytest.mark.parametrize(
    ("name", "job"), [("check", AccessJob(((KEY, "1"),))), ("identify", IdentifyJob((KEY,)))]
)
def test_a_store_that_names_its_sessions(chain, monkeypatch, caplog, name, job):
    def fail(job):
        raise ConnectionError(f"nothing has sessions.{KEY}")

    monkeypatch.setattr(jobs, name, fail)
    assert run(chain, job).error.endswith("failed: ConnectionError: nothing has sessions.…")
    assert KEY not in caplog.text
