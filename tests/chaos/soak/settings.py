"""The live test site with a log that is full before the measuring begins."""

from tests.live.settings import *  # noqa: F403

ROOT_URLCONF = "tests.live.urls_remote"
# As many as there are by default.
SERVERPUSH_RENDERERS = 2
SERVERPUSH_HISTORY_SIZE = 500
SERVERPUSH_CHANNELS = {"soak-*": {"history": 100, "presence": True}}
