"""Channels' signals, permissions and presence, between real processes."""

from __future__ import annotations

import os

import pytest
import requests

from serverpush.tokens import sign_topic

from .clients import Client, refusal
from .processes import Live, wait_until

# One renderer may have to wait while the other goes on.
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.live.settings_rooms", "LIVE_RENDERERS": "2"}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with Live(tmp_path_factory.mktemp("live"), SETTINGS) as live:
        live.start()
        yield live


@pytest.fixture
def notes(live):
    """What was written down since the last call."""
    seen = len(all_notes(live))

    def notes(count):
        nonlocal seen
        wait_until(lambda: len(all_notes(live)) >= seen + count, f"{count} notes", 60)
        found = all_notes(live)[seen:]
        seen += len(found)
        return found

    return notes


def all_notes(live):
    return requests.get(f"{live.url}/notes/", timeout=20).json()["notes"]


class Page:
    """A page of a room, which comes back as the one it was."""

    def __init__(self, live, visitor, room):
        self.live, self.visitor, self.room = live, visitor, room
        self.record, self.tokens = visitor.load(f"/room/{room}/")
        self.tab = f"tab {id(self)}"
        self.clients = []
        self.connect()

    def connect(self):
        auth = {"page": self.record["page"], "tab": self.tab}
        self.client = Client(self.live.push_url, auth, headers=self.visitor.headers)
        self.clients.append(self.client)
        self.client.event("serverpush:ready")

    def subscribe(self, channel=None):
        return self.client.ask("subscribe", {"channel": channel or self.tokens["channel"]})

    def unsubscribe(self):
        return self.client.ask("unsubscribe", {"channel": self.tokens["channel"]})

    def told(self, total):
        """The next word on who is there, once so many are."""
        while True:
            name, (present, meta) = self.client.next(30)
            if name == "presence" and present["total"] == total:
                assert meta["channel"] == self.room
                return present


@pytest.fixture
def open_page(live):
    pages = []

    def open_page(visitor, room="room-1"):
        pages.append(Page(live, visitor, room))
        return pages[-1]

    yield open_page
    for each in pages:
        for client in each.clients:
            client.close()


def test_signals_once_a_subscription_and_not_again_at_a_reconnect(visitor, open_page, notes):
    page = open_page(visitor("ada"), "plain-1")
    assert page.subscribe()["ok"]
    assert notes(1) == ["plain-1 + ada"]
    for _ in range(2):
        page.client.lose()
        page.connect()
        assert page.subscribe()["ok"]
    assert page.unsubscribe()["ok"]
    assert notes(1) == ["plain-1 - ada"]


def test_who_gets_a_session_in_another_tab_is_the_page_that_it_was(visitor, open_page, notes):
    nobody = visitor()
    page = open_page(nobody, "plain-9")
    assert page.subscribe()["ok"]
    assert notes(1) == ["plain-9 + nobody"]
    nobody.get("/log-in/ada/")
    for _ in range(2):
        page.client.lose()
        page.connect()
        assert page.subscribe()["ok"]
    assert page.unsubscribe()["ok"]
    assert notes(1) == ["plain-9 - nobody"]


def test_a_page_that_is_closed_has_left_in_a_while(visitor, open_page, notes):
    page = open_page(visitor(), "plain-2")
    page.subscribe()
    page.client.close()
    assert notes(2) == ["plain-2 + nobody", "plain-2 - nobody"]


def test_whose_session_has_ended_leaves_by_name(visitor, open_page, notes):
    ada = visitor("ada")
    page = open_page(ada, "plain-3")
    page.subscribe()
    ada.get("/log-out/")
    page.client.event("serverpush:logout")
    assert notes(2) == ["plain-3 + ada", "plain-3 - ada"]


def test_a_deploy_is_no_coming_and_going(visitor, open_page, notes, live):
    page = open_page(visitor("ada"), "plain-4")
    page.subscribe()
    assert notes(1) == ["plain-4 + ada"]
    page.client.lose()
    assert live.push.stop() == 0
    live.start_push()
    page.connect()
    assert page.subscribe()["ok"]
    page.unsubscribe()
    assert notes(1) == ["plain-4 - ada"]


class Gate:
    """A named pipe at which one receiver waits until it is opened."""

    def __init__(self, live, name):
        self.path = live.folder / name
        os.mkfifo(self.path)

    def wait(self):
        """Wait until a receiver is there; those who come later need not wait."""
        self.end = self.path.open("wb")
        self.path.unlink()

    def open(self):
        self.end.close()


