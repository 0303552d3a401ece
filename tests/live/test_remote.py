"""``serverpush.Client``: follows and comes back, whatever happens to the push server."""

from __future__ import annotations

import json
import queue
import signal
import threading

import pytest
import requests

from serverpush import Client
from serverpush.exceptions import ConnectionRefused

from .processes import Live
from .relay import Relay


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with Live(tmp_path_factory.mktemp("live"), {"LIVE_URLS": "tests.live.urls_remote"}) as live:
        live.start()
        live.add_people()
        yield live


@pytest.fixture
def follow(live):
    """A client, and what it is told, in a thread of its own."""
    started = []

    def follow(address=None, **options):
        followed = Followed(Client(address or live.push_url, **options))
        started.append(followed)
        return followed

    yield follow
    for each in started:
        each.client.close()
        each.thread.join(20)
        assert not each.thread.is_alive()


@pytest.fixture
def relay(live):
    with Relay(live.port) as relay:
        yield relay


class Followed:
    def __init__(self, client):
        self.client = client
        self._events = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._iterate)
        self.thread.start()

    def _iterate(self):
        try:
            for event in self.client:
                self._events.put(event)
            self._events.put("over")
        except ConnectionRefused as error:
            self._events.put(error)

    def next(self):
        return self._events.get(timeout=60)


def save(live, name):
    requests.get(f"{live.url}/author/1/save/", {"name": name}, timeout=20).raise_for_status()


def send(live, **do):
    answer = requests.get(f"{live.url}/send/", {"do": json.dumps(do)}, timeout=20)
    assert answer.text == "sent", answer.text


def channel_token(live, channel):
    code = (
        f"from serverpush.tokens import sign_topic; print(sign_topic('channel:{channel}', '', ''))"
    )
    return live.shell(code).strip()


def user_token(live):
    """ada's key, and a token for her."""
    code = (
        "from django.contrib.auth.models import User; from serverpush.tokens import tokenize;"
        "ada = User.objects.get(username='ada'); print(ada.pk, tokenize(ada))"
    )
    pk, token = live.shell(code).split()
    return int(pk), token


def test_a_page_over_restarts_of_the_push_server(live, follow):
    page = follow(url="/author/1/")
    # Until it is connected nothing is its to hear.
    page.client.subscribe(channel_token(live, "fence"))
    save(live, "one")
    event = page.next()
    assert (event.name, event.data["name"], event.meta["action"]) == ("author", "one", "changed")
    assert live.push.stop() == 0
    save(live, "two")
    live.start_push()
    assert page.next().data["name"] == "two"
    live.push.stop(signal.SIGKILL)
    live.start_push()
    refresh = page.next()
    assert (refresh.name, refresh.data["reason"]) == ("serverpush:refresh", "history")
    refresh = page.next()
    assert refresh.data == {"reason": "history", "channel": "fence"}
    save(live, "three")
    assert page.next().data["name"] == "three"


def test_channel_messages_once_and_in_order(live, follow):
    listener = follow()
    answer = listener.client.subscribe(channel_token(live, "news"))
    assert answer["channel"] == "news"
    for number in range(100):
        send(live, send_update=["news", number])
        if number == 50:
            assert live.push.stop() == 0
            live.start_push()
    events = [listener.next() for _ in range(100)]
    assert [event.data for event in events] == list(range(100))
    assert {event.name for event in events} == {"channel"}


def test_one_that_has_ended_is_not_followed_again(live, follow):
    listener = follow()
    token = channel_token(live, "news")
    listener.client.subscribe(token)
    listener.client.subscribe(channel_token(live, "other"))
    listener.client.unsubscribe(token)
    send(live, send_update=["other", "x"])
    assert listener.next().data == "x"
    send(live, send_update=["news", "missed"], notify_all=["fence"])
    assert listener.next().data == "fence"


@pytest.mark.parametrize("follows", ["user", "url", "channel"])
def test_what_is_sent_after_a_refresh_is_not_lost(live, follow, relay, follows):
    pk, token = user_token(live)
    options = {"user": {"user": token}, "url": {"url": "/author/1/"}, "channel": {}}[follows]
    device, witness = follow(relay.url, **options), follow(**options)
    fence = channel_token(live, "fence")
    for each in (device, witness):
        each.client.subscribe(fence)
    live.push.stop(signal.SIGKILL)
    live.start_push()
    for each in (device, witness):
        assert each.next().data == {"reason": "history"}
        assert each.next().data == {"reason": "history", "channel": "fence"}
    relay.cut(503)
    if follows == "user":
        send(live, notify=["missed", [pk]])
    else:
        send(live, notify_all=["missed"])
    assert witness.next().data == "missed"
    relay.restore()
    assert device.next().data == "missed"


def test_a_users_token_until_the_end(live, follow):
    pk, token = user_token(live)
    device = follow(user=token)
    device.client.subscribe(channel_token(live, "fence"))
    send(live, notify=["Hi", [pk], "greeting"])
    event = device.next()
    assert (event.name, event.data) == ("greeting", "Hi")
    send(live, disconnect=[pk])
    assert device.next().name == "serverpush:logout"
    assert device.next() == "over"


def test_what_is_refused_is_raised(live, follow):
    error = follow(page="no token").next()
    assert (error.code, str(error)) == ("bad_token", f"bad_token: {error.message}")
    listener = follow(url="/author/1/")
    with pytest.raises(ConnectionRefused, match="bad_token"):
        listener.client.subscribe("news")


def test_who_was_refused_is_told_so_again(live):
    with Client(live.push_url, page="made up") as client:
        for _ in range(2):
            with pytest.raises(ConnectionRefused, match="bad_token"):
                next(iter(client))
        with pytest.raises(ConnectionRefused, match="bad_token"):
            client.subscribe("token")


def test_closing_ends_it(live):
    with Client(live.push_url, url="/author/1/") as client:
        client.subscribe(channel_token(live, "fence"))
    assert list(client) == []
    assert not [each for each in threading.enumerate() if each.name == "serverpush-client"]
