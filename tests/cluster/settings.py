"""A live site whose push servers share a log in Redis: pages, messages, rooms.

``LIVE_LET_GO``: seconds after which a server that is cut off closes its clients.
"""

import os

from serverpush.server import cluster
from tests.live.settings_rooms import *  # noqa: F403

cluster.LET_GO_SECONDS = float(os.environ.get("LIVE_LET_GO", cluster.LET_GO_SECONDS))
ROOT_URLCONF = "tests.cluster.urls"
