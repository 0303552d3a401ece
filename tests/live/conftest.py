"""One live site for the tests of a module."""

from __future__ import annotations

import pytest

from .processes import Live


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A site with one gunicorn worker and a push server, with an author and a user."""
    live = Live(tmp_path_factory.mktemp("live"))
    try:
        live.manage("migrate", "--run-syncdb", "--verbosity", "0")
        live.start_push()
        live.start_site()
        live.shell(
            "from django.contrib.auth.models import User\n"
            "from tests.project.models import Author\n"
            "Author.objects.create(pk=1, name='Selma')\n"
            "User.objects.create_user('ada', password='ada')\n"
            "User.objects.create_user('grace', password='grace')\n"
        )
        yield live
    finally:
        live.stop()
