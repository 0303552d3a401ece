"""The demo's settings, and a REST API of each kind."""

from demosite.settings import *  # noqa: F403
from demosite.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "tastypie"]
ROOT_URLCONF = "tests.migrating.urls"
