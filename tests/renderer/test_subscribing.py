"""What the project says of subscriptions, and what it is told of them."""

import contextlib

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.backends.dummy.base import DatabaseWrapper
from django.http import Http404, HttpResponse

from serverpush.client import send_update
from serverpush.jobs import SubscribeJob
from serverpush.messages import Message
from serverpush.protocol import Page, Visitor
from serverpush.renderer.jobs import run
from serverpush.results import SubscribeResult
from serverpush.signals import channel_subscribe, channel_unsubscribe
from serverpush.web.outbox import outbox
from tests.project.models import Book

from .conftest import MIDDLEWARE

pytestmark = pytest.mark.django_db

PAGE = Page("/room/", host="testserver")


def may_subscribe(request, channel_id):
    return channel_id == "open"


async def may_subscribe_in_a_while(request, channel_id):
    return may_subscribe(request, channel_id)


def members_only(get_response):
    """A middleware before all others: it does not even look whose session it is."""
    return lambda request: HttpResponse(status=403)


def in_need_of_repair(get_response):
    return lambda request: HttpResponse(status=500)


@pytest.fixture
def told():
    found = []

    def note(signal, request, channel_id, **kwargs):
        if channel_id == "broken":
            raise RuntimeError("no room")
        kind = "came" if signal is channel_subscribe else "left"
        found.append((kind, request.user.username, channel_id))

    for signal in (channel_subscribe, channel_unsubscribe):
        signal.connect(note)
    yield found
    for signal in (channel_subscribe, channel_unsubscribe):
        signal.disconnect(note)


def job(channel="news", **options):
    return SubscribeJob(channel, PAGE, Visitor(), **options)


def test_who_comes_and_goes_is_told(chain, told):
    assert run(chain, job(signal="subscribe")) == SubscribeResult(True)
    assert run(chain, job(signal="unsubscribe")) == SubscribeResult(True)
    assert told == [("came", "", "news"), ("left", "", "news")]


def test_whose_page_it_is_by_a_token(chain, told):
    ada = User.objects.create(username="ada")
    result = run(chain, job(user=str(ada.pk), signal="subscribe"))
    assert result == SubscribeResult(True, str(ada.pk), "ada")
    assert told == [("came", "ada", "news")]


@pytest.mark.parametrize("hook", [may_subscribe, may_subscribe_in_a_while])
def test_the_permission(chain, told, settings, hook):
    settings.SERVERPUSH_CHANNEL_PERMISSION = f"{__name__}.{hook.__name__}"
    assert run(chain, job("open", asks=True, signal="subscribe")).allowed
    assert run(chain, job("closed", asks=True, signal="subscribe")) == SubscribeResult(False)
    assert told == [("came", "", "open")], "of what is refused nobody is told"


def raises_denied(request, channel_id):
    raise PermissionDenied("not you")


def raises_not_found(request, channel_id):
    raise Http404("no such room")


@pytest.mark.parametrize("hook", [raises_denied, raises_not_found])
def test_the_permission_may_say_no_as_a_view_does(chain, told, settings, hook):
    settings.SERVERPUSH_CHANNEL_PERMISSION = f"{__name__}.{hook.__name__}"
    assert run(chain, job("open", asks=True, signal="subscribe")) == SubscribeResult(False)
    assert told == []


def test_a_receiver_may_say_no_as_a_view_does(chain, told, monkeypatch):
    def denies(channel_id, **kwargs):
        raise PermissionDenied

    channel_subscribe.connect(denies)
    try:
        assert run(chain, job(signal="subscribe")) == SubscribeResult(False)
    finally:
        channel_subscribe.disconnect(denies)


def test_what_a_receiver_raises_is_told_by_its_place(chain, told):
    result = run(chain, job("broken", signal="subscribe"))
    assert not result.allowed
    assert result.error.startswith("raised RuntimeError: no room (")


