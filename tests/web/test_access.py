"""What the site reports of access that has ended, or may have."""

import asyncio
import pickle
import time
from contextlib import contextmanager
from contextlib import suppress as suppress_error

import pytest
from django.contrib.auth import alogout, authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.handlers.wsgi import WSGIHandler
from django.core.serializers import deserialize, serialize
from django.db import connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path

from serverpush.client import suppress
from serverpush.protocol import Ending, Page, Visitor
from serverpush.renderer.requests import page_request
from serverpush.tokens import session_hash
from serverpush.web import access
from serverpush.web.answers import Answer, awaited
from serverpush.web.outbox import outbox
from tests.people.process import printed

pytestmark = pytest.mark.django_db(transaction=True)

COOKIE = "sessionid"


class Stopped(BaseException):
    """Ends a request without a response."""


def reported_so_far():
    return 0


class Replacing:
    """A middleware whose response is its own."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.get_response(request)
        return HttpResponse("replaced")


class Unwanted(Exception):
    """Ends a transaction that is to be rolled back."""


@contextmanager
def rolled_back():
    with suppress_error(Unwanted), transaction.atomic():
        yield
        raise Unwanted


def doubt(user):
    return Ending(doubtful=(str(user.pk),))


def changed(user, *others):
    return Ending(changed=(str(user.pk), *(str(each.pk) for each in others)))


def end(key):
    return Ending(sessions=(session_hash(key),))


def log_in(request, name):
    login(request, User.objects.get(username=name))
    return HttpResponse("in")


def log_out(request):
    logout(request)
    return HttpResponse("out")


async def log_out_async(request):
    await alogout(request)
    return HttpResponse("out")


def log_out_and_go_on(request):
    """What was reported when the view had logged out, and waited for the commit."""
    with transaction.atomic():
        logout(request)
    return HttpResponse(str(reported_so_far()))


async def log_out_and_go_on_async(request):
    await alogout(request)
    return HttpResponse(str(reported_so_far()))


def log_out_and_fail(request):
    logout(request)
    raise ZeroDivisionError


def log_out_and_exit(request):
    logout(request)
    raise Stopped


def log_out_and_stream(request):
    logout(request)
    return StreamingHttpResponse(str(reported_so_far()) for _ in range(1))


def delete(request):
    request.user.delete()
    return HttpResponse(str(reported_so_far()))


def save_ann(request):
    User.objects.get(username="ann").save()
    return HttpResponse(str(reported_so_far()))


def log_out_twice(request):
    """Rolled back, and then for good."""
    with suppress_error(Unwanted), transaction.atomic():
        logout(request)
        raise Unwanted
    return HttpResponse("still in")


def change_password(request):
    request.user.set_password("another")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse(str(reported_so_far()))


urlpatterns = [
    path("log-in/<str:name>/", log_in),
    path("log-out/", log_out),
    path("log-out/async/", log_out_async),
    path("log-out/rolled-back/", log_out_twice),
    path("change-password/", change_password),
    path("go-on/", log_out_and_go_on),
    path("go-on/async/", log_out_and_go_on_async),
    path("fail/", log_out_and_fail),
    path("exit/", log_out_and_exit),
    path("stream/", log_out_and_stream),
    path("delete/", delete),
    path("save-ann/", save_ann),
]


@pytest.fixture
def ann(settings):
    settings.ROOT_URLCONF = __name__
    return User.objects.create_user("ann", password="x")


@pytest.fixture
def bob():
    return User.objects.create_user("bob", password="x")


@pytest.fixture
def browser(ann, ended):
    """One that is logged in as ann, and where nothing was reported yet."""
    client = Client()
    client.get("/log-in/ann/")
    ended.clear()
    return client


def key(client):
    return client.cookies[COOKIE].value


def anew(browser, kind=Client):
    """The same browser, for which the middleware is loaded anew."""
    client = kind()
    client.cookies = browser.cookies
    return client


class TestSessions:
    @pytest.mark.parametrize("url", ["/log-out/", "/log-out/async/"])
    def test_logging_out_ends_the_session(self, browser, ended, url):
        before = key(browser)
        browser.get(url)
        assert ended == [end(before)]

    def test_logging_out_without_a_session_ends_nothing(self, ann, ended):
        Client().get("/log-out/")
        assert ended == []

    def test_a_logout_that_is_rolled_back_ends_nothing(self, browser, ended):
        browser.get("/log-out/rolled-back/")
        assert ended == []

    def test_a_logout_waits_for_the_commit(self, browser, ended):
        request = RequestFactory().get("/")
        request.session = SessionStore(key(browser))
        with transaction.atomic():
            logout(request)
            assert ended == []
        assert ended == [end(key(browser))]

    def test_a_request_without_a_session(self, ended):
        access._logged_out(User, RequestFactory().get("/"))
        access._logged_in(User, RequestFactory().get("/"))
        access._logged_out(User, None)
        assert ended == []

    def test_a_rendering_ends_no_session(self, browser, bob, ended):
        request = page_request(
            Page("/", host="testserver"),
            Visitor(cookie=f"{COOKIE}={key(browser)}"),
            by_script=True,
        )
        request.session = SessionStore(key(browser))
        login(request, bob, "django.contrib.auth.backends.ModelBackend")
        logout(request)
        assert ended == []

    def test_a_first_login_ends_nothing(self, ann, ended):
        Client().get("/log-in/ann/")
        assert ended == []

    def test_a_login_ends_the_session_of_nobody(self, ann, ended):
        session = SessionStore()
        session["basket"] = 1
        session.save()
        client = Client()
        client.cookies[COOKIE] = session.session_key
        client.get("/log-in/ann/")
        assert not Session.objects.filter(pk=session.session_key).exists()
        assert ended == [end(session.session_key)]

    def test_a_login_as_another_ends_the_session_before(self, browser, bob, ended):
        before = key(browser)
        browser.get("/log-in/bob/")
        assert key(browser) != before
        assert ended == [end(before)]

    def test_a_login_as_the_same_ends_nothing(self, browser, ended):
        before = key(browser)
        browser.get("/log-in/ann/")
        assert key(browser) == before
        assert ended == []

    def test_suppress_is_about_changes(self, browser, ended):
        with suppress():
            browser.get("/log-out/")
        assert len(ended) == 1


class TestAnswers:
    """What a request ends of its own is reported when its answer has left."""

    @pytest.fixture(autouse=True)
    def _so_far(self, ended, monkeypatch):
        monkeypatch.setitem(globals(), "reported_so_far", lambda: len(ended))

    @pytest.mark.parametrize("url", ["/go-on/", "/go-on/async/"])
    def test_a_logout(self, browser, ended, url):
        before = key(browser)
        assert browser.get(url).content == b"0"
        assert ended == [end(before)]

    @pytest.mark.parametrize("url", ["/go-on/", "/go-on/async/"])
    def test_on_the_loop(self, browser, ended, url):
        before = key(browser)
        response = asyncio.run(anew(browser, AsyncClient).get(url))
        assert response.content == b"0"
        assert ended == [end(before)]

    def test_not_before_the_response_is_closed(self, browser, ended, rf):
        handler = WSGIHandler()
        environ = rf.get("/log-out/", HTTP_COOKIE=f"{COOKIE}={key(browser)}").environ
        response = handler(environ, lambda status, headers: None)
        assert b"".join(response) == b"out"
        assert ended == []
        response.close()
        assert ended == [end(key(browser))]

    def test_another_response_goes_out(self, browser, ended, settings):
        settings.MIDDLEWARE = [f"{__name__}.Replacing", *settings.MIDDLEWARE]
        before = key(browser)
        assert anew(browser).get("/log-out/").content == b"replaced"
        assert ended == [end(before)]

    def test_a_view_that_fails(self, browser, ended):
        before = key(browser)
        browser.raise_request_exception = False
        assert browser.get("/fail/").status_code == 500
        assert ended == [end(before)]

    def test_a_view_that_is_stopped(self, browser, ended):
        before = key(browser)
        with pytest.raises(Stopped):
            browser.get("/exit/")
        assert ended == [end(before)]

    def test_a_stream_is_not_waited_for(self, browser, ended):
        before = key(browser)
        response = browser.get("/stream/")
        assert ended == [end(before)]
        assert b"".join(response) == b"1"

    def test_changing_ones_own_password(self, browser, ann, ended):
        assert browser.get("/change-password/").content == b"0"
        assert ended == [doubt(ann)]

    def test_deleting_oneself(self, browser, ann, ended):
        assert browser.get("/delete/").content == b"0"
        assert ended == [Ending(users=(str(ann.pk),))]

    def test_another_user_does_not_wait(self, browser, bob, ann, ended):
        browser.get("/log-in/bob/")
        assert browser.get("/save-ann/").content == b"2"
        assert ended[1:] == [doubt(ann)]

    def test_nor_does_one_who_is_not_asked_for(self, browser, ann, ended):
        assert browser.get("/save-ann/").content == b"1"

    def test_what_is_ended_later_goes_out_at_once(self, rf, ended):
        with Answer(rf.get("/")) as answer:
            answer.response = HttpResponse()
        answer.put(end("later"))
        assert ended == [end("later")]

    def test_one_answer_within_another(self, rf, ended):
        with Answer(rf.get("/")) as outer:
            with Answer(rf.get("/")) as inner:
                assert awaited() is inner
            assert awaited() is outer
        assert awaited() is None

    def test_without_the_middleware(self, browser, ended, settings):
        settings.MIDDLEWARE = settings.MIDDLEWARE[:-1]
        assert anew(browser).get("/go-on/").content == b"1"

    def test_a_failing_close_does_not_keep_it(self, rf, ended):
        request = rf.get("/")
        request.close = lambda: 1 / 0
        with Answer(request) as answer:
            answer.put(end("it"))
            answer.response = HttpResponse()
        with pytest.raises(ZeroDivisionError):
            request.close()
        assert ended == [end("it")]


class TestUsers:
    def test_a_save_puts_in_doubt(self, ann, ended):
        ann.set_password("another")
        ann.save()
        ann.is_active = False
        ann.save(update_fields=["is_active"])
        assert ended == [doubt(ann)] * 2

    def test_changing_ones_own_password(self, browser, ann, ended):
        browser.get("/change-password/")
        assert ended == [doubt(ann)]

    def test_a_creation_and_a_login_do_not(self, ended, ann):
        ended.clear()
        User.objects.create_user("bob", password="x")
        Client().get("/log-in/ann/")
        ann.refresh_from_db()
        assert ann.last_login
        assert ended == []

    def test_a_better_hash_of_the_same_password_does(self, ann, ended, settings):
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]
        assert authenticate(username="ann", password="x")
        assert ended == [doubt(ann)]

    def test_deleting(self, ann, bob, ended):
        keys = sorted(str(each.pk) for each in (ann, bob))
        User.objects.filter(pk=ann.pk).delete()
        bob.delete()
        assert sorted(each.users[0] for each in ended) == keys

    def test_a_cascade(self, ended, ann):
        key = str(ann.pk)
        ann.delete()
        assert ended == [Ending(users=(key,))]

    def test_nothing_before_the_commit_and_nothing_after_a_rollback(self, ann, ended):
        with rolled_back():
            ann.save()
        with rolled_back():
            User.objects.get(pk=ann.pk).delete()
        assert ended == []
        with transaction.atomic():
            ann.save()
            assert ended == []
        assert ended == [doubt(ann)]

    def test_neither_suppress_nor_the_models_that_are_reported_matter(self, ann, ended, settings):
        settings.SERVERPUSH_MODELS = ()
        with suppress():
            ann.save()
        assert ended == [doubt(ann)]
        ann.delete()
        assert len(ended) == 2

    def test_a_failing_outbox_does_not_fail_the_transaction(self, ann, monkeypatch):
        def fail(entry):
            raise ZeroDivisionError

        monkeypatch.setattr(outbox, "put", fail)
        with transaction.atomic():
            ann.groups.add(Group.objects.create(name="readers"))
            ann.save()
        assert ann.groups.count() == 1

    def test_it_costs_no_query(self, ann, ended):
        with CaptureQueriesContext(connection) as captured:
            ann.save()
        assert len(captured) == 1
        assert ended

    def test_connecting_twice_reports_once(self, ann, ended):
        access.connect()
        ann.save()
        assert len(ended) == 1


class TestRights:
    """What a user is by flags, told even if nobody is connected to be looked at."""

    @pytest.fixture
    def ann(self, ann, ended):
        return User.objects.get(pk=ann.pk)

    def flip(self, user):
        return Ending(changed=(str(user.pk),), doubtful=(str(user.pk),))

    @pytest.mark.parametrize("name", ["is_staff", "is_superuser"])
    def test_a_flag_that_flips(self, ann, ended, name):
        for value in (True, False):
            user = User.objects.get()
            setattr(user, name, value)
            user.save()
        assert ended == [self.flip(ann)] * 2

    def test_it_is_told_once(self, ann, ended):
        ann.is_staff = True
        ann.save()
        ann.save()
        ann.is_staff = False
        ann.save()
        assert ended == [self.flip(ann), doubt(ann), self.flip(ann)]

    def test_what_is_not_saved(self, ann, ended):
        ann.is_staff = True
        ann.save(update_fields=["first_name"])
        ann.save(update_fields=["last_login"])
        assert ended == [doubt(ann)]
        ann.save()
        assert ended == [doubt(ann), self.flip(ann)]

    def test_what_was_rolled_back_is_told_when_it_is_saved_again(self, ann, ended):
        ann.is_staff = True
        with rolled_back():
            ann.save()
        assert ended == []
        ann.save()
        assert ended == [self.flip(ann)]

    def test_a_user_who_was_made_here(self, ended):
        user = User(username="bob")
        user.is_staff = True
        user.save()
        assert ended == []
        user.save()
        assert ended == [doubt(user)]
        user.is_superuser = True
        user.save()
        assert ended == [doubt(user), self.flip(user)]

    def test_it_says_when_it_was_committed(self, ann, ended):
        before = time.time()
        with transaction.atomic():
            ann.is_staff = True
            ann.save()
            saved = time.time()
        assert before <= saved <= ended[-1].at <= time.time()

    def test_a_user_who_was_loaded_in_part(self, ann, ended):
        with CaptureQueriesContext(connection) as captured:
            user = User.objects.only("username").get()
        assert len(captured) == 1
        user.save()
        assert ended == [doubt(ann)]
        # What it was before is not known then.
        user.is_staff = False
        user.save()
        assert ended == [doubt(ann), self.flip(ann)]

    def test_a_user_who_was_loaded_again(self, ann, ended):
        user = User.objects.get()
        ann.is_staff = True
        ann.save()
        user.refresh_from_db()
        user.is_staff = False
        user.save()
        ended.clear()
        User.objects.filter(pk=ann.pk).update(is_staff=True)
        user.refresh_from_db(fields=["is_staff"])
        user.save()
        assert ended == [self.flip(ann)]

    def test_a_pickled_user(self, ann, ended):
        user = pickle.loads(pickle.dumps(User.objects.get()))
        user.save()
        user.is_superuser = True
        user.save()
        assert ended == [doubt(ann), self.flip(ann)]

    def test_a_fixture(self, ann, ended):
        ann.is_staff = True
        fixture = serialize("json", [ann])
        for each in deserialize("json", fixture):
            each.save()
        assert ended == [self.flip(ann)]

    def test_a_user_who_is_deactivated_is_looked_at(self, ann, ended):
        ann.is_active = False
        ann.save()
        assert ended == [doubt(ann)]

    def test_a_proxy(self, ann, ended):
        class Reader(User):
            class Meta:
                proxy = True
                app_label = "project"

        try:
            access.connect()
            reader = Reader.objects.get()
            reader.save()
            reader.is_staff = True
            reader.save()
            assert ended == [doubt(ann), self.flip(ann)]
        finally:
            forget(Reader)


def forget(model):
    """Take a test's own model out of the registry."""
    from django.apps import apps

    del apps.all_models["project"][model._meta.model_name]
    apps.clear_cache()