def test_who_comes_again_is_told_after_it_was_told_to_have_left(visitor, open_page, notes, live):
    page, other = open_page(visitor("ada"), "plain-11"), open_page(visitor("bob"), "plain-12")
    gate = Gate(live, "plain-11 -")
    page.subscribe()
    page.unsubscribe()
    gate.wait()
    answer = page.client.later("subscribe", {"channel": page.tokens["channel"]})
    # It is asked after the page, if that does not wait.
    other.subscribe()
    gate.open()
    assert answer.get(timeout=20)["ok"]
    assert notes(4) == ["plain-11 + ada", "plain-12 + bob", "plain-11 - ada", "plain-11 + ada"]
    for each in (page, other):
        each.unsubscribe()
    notes(2)


def test_a_page_that_is_back_before_its_first_answer_came_once(visitor, open_page, notes, live):
    page, other = open_page(visitor("ada"), "plain-13"), open_page(visitor("bob"), "plain-14")
    gate = Gate(live, "plain-13 +")
    page.client.later("subscribe", {"channel": page.tokens["channel"]})
    gate.wait()
    page.client.lose()
    page.connect()
    answer = page.client.later("subscribe", {"channel": page.tokens["channel"]})
    # By then the server has had time to take the page for another one.
    other.connect()
    gate.open()
    assert answer.get(timeout=20)["ok"]
    page.unsubscribe()
    assert notes(2) == ["plain-13 + ada", "plain-13 - ada"]


def test_who_left_at_a_deploy_is_told_after_it(visitor, open_page, notes, live):
    page = open_page(visitor("ada"), "plain-15")
    gate = Gate(live, "plain-15 -")
    page.subscribe()
    page.unsubscribe()
    gate.wait()
    assert live.push.stop() == 0
    gate.open()
    live.start_push()
    assert notes(2) == ["plain-15 + ada", "plain-15 - ada"]


def test_one_too_many_is_refused_before_anybody_is_told(visitor, open_page, notes):
    page = open_page(visitor(), "plain-0")
    tokens = [sign_topic(f"channel:many-{number}", "", "") for number in range(201)]
    # As a page that comes back does: all at once.
    answers = page.client.ask_all("subscribe", [{"channel": each} for each in tokens])
    assert [each.get("code") for each in answers] == [None] * 200 + ["too_many"]
    assert len(notes(200)) == 200
    assert page.client.ask("unsubscribe", {"channel": tokens[0]}) == {"ok": True}
    assert page.subscribe(tokens[200])["ok"]
    assert sorted(notes(2)) == ["many-0 - nobody", "many-200 + nobody"]


def test_who_is_there_is_told_by_each_answer(visitor, open_page, live):
    ada, bob = open_page(visitor("ada"), "room-10"), open_page(visitor("bob"), "room-10")
    ada.subscribe()
    bob.subscribe()
    ada.told(2)
    ada.client.lose()
    bob.unsubscribe()
    ada.connect()
    assert ada.subscribe()["present"]["total"] == 1


def test_a_receiver_that_raises_refuses_and_the_others_are_served(visitor, open_page):
    page = open_page(visitor("ada"), "room-broken")
    answer = page.subscribe()
    assert answer["code"] == "server_error"
    assert "room-broken" in answer["error"]
    assert "stuck" not in answer["error"], "that is for the log"
    page.live.push.wait_for("raised RuntimeError: the door is stuck")
    assert open_page(visitor("ada"), "plain-5").subscribe()["ok"]


@pytest.mark.parametrize(
    ("fate", "line"),
    [
        ("raises", "tests.live.views_rooms:note_leaving raised RuntimeError: the door is locked"),
        ("dies", "its renderer died, 2 times"),
    ],
)
def test_who_can_not_be_told_to_have_left_may_come_again(visitor, open_page, live, fate, line):
    page = open_page(visitor("ada"), "plain-16")
    file = live.folder / f"plain-16 {fate}"
    file.touch()
    page.subscribe()
    page.unsubscribe()
    live.push.wait_for(f"leaving channel 'plain-16': {line}")
    file.unlink()
    assert page.subscribe()["ok"]