class TestTwoReceiversOfWhichOneRaises:
    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def messages(self, monkeypatch):
        found = []
        monkeypatch.setattr(outbox, "put", lambda entry: found.append(entry))
        return found

    @pytest.fixture
    def connect(self):
        connected = []

        def connect(signal, *receivers):
            for each in receivers:
                signal.connect(each)
                connected.append((signal, each))

        yield connect
        for signal, each in connected:
            signal.disconnect(each)

    @staticmethod
    def writes(channel_id, **kwargs):
        Book.objects.create(title=channel_id)
        send_update(channel_id, "somebody came")

    @staticmethod
    def raises(channel_id, **kwargs):
        if channel_id == "broken":
            raise RuntimeError("no room")

    @staticmethod
    def catches(channel_id, **kwargs):
        with contextlib.suppress(IntegrityError):
            Book.objects.create(title=None)

    def test_nothing_is_half_done_of_who_comes(self, chain, connect, messages):
        connect(channel_subscribe, self.writes, self.raises)
        for channel in ("broken", "broken", "whole"):
            result = run(chain, job(channel, signal="subscribe"))
            assert result.allowed == (channel == "whole")
        assert [each.title for each in Book.objects.all()] == ["whole"]
        assert [each.topics for each in messages if isinstance(each, Message)] == [
            ("channel:whole",)
        ]

    def test_nothing_is_taken_back_without_a_word(self, chain, connect, messages):
        connect(channel_subscribe, self.writes, self.catches)
        result = run(chain, job(signal="subscribe"))
        assert not result.allowed
        assert "raised TransactionManagementError: An error occurred" in result.error
        assert (Book.objects.count(), messages) == (0, [])

    def test_a_receiver_may_have_a_durable_block(self, chain, connect, messages):
        def durable(channel_id, **kwargs):
            with transaction.atomic(durable=True):
                Book.objects.create(title=channel_id)

        connect(channel_subscribe, durable)
        assert run(chain, job(signal="subscribe")).allowed
        assert Book.objects.count() == 1

    def test_a_project_may_have_no_database(self, chain, connect, messages, monkeypatch):
        found = []
        connect(channel_subscribe, lambda channel_id, **kwargs: found.append(channel_id))
        none = DatabaseWrapper({}, "default")
        monkeypatch.setattr(transaction, "get_connection", lambda using=None: none)
        assert run(chain, job(signal="subscribe")).allowed
        assert found == ["news"]

    def test_the_other_is_told_who_leaves(self, chain, connect, messages):
        connect(channel_unsubscribe, self.raises, self.writes)
        result = run(chain, job("broken", signal="unsubscribe"))
        name = f"{__name__}:{type(self).__name__}.raises"
        assert result.error.startswith(f"{name} raised RuntimeError: no room (")
        assert [each.title for each in Book.objects.all()] == ["broken"]


class TestMiddlewareThatLetsNobodyThrough:
    @pytest.fixture
    def chain(self, new_chain, settings):
        settings.MIDDLEWARE = [f"{__name__}.members_only", *MIDDLEWARE]
        return new_chain()

    def test_refuses_who_comes(self, chain, told):
        assert run(chain, job(signal="subscribe")) == SubscribeResult(False)
        assert told == []

    def test_does_not_keep_back_that_somebody_left(self, chain, told):
        ada = User.objects.create(username="ada")
        run(chain, job(user=str(ada.pk), signal="unsubscribe"))
        assert told == [("left", "ada", "news")]


@pytest.mark.parametrize(
    "more",
    [
        {"ALLOWED_HOSTS": ["www.example.org"]},
        {"ALLOWED_HOSTS": [".example.org", "*"], "PREPEND_WWW": True},
        {"ALLOWED_HOSTS": ["example.org"], "SECURE_SSL_REDIRECT": True},
    ],
)
def test_a_client_without_a_page_comes_as_to_the_site_itself(settings, new_chain, told, more):
    settings.MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        *MIDDLEWARE,
    ]
    for name, value in more.items():
        setattr(settings, name, value)
    asked = SubscribeJob("news", Page(""), Visitor(), "", False, "subscribe")
    assert run(new_chain(), asked) == SubscribeResult(True)
    assert told == [("came", "", "news")]


def test_a_site_that_does_not_answer_has_not_said_no(settings, new_chain, told):
    settings.MIDDLEWARE = [f"{__name__}.in_need_of_repair", *MIDDLEWARE]
    result = run(new_chain(), job(signal="subscribe"))
    assert not result.allowed
    assert "middleware answered 500 to /room/" in result.error
    assert told == []
