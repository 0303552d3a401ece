"""Middleware that does not exist."""

from tests.renderer.settings import *  # noqa: F403

MIDDLEWARE = ["tests.renderer.no_such_middleware"]
