"""One live site for the tests of a module."""

from __future__ import annotations

import pytest

from .browsers import Browser
from .processes import Live
from .visitors import Visitor


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A site with one gunicorn worker and a push server, with an author and a user."""
    with Live(tmp_path_factory.mktemp("live")) as live:
        live.start()
        live.add_people()
        yield live


@pytest.fixture
def browser(live):
    browsers = []

    def browser(name=""):
        browsers.append(Browser(live, name))
        return browsers[-1]

    yield browser
    for each in browsers:
        each.close()


@pytest.fixture
def visitor(live):
    """Makes visitors of a site that has the pages of ``views_messages``."""
    visitors = []

    def visitor(name=""):
        visitors.append(Visitor(live, name))
        return visitors[-1]

    yield visitor
    for each in visitors:
        each.session.close()
