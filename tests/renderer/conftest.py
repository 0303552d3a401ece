"""A chain of the project's middleware, and jobs with little to say."""

import importlib

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.middleware.cache import FetchFromCacheMiddleware

from serverpush.jobs import RenderJob
from serverpush.protocol import Page, Serializer, Visitor, dump
from serverpush.renderer import once
from serverpush.renderer.jobs import run
from serverpush.renderer.sessions import ReadOnlySession
from serverpush.renderer.worker import start
from tests.project.models import Book

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ROOT_URLCONF = "tests.renderer.urls"
    settings.MIDDLEWARE = MIDDLEWARE
    settings.SERVERPUSH_MODELS = ()
    once.forget()


@pytest.fixture
def new_chain(monkeypatch, settings):
    """Start a chain as the process does; what that replaces is put back afterwards."""

    def start_chain():
        engine = importlib.import_module(settings.SESSION_ENGINE)
        monkeypatch.setattr(engine, "SessionStore", engine.SessionStore)
        fetch = FetchFromCacheMiddleware
        monkeypatch.setattr(fetch, "process_request", fetch.process_request)
        return start()

    return start_chain


@pytest.fixture
def chain(new_chain):
    return new_chain()


@pytest.fixture
def book(db):
    return Book.objects.create(title="Emma")


@pytest.fixture
def render(chain, request):
    def render_one(serializer, instance, **more):
        return run(chain, render_job(serializer, instance, **more))

    return render_one


def render_job(serializer, instance, *, path="/ask/", data=None, present=True, **more):
    """A job by a serializer's name in ``views``, or its dotted name, or a ``Serializer``."""
    if isinstance(serializer, str):
        serializer = Serializer("function", f"tests.renderer.views:{serializer}")
    visitor = more.pop("visitor", Visitor(more.pop("cookie", "")))
    more = {"host": "testserver", **more}
    return RenderJob(
        name=more.pop("name", "event"),
        model=instance._meta.label_lower,
        pk=more.pop("pk", instance.pk),
        present=present,
        serializer=serializer,
        data=dump(data),
        page=Page(path=path, **more),
        visitor=visitor,
    )


def view(name, reads_object=False):
    return Serializer("view", f"tests.renderer.views:{name}", reads_object=reads_object)


def log_in(settings, user, **data):
    """A cookie header of a session where ``user`` is logged in, as the site makes it."""
    store = importlib.import_module(settings.SESSION_ENGINE).SessionStore
    if issubclass(store, ReadOnlySession):
        (store,) = set(store.__bases__) - {ReadOnlySession}
    session = store()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.update(data)
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


@pytest.fixture
def ann(db):
    return User.objects.create_user("ann", password="x")


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob", password="x")
