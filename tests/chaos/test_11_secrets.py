"""Fifty users with a secret each, sharing on: no secret in another's event."""

from __future__ import annotations

import random
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.live.clients import page_record
from tests.live.processes import Live, wait_until

from . import stories
from .crowd import Crowd, Member
from .history import Commit, History

AUTHOR = 1
TABS = 3
GROUPS = 5
# The updates of each page.
PAGES = {
    "secrets": ("map", "user", "session", "cookie", "view", "template", "group", "public"),
    "open": ("user", "session", "template", "public"),
}
PERSONAL = {"map", "user", "session", "cookie", "view", "template"}
CREATE = """
import json, sys
from django.contrib.auth.models import User
from tests.project.models import Author
Author.objects.create(pk={pk}, name="version-0.")
User.objects.bulk_create(User(**each) for each in {users!r})
"""


@dataclass
class Visitor:
    """A browser: its user, if any, and its tabs."""

    name: str = ""
    secret: str = ""
    group: str = ""
    cookie: str = ""
    session: requests.Session = field(default_factory=requests.Session)
    tabs: list[Tab] = field(default_factory=list)


@dataclass
class Tab:
    """One page that stays open over several connections."""

    visitor: Visitor
    page: str
    auth: dict[str, Any]
    members: list[Member] = field(default_factory=list)

    @property
    def events(self) -> list[Any]:
        return [
            each
            for member in self.members
            for each in list(member.events)
            if not each.name.startswith("serverpush:")
        ]

    def has(self, version: str) -> bool:
        shown = {each.name: each.text for each in self.events[-2 * len(PAGES[self.page]) :]}
        return all(version in shown.get(name, "") for name in PAGES[self.page])


@dataclass
class Site:
    """The site, its visitors, and the crowd of their connections."""

    live: Live
    crowd: Crowd
    loaded: float
    visitors: list[Visitor] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    @property
    def tabs(self) -> list[Tab]:
        return [tab for visitor in self.visitors for tab in visitor.tabs]

    def enter(self, visitor: Visitor) -> None:
        if visitor.name:
            url = f"{self.live.url}/log-in/{visitor.name}/"
            visitor.session.get(url, timeout=20).raise_for_status()
            pairs = visitor.session.cookies.get_dict().items()
            visitor.cookie = "; ".join(f"{name}={value}" for name, value in pairs)
        self.visitors.append(visitor)

    def open(self, visitor: Visitor, page: str, token: str = "") -> Tab:
        """Open a tab; with another's ``token``, as from a cache that they share."""
        tab = Tab(visitor, page, {"page": token or self.token(visitor, page)})
        visitor.tabs.append(tab)
        self.join(tab)
        return tab

    def token(self, visitor: Visitor, page: str) -> str:
        response = visitor.session.get(f"{self.live.url}/{page}/", timeout=20)
        response.raise_for_status()
        return page_record(response.text)["page"]

    def join(self, tab: Tab) -> Member:
        since = max((each.meta["safe"] for each in tab.events), default=None)
        auth = tab.auth | ({"since": since} if since else {})
        headers = {"Cookie": tab.visitor.cookie} if tab.visitor.cookie else {}
        member = self.crowd.join(auth, **headers)
        tab.members.append(member)
        return member

    def drop(self, tab: Tab) -> None:
        self.crowd.drop(tab.members[-1])

    def save(self, version: int) -> None:
        self.commits.append(stories.saved(AUTHOR, version))
        url = f"{self.live.url}/author/{AUTHOR}/save/?name=version-{version}."
        requests.get(url, timeout=20).raise_for_status()

    def wait_for(self, version: str) -> None:
        wait_until(
            lambda: all(tab.has(version) for tab in self.tabs),
            f"every tab has {version} of all its updates",
            timeout=60,
        )

    def renderings(self) -> int:
        metrics = requests.get(f"{self.live.notifier_url}/metrics", timeout=20).text
        pattern = r'serverpush_job_seconds_count\{job="render",outcome="done"\} (\S+)'
        found = re.search(pattern, metrics)
        return int(float(found[1])) if found else 0


