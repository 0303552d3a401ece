"""The examples of the migration pages, as they stand there, in Chromium against the demo."""

from __future__ import annotations

import os
import re
import sys
import time

import pytest
from playwright.sync_api import expect

from tests.live.processes import ROOT, Process, wait_until

from .test_demo import free_ports

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("migrating")
    ports = dict(zip(("PORT", "PUSH_PORT", "NOTIFIER_PORT"), free_ports(3), strict=True))
    environ = {
        **os.environ,
        **ports,
        "DEMO_DATABASE": str(folder / "demo.sqlite3"),
        "XDG_STATE_HOME": str(folder / "state"),
        "DJANGO_SETTINGS_MODULE": "tests.migrating.settings",
        "MIGRATING_FOLDER": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    process = Process([sys.executable, str(ROOT / "demo" / "run.py")], environ)
    try:
        yield Site(process.wait_for(r"The demo is ready: (http://[^/]+)/")[1], folder)
    finally:
        assert process.stop() == 0, process.output


class Site:
    """The demo with the examples in it."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder

    def printed(self):
        path = self.folder / "printed"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def open_page(site, window):
    def open_page(system, number=0, user=""):
        """An example's page in a window of its own, and what its console gets."""
        page = window(f"{site.url}/in/{user}/" if user else f"{site.url}/", wait=False)
        page.told = []
        # The browser's own words have no arguments.
        page.on("console", lambda message: message.args and page.told.append(_values(message)))
        page.goto(f"{site.url}/example/{system}/{number}/")
        page.wait_for_selector("html[data-serverpush=connected]", state="attached")
        return page

    return open_page


def _values(message):
    return [argument.json_value() for argument in message.args]


@pytest.fixture
def call(site, window):
    page = window(f"{site.url}/", wait=False)

    def call(path):
        assert page.request.get(f"{site.url}{path}").ok

    return call


def told(page, *messages):
    """Wait until this is what the page was told in all."""
    expected = [[message] for message in messages]
    until = time.monotonic() + 20
    while page.told != expected and time.monotonic() < until:
        # Playwright hears of the console only while it is waited for.
        page.wait_for_timeout(20)
    assert page.told == expected


def test_pushnote(open_page, call):
    ada, grace, nobody = (open_page("pushnote", user=user) for user in ("ada", "grace", ""))
    token = re.search(r'serverpush.user\("(.+)"\)', open_page("pushnote", 1, "ada").content())[1]
    device = open_page("pushnote")
    device.evaluate("(token) => serverpush.user(token)", token)
    call("/call/pushnote/1/")
    for page in (ada, device):
        told(page, {"msg": "Hi, ada!"})
    call("/call/pushnote/0/")
    for page in (ada, device):
        told(page, {"msg": "Hi, ada!"}, {"msg": "Hi all!"})
    for page in (grace, nobody):
        told(page, {"msg": "Hi all!"})


def test_djazator(open_page, call):
    ada, grace = open_page("djazator", user="ada"), open_page("djazator", user="grace")
    call("/call/djazator/1/")
    told(ada, {"msg": "Hi, ada!"})
    call("/call/djazator/0/")
    told(ada, {"msg": "Hi, ada!"}, {"msg": "Hi all!"})
    told(grace, {"msg": "Hi all!"})


def test_django_pushserver(open_page, call, site):
    ada, nobody = open_page("django-pushserver", user="ada"), open_page("django-pushserver")
    came = ["Subscribed ada some_channel_id", "Subscribed AnonymousUser some_channel_id"]
    wait_until(lambda: sorted(site.printed()) == sorted(came), "both are subscribed")
    call("/call/django-pushserver/0/")
    for page in (ada, nobody):
        told(page, 42)
    ada.goto("about:blank")
    left = [*came, "Unsubscribed ada some_channel_id"]
    wait_until(lambda: sorted(site.printed()) == sorted(left), "one has left", 60)


@pytest.mark.parametrize("api", [0, 1], ids=["tastypie", "rest_framework"])
def test_django_pushy(open_page, call, api):
    call(f"/choose/{api}/")
    call("/save/Solaris/")
    page = open_page("django-pushy")
    expect(page.locator("#title")).to_have_text("Solaris")
    call("/save/Fiasco/")
    expect(page.locator("#title")).to_have_text("Fiasco")
    page.evaluate(
        "() => { serverpush.on('route', ({ body }) => body && (document.title = body.title)); }"
    )
    call("/call/django-pushy/2/")
    expect(page).to_have_title("Dunes")
