"""The live test site with a log that is full before the measuring begins."""

from tests.live.settings import *  # noqa: F403

SERVERPUSH_HISTORY_SIZE = 500
