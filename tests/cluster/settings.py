"""A live site whose push servers share a log in Redis: pages, messages, rooms."""

from tests.live.settings_rooms import *  # noqa: F403

ROOT_URLCONF = "tests.cluster.urls"
# Each server has its own.
SERVERPUSH_RENDERERS = 1
