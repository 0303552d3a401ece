"""The settings of the renderer processes that tests start: views of their own."""

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE as _MIDDLEWARE

ROOT_URLCONF = "tests.renderer.urls"
MIDDLEWARE = [each for each in _MIDDLEWARE if not each.startswith("serverpush.")]