class TestPermissions:
    @pytest.fixture
    def ann(self, ann):
        return User.objects.get(pk=ann.pk)

    @pytest.fixture
    def group(self):
        return Group.objects.create(name="readers")

    @pytest.fixture
    def permission(self):
        return Permission.objects.first()

    def test_a_users_groups_and_permissions(self, ann, group, permission, ended):
        for relation, other in ((ann.groups, group), (ann.user_permissions, permission)):
            ended.clear()
            relation.add(other)
            relation.remove(other)
            relation.set([other])
            relation.clear()
            assert ended == [changed(ann)] * 4

    def test_a_groups_users(self, ann, bob, group, ended):
        group.user_set.add(ann)
        group.user_set.remove(ann)
        group.user_set.add(bob)
        assert ended == [changed(ann), changed(ann), changed(bob)]

    def test_a_group_that_loses_all_its_users(self, ann, bob, group, ended):
        group.user_set.add(ann, bob)
        ended.clear()
        group.user_set.clear()
        assert [sorted(each.changed) for each in ended] == [sorted([str(ann.pk), str(bob.pk)])]

    def test_a_permissions_users(self, ann, permission, ended):
        permission.user_set.add(ann)
        permission.user_set.clear()
        assert ended == [changed(ann)] * 2

    def test_what_is_there_already(self, ann, group, ended):
        ann.groups.add(group)
        ended.clear()
        ann.groups.add(group)
        group.user_set.add(ann)
        assert ended == []

    def test_a_clear_that_is_rolled_back(self, ann, group, ended):
        group.user_set.add(ann)
        ended.clear()
        with rolled_back():
            group.user_set.clear()
        assert ended == []

    def test_a_groups_own_permissions_are_left_to_the_sweep(self, ann, group, permission, ended):
        ann.groups.add(group)
        ended.clear()
        group.permissions.add(permission)
        assert ended == []


REPORTED = """
    from serverpush.web.outbox import outbox

    reported = []
    outbox.put = reported.append
"""


def test_users_of_a_projects_own():
    told = printed(
        "settings",
        REPORTED
        + """
    from serverpush.protocol import Ending
    from tests.people.models import Member

    ann = Member.objects.create(name="ann")
    key = str(ann.pk)
    ann.save()
    ann.delete()
    print([each for each in reported if isinstance(each, Ending)]
          == [Ending(doubtful=(key,)), Ending(users=(key,))])
    """,
    )
    assert told == ["True"]


def test_a_project_without_users():
    told = printed(
        "nobody",
        REPORTED
        + """
    from django.contrib.sessions.models import Session
    Session.objects.create(session_key="a" * 32, expire_date="2100-01-01T00:00Z").delete()
    print(reported)
    """,
    )
    assert told == ["[]"]


def test_a_password_change_arrives(notifier):
    ann = User.objects.create_user("ann")
    ann.set_password("another")
    ann.save()
    while (batch := notifier.next_batch())["path"] != "/disconnect":
        continue
    assert batch["doubtful"] == [str(ann.pk)]