@pytest.fixture
def site(tmp_path, size):
    users = [
        {
            "username": f"user{number}",
            "last_name": f"canary-{secrets.token_hex(8)}",
            "first_name": f"group-{number % GROUPS}-{secrets.token_hex(4)}",
        }
        for number in range(size(8, 50))
    ]
    for each in users[GROUPS:]:
        each["first_name"] = users[int(each["username"][4:]) % GROUPS]["first_name"]
    live = Live(tmp_path, {"LIVE_URLS": "tests.chaos.views_secret", "LIVE_RENDERERS": "2"})
    crowd = None
    try:
        live.migrate()
        live.start_push()
        live.start_site()
        live.shell(CREATE.format(pk=AUTHOR, users=users))
        crowd = Crowd(live.port, live.url)
        site = Site(live, crowd, time.time(), commits=[stories.saved(AUTHOR, 0)])
        for each in users:
            site.enter(Visitor(each["username"], each["last_name"], each["first_name"]))
        site.enter(Visitor())
        yield site
    finally:
        if crowd is not None:
            crowd.stop()
        live.stop()


def open_tabs(site):
    """Each user's own page, several times; the open one also with the next user's record."""
    for visitor in site.visitors:
        if visitor.name:
            for _ in range(TABS - 1):
                site.open(visitor, "secrets")
        other = site.visitors[site.visitors.index(visitor) - 1]
        site.open(visitor, "open")
        site.open(visitor, "open", token=site.token(other, "open"))


def refused(site):
    """Records that users tried with another's cookies, and what answered."""
    codes = set()
    for visitor, other in zip(site.visitors, site.visitors[1:], strict=False):
        token = site.token(visitor, "secrets")
        member = site.crowd.join(
            {"page": token}, **({"Cookie": other.cookie} if other.name else {})
        )
        codes.add((member.refused or {}).get("code"))
    return codes


def strangers(site):
    """Events that hold what is not their visitor's, the texts that were found there."""
    found = []
    secret = re.compile(r"canary-[0-9a-f]{16}|group-\d-[0-9a-f]{8}")
    for tab in site.tabs:
        own = {tab.visitor.secret, tab.visitor.group}
        for event in tab.events:
            found += [
                (tab.visitor.name, event.name)
                for text in secret.findall(event.text)
                if text not in own
            ]
    return found


def showing(site):
    """How many events show their visitor's own secret, for each personal update."""
    counts = dict.fromkeys(PERSONAL, 0)
    for tab in site.tabs:
        for event in tab.events:
            if event.name in PERSONAL and tab.visitor.secret:
                assert tab.visitor.secret in event.text, (tab.visitor.name, event)
                counts[event.name] += 1
    return counts


def check_history(site):
    told = {
        f"{tab.visitor.name} {place}": stories.story(
            dict.fromkeys(PAGES[tab.page], AUTHOR), site.loaded, tab.events
        )
        for place, tab in enumerate(site.tabs)
    }
    History(site.commits, stories=told).check(stories.rows(site.live.author_names()))


def run(site, enough):
    """Save until there were ``enough`` renderings, some tabs being away at each save."""
    chance, version, reconnects = random.Random(11), 0, 0
    while site.renderings() < enough:
        version += 1
        away = chance.sample(site.tabs, len(site.tabs) // 5)
        for tab in away:
            site.drop(tab)
        site.save(version)
        for tab in away:
            site.join(tab)
        reconnects += len(away)
        site.wait_for(f"version-{version}.")
    return version, reconnects


def test_no_secret_is_in_anothers_event(site, size, figures):
    began = time.monotonic()
    open_tabs(site)
    assert refused(site) == {"session_mismatch"}
    saves, reconnects = run(site, size(200, 10_000))
    assert strangers(site) == []
    check_history(site)
    events = sum(len(tab.events) for tab in site.tabs)
    assert site.renderings() < events, "nothing was shared"
    shown = showing(site)
    assert min(shown.values()) > 0
    figures.say(
        11,
        "users with a secret each, sharing on",
        users=str(len(site.visitors) - 1),
        tabs=str(len(site.tabs)),
        saves=str(saves),
        reconnects=str(reconnects),
        renderings=f"{site.renderings():,}",
        events=f"{events:,}",
        own_secrets_seen=f"{sum(shown.values()):,}",
        secrets_in_others_events=str(len(strangers(site))),
        took=f"{time.monotonic() - began:.1f} s",
    )
