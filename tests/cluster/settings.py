"""A live site whose push servers share a log in Redis: pages, messages, rooms.

``LIVE_LET_GO``: seconds after which a server that is cut off closes its clients.
``LIVE_CLOCK_AHEAD``: by which the clock of the push server's machine is wrong.
"""

import os
import time
from types import SimpleNamespace

from serverpush.server import clock, cluster
from tests.live.settings_rooms import *  # noqa: F403

ROOT_URLCONF = "tests.cluster.urls"
cluster.LET_GO_SECONDS = float(os.environ.get("LIVE_LET_GO", cluster.LET_GO_SECONDS))
AHEAD = float(os.environ.get("LIVE_CLOCK_AHEAD", "0"))
clock.time = SimpleNamespace(time=lambda: time.time() + AHEAD, monotonic=time.monotonic)
