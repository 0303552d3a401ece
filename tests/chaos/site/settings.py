"""The live test site's settings with the fault tests' own model and pages."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import DATABASES, INSTALLED_APPS

ROOT_URLCONF = "tests.chaos.site.urls"
# As many as there are by default.
SERVERPUSH_RENDERERS = 2
INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos.site.apps.SiteConfig"]
# The disk is not what is tested.
DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"
