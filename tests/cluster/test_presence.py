"""Who is in a channel, and the channels' signals, over several push servers."""

from __future__ import annotations

import signal

import pytest
import requests

from tests.live.clients import Client
from tests.live.processes import wait_until
from tests.live.test_rooms import Gate


class Page:
    """A page of a room, which comes back as the one it was, to any server."""

    def __init__(self, several, visitor, room):
        self.several, self.visitor, self.room = several, visitor, room
        self.record, self.tokens = visitor.load(f"/room/{room}/")
        self.tab = f"tab {id(self)}"
        self.clients = []

    def connect(self, server):
        auth = {"page": self.record["page"], "tab": self.tab}
        url = self.several.servers[server].push_url
        self.client = Client(url, auth, headers=self.visitor.headers)
        self.clients.append(self.client)
        self.client.event("serverpush:ready")
        return self

    def subscribe(self):
        answer = self.client.ask("subscribe", {"channel": self.tokens["channel"]})
        assert answer["ok"]
        return answer

    def unsubscribe(self):
        return self.client.ask("unsubscribe", {"channel": self.tokens["channel"]})

    def told(self, total):
        """The next word on who is there, once so many are."""
        while True:
            name, (present, _) = self.client.next(30)
            if name == "presence" and present["total"] == total:
                return present


@pytest.fixture
def open_page():
    pages = []

    def open_page(several, visitor, room, server=0):
        pages.append(Page(several, visitor, room).connect(server))
        return pages[-1]

    yield open_page
    for each in pages:
        for client in each.clients:
            client.close()


def notes(several, room):
    found = requests.get(f"{several.site.url}/notes/", timeout=20).json()["notes"]
    return [each.removeprefix(f"{room} ") for each in found if each.startswith(f"{room} ")]


def wait_for_notes(several, room, *expected):
    wait_until(lambda: len(notes(several, room)) >= len(expected), f"{expected}", 40)
    assert notes(several, room) == list(expected)


def present(several, server, room):
    key = several.site.manage("serverpush_key").stdout.strip()
    url = f"{several.servers[server].notifier_url}/presence?channel={room}"
    return requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=20).json()


def test_both_tell_who_is_there(two, open_page):
    ada = open_page(two, two.visitor("ada"), "room-both", 0)
    bob = open_page(two, two.visitor("bob"), "room-both", 1)
    ada.subscribe()
    ada.told(1)
    bob.subscribe()
    names = [[each["name"] for each in page.told(2)["users"]] for page in (ada, bob)]
    assert names == [["ada", "bob"], ["ada", "bob"]]
    for server in (0, 1):
        wait_until(lambda at=server: present(two, at, "room-both")["total"] == 2, "two are there")
    bob.unsubscribe()
    ada.told(1)


def test_a_page_that_moves_has_come_once(two, open_page):
    page = open_page(two, two.visitor("ada"), "plain-move", 0)
    page.subscribe()
    wait_for_notes(two, "plain-move", "+ ada")
    for server in (1, 0, 1):
        page.client.lose()
        page.connect(server)
        page.subscribe()
    page.unsubscribe()
    wait_for_notes(two, "plain-move", "+ ada", "- ada")


def test_who_was_with_a_server_that_is_killed(several, open_page):
    there = several(3)
    stays = open_page(there, there.visitor("ada"), "room-kill", 1)
    leaves = open_page(there, there.visitor("bob"), "room-kill", 1)
    watches = open_page(there, there.visitor("eve"), "room-kill", 0)
    for page in (stays, leaves, watches):
        page.subscribe()
    watches.told(3)
    there.servers[1].push.stop(signal.SIGKILL)
    stays.connect(2).subscribe()
    watches.told(2)
    wait_for_notes(there, "room-kill", "+ ada", "+ bob", "+ eve", "- bob")


def test_who_left_at_a_deploy_is_told_by_another_server(several, open_page):
    there = several(2)
    page = open_page(there, there.visitor("ada"), "plain-untold", 0)
    gate = Gate(there.site, "plain-untold -")
    page.subscribe()
    page.unsubscribe()
    gate.wait()
    assert there.servers[0].push.stop() == 0
    gate.open()
    wait_for_notes(there, "plain-untold", "+ ada", "- ada")


def test_a_deploy_of_all_is_no_coming_and_going(several, open_page):
    there = several(2)
    page = open_page(there, there.visitor("ada"), "plain-deploy", 0)
    page.subscribe()
    wait_for_notes(there, "plain-deploy", "+ ada")
    page.client.lose()
    for server in there.servers:
        assert server.push.stop() == 0
    # Who remembers it is new, and the log's beginning may be gone.
    there.redis.client().xtrim("serverpush:{serverpush}:log", maxlen=0, approximate=False)
    there.servers[1].start_push()
    page.connect(1)
    page.subscribe()
    page.unsubscribe()
    wait_for_notes(there, "plain-deploy", "+ ada", "- ada")
