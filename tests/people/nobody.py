"""A project without users, for tests in a process of their own."""

from tests.people.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.sessions", "serverpush"]
AUTH_USER_MODEL = "auth.User"
