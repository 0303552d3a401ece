"""A URLconf that can't be imported."""

from tests.renderer.settings import *  # noqa: F403

ROOT_URLCONF = "tests.renderer.no_such_module"
