"""Browsers with users, whose pages are connected until their access ends."""

from __future__ import annotations

import itertools
import re
import time

import requests

from .clients import Client, browse, refusal
from .processes import Live, wait_until

SECOND = 1.0
# The same where all other tests run beside it, which says nothing of a second.
BUSY = 10.0

_numbers = itertools.count(1)


def start_access_site(folder, **environ):
    """A live site with the pages of ``access_views``; ``LIVE_SWEEP`` in seconds."""
    live = Live(folder, {"DJANGO_SETTINGS_MODULE": "tests.live.access_settings", **environ})
    try:
        live.migrate()
        live.shell("from tests.project.models import Author; Author.objects.create(name='Selma')")
        live.start_push()
        live.start_site()
    except BaseException:
        live.stop()
        raise
    return live


class Browser:
    """A user's browser: its session, and connections of its pages."""

    def __init__(self, live, name=""):
        self.live = live
        self.name = name or f"user{next(_numbers)}"
        self.session = requests.Session()
        self.clients = []
        self.get(f"/join/{self.name}/")

    def get(self, path):
        response = self.session.get(self.live.url + path, timeout=20)
        response.raise_for_status()
        return response.text

    def happens(self, what):
        """Let something happen to the user; when it was committed."""
        return float(requests.get(f"{self.live.url}/change/{self.name}/{what}/", timeout=20).text)

    def open(self, path="/me/", transport="websocket"):
        """Load a page and connect it."""
        return self.connect(self.load(path), transport)

    def load(self, path):
        """The token of a page."""
        return browse(self.live.url + path, self.session)[1]["page"]

    def connect(self, token, transport="websocket"):
        page = Page(self.live, token, self.headers, transport)
        self.clients.append(page.client)
        page.client.event("serverpush:ready")
        return page

    @property
    def headers(self):
        cookie = "; ".join(f"{each.name}={each.value}" for each in self.session.cookies)
        return {"Cookie": cookie}

    def close(self):
        self.session.close()
        for client in self.clients:
            client.close()


class Page:
    def __init__(self, live, token, headers, transport):
        self.live, self.token, self.headers = live, token, headers
        # The client adds an origin itself where it opens a WebSocket.
        origin = {"Origin": live.url} if transport == "polling" else {}
        self.client = Client(
            live.push_url, {"page": token}, headers=headers | origin, transports=[transport]
        )

    def told(self, name):
        """What comes with the next event of this name.

        A change may be told before it, or a rendering that was refused already.
        """
        found = ""
        while found != name:
            found, arguments = self.client.next()
            # Ready again, when somebody has looked at it.
            assert found in ("me", "vault", "serverpush:refresh", "serverpush:ready", name)
        return arguments[0]

    def is_closed(self, since, within):
        wait_until(lambda: not self.client._socketio.connected, "the connection is closed")
        assert time.time() - since < within

    def is_refused(self):
        refused = refusal(self.live.push_url, {"page": self.token}, headers=self.headers)
        assert refused["code"] == "session_mismatch"

    def is_live(self, browser):
        """Still there, and hears of changes and of nothing else."""
        browser.happens("renamed")
        while self.told("me") != {"first_name": "new"}:
            # What was saved before the page was rendered may be told again.
            continue


def all_end(pages, since, within):
    """They are told, closed in time, and refused when they come back.

    ``since`` and ``within`` are in seconds: when it was committed, and how long it may take.
    """
    for page in pages:
        assert page.told("serverpush:logout") == {}
    for page in pages:
        page.is_closed(since, within)
    for page in pages:
        page.is_refused()


def is_refreshed(page, since, within):
    """It is told that access has changed, closed in time, and refused when it comes back."""
    assert page.told("serverpush:refresh") == {"reason": "access"}
    page.is_closed(since, within)
    page.is_refused()


def looks(live):
    """How often a renderer looked whose access has ended."""
    text = requests.get(f"{live.notifier_url}/metrics", timeout=20).text
    found = re.findall(r'^serverpush_job_seconds_count\{job="access".*\} (\S+)$', text, re.M)
    return sum(map(float, found))


def wait_until_looked_at(browser, live):
    """Wait until a renderer has looked at all who are connected now.

    Each that comes is looked at once within a second; the first look from here may
    have begun before they came, the second has not.
    """
    for _ in range(2):
        before = looks(live)
        browser().open()
        wait_until(lambda before=before: looks(live) > before, "a look")