class TestTokenizer:
    """Tokens of users by a function of the project's own."""

    @pytest.fixture
    def connect(self, live):
        clients = []

        def connect(token, **headers):
            clients.append(Client(live.push_url, {"user": token}, headers=headers))
            clients[-1].event("serverpush:ready")
            return clients[-1]

        yield connect
        for each in clients:
            each.close()

    def test_who_bears_one_gets_what_is_for_its_user(self, visitor, connect):
        ada = visitor("ada")
        _, tokens = ada.load("/room/plain-9/")
        assert tokens["user"].startswith("badge of ada")
        device, crook = connect(tokens["user"]), connect("badge of ada made up")
        for number in range(3):
            ada.get("/send/", do=f'{{"notify": [{number}, [{ada.pk}]], "notify_all": ["fence"]}}')
        got = [device.event("message")[0] for _ in range(6)]
        assert [each for each in got if each != "fence"] == [0, 1, 2]
        assert [crook.event("message")[0] for _ in range(3)] == ["fence"] * 3

    def test_who_is_recognized_may_what_its_user_may(self, visitor, connect, live):
        """Though its cookie is that of a session in which nobody is logged in."""
        code = (
            "from django.contrib.sessions.backends.db import SessionStore; cart = SessionStore();"
            "cart['books'] = 1; cart.save(); print(cart.session_key)"
        )
        cookie = f"sessionid={live.shell(code).strip()}"
        ada = visitor("ada")
        _, tokens = ada.load("/room/plain-9/")
        device = connect(tokens["user"], Cookie=cookie)
        asked = {"channel": "room-members"}
        assert device.ask("subscribe", asked)["code"] == "forbidden", "nobody knows whose it is yet"
        ada.get("/send/", do=f'{{"notify": ["hi", [{ada.pk}]]}}')
        assert device.event("message")[0] == "hi"
        assert device.ask("subscribe", asked)["ok"]

    def test_it_ends_and_is_refused_then(self, visitor, connect, live):
        eve = visitor("eve")
        _, tokens = eve.load("/room/plain-9/")
        device = connect(tokens["user"])
        eve.get("/send/", do=f'{{"disconnect": [{eve.pk}]}}')
        device.event("serverpush:logout")
        refused = refusal(live.push_url, {"user": tokens["user"]})
        assert refused["code"] == "session_mismatch"


class TestPermission:
    def test_without_a_token_where_the_site_says_yes(self, visitor, open_page):
        assert open_page(visitor(), "plain-6").subscribe("room-open")["channel"] == "room-open"

    def test_by_the_user(self, visitor, open_page):
        assert open_page(visitor("ada"), "plain-6").subscribe("room-members")["ok"]
        answer = open_page(visitor(), "plain-6").subscribe("room-members")
        assert answer["code"] == "forbidden"

    @pytest.mark.parametrize(
        ("channel", "code"),
        [("room-closed", "forbidden"), ("room-raises", "server_error"), ("x" * 201, "bad_token")],
    )
    def test_else_it_says_why_not(self, visitor, open_page, channel, code):
        assert open_page(visitor("ada"), "plain-6").subscribe(channel)["code"] == code

    def test_nobody_is_let_in_by_half(self, visitor, open_page, live):
        page = open_page(visitor(), "plain-6")
        page.subscribe("room-closed")
        visitor().get("/send/", do='{"send_update": ["room-closed", 1], "notify_all": ["fence"]}')
        assert page.client.event("message")[0] == "fence"


class TestPresence:
    def test_those_who_are_subscribed_are_told_who_is(self, visitor, open_page, live):
        ada, bob = visitor("ada"), visitor("bob")
        here = open_page(ada, "room-7")
        answer = here.subscribe()
        users = [{"id": str(ada.pk), "name": "ada"}]
        assert answer["present"] == {"users": users, "visitors": 0, "total": 1}
        there = open_page(bob, "room-7")
        there.subscribe()
        users.append({"id": str(bob.pk), "name": "bob"})
        assert here.told(2)["users"] == users
        nobody = open_page(visitor(), "room-7")
        nobody.subscribe()
        assert here.told(3)["visitors"] == 1
        found = requests.get(f"{live.url}/present/room-7/", timeout=20).json()
        assert found == {"users": users, "visitors": 1, "total": 3}
        there.unsubscribe()
        assert here.told(2)["users"] == users[:1]

    def test_other_channels_do_not_tell(self, visitor, open_page, live):
        page = open_page(visitor("ada"), "plain-8")
        assert "present" not in page.subscribe()


def test_a_channels_own_history(visitor, open_page):
    page = open_page(visitor("ada"), "room-9")
    position = page.subscribe()["position"]
    page.client.close()
    for number in range(4):
        visitor().get("/send/", do=f'{{"send_update": ["room-9", {number}]}}')
    page.connect()
    page.client.ask("subscribe", {"channel": page.tokens["channel"], "since": position})
    told = page.client.event("serverpush:refresh")[0]
    assert told == {"reason": "history", "channel": "room-9"}
