"""A live site whose channels have receivers, a permission hook and presence."""

from tests.live.settings import *  # noqa: F403

ROOT_URLCONF = "tests.live.views_rooms"
SERVERPUSH_CHANNELS = {"room-*": {"history": 3, "presence": True}}
SERVERPUSH_TOKENIZER = "tests.live.views_rooms.tokenizer"
SERVERPUSH_CHANNEL_PERMISSION = "tests.live.views_rooms.may_subscribe"
