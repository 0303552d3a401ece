"""A wrong value."""

from tests.renderer.settings import *  # noqa: F403

SERVERPUSH_PORT = "eighty"
