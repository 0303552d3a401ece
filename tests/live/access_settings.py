"""The live test site with the pages of ``access_views``; ``LIVE_SWEEP`` makes it sweep sooner."""

import os

from serverpush.server.core import access
from tests.live.settings import *  # noqa: F403

access.SWEEP_SECONDS = float(os.environ.get("LIVE_SWEEP", access.SWEEP_SECONDS))
ROOT_URLCONF = "tests.live.access_urls"
