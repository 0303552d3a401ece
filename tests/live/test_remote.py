"""``serverpush.Client``: follows and comes back, whatever happens to the push server."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import re
import signal
import socketserver
import threading

import pytest
import requests

from serverpush import Client
from serverpush.exceptions import ConnectionRefused

from .processes import Live, wait_until
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
        except (ConnectionRefused, TypeError) as error:
            self._events.put(error)

    def next(self):
        return self._events.get(timeout=60)


class Impostor(socketserver.BaseRequestHandler):
    """Speaks Socket.IO, and says what no push server would."""

    PACKETS = (
        '0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}',
        '40{"sid":"b"}',
        '42["serverpush:ready",{"position":"1","live":true}]',
        '42["serverpush:refresh",5]',
    )

    def handle(self):
        key = re.search(r"Sec-WebSocket-Key: (\S+)", self.request.recv(65536).decode())[1]
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        lines = ["HTTP/1.1 101 -", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}", "", ""]
        self.request.sendall("\r\n".join(lines).encode())
        for packet in self.PACKETS:
            self.request.sendall(bytes([0x81, len(packet)]) + packet.encode())
        while self.request.recv(65536):
            pass


def save(live, name):
    requests.get(f"{live.url}/author/1/save/", {"name": name}, timeout=20).raise_for_status()


def send(live, **do):
    answer = requests.get(f"{live.url}/send/", {"do": json.dumps(do)}, timeout=20)
    assert answer.text == "sent", answer.text


def channel_token(live, channel, ago=0):
    """A token that was signed so many seconds ago."""
    code = (
        "import time; from unittest import mock; from serverpush.tokens import sign_topic;"
        f"clock = mock.patch('django.core.signing.time.time', return_value=time.time() - {ago});"
        f"clock.start(); print(sign_topic('channel:{channel}', '', ''))"
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


def test_one_of_two_tokens_of_a_channel_may_be_given_up(live, follow):
    listener = follow()
    # Signed at different times.
    first, second = channel_token(live, "news"), channel_token(live, "news", ago=60)
    listener.client.subscribe(first)
    listener.client.subscribe(second)
    listener.client.unsubscribe(first)
    send(live, send_update=["news", "here"])
    assert listener.next().data == "here"
    listener.client.unsubscribe(second)
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


def cookie_of_ada(live):
    session = requests.Session()
    session.get(f"{live.url}/log-in/ada/", allow_redirects=False, timeout=20).raise_for_status()
    return "; ".join(f"{each.name}={each.value}" for each in session.cookies)


@pytest.mark.parametrize("name", ["Origin", "origin", None])
def test_a_session_s_cookie_and_its_origin(live, follow, name):
    headers = {"Cookie": cookie_of_ada(live)}
    if name is not None:
        headers[name] = "http://localhost:8000"
    page = follow(url="/author/1/", headers=headers)
    page.client.subscribe(channel_token(live, "fence"))
    pk, _ = user_token(live)
    send(live, notify=["Hi", [pk], "greeting"])
    assert page.next().data == "Hi"


def test_without_a_cookie_the_address_need_not_be_the_site_s(live, follow):
    with Relay(live.port, "127.0.0.2") as relay:
        device = follow(relay.url, user=user_token(live)[1])
        device.client.subscribe(channel_token(live, "fence"))
        device.client.close()


def test_a_wrong_origin_is_refused_for_good(live, follow):
    page = follow(url="/author/1/", headers={"Origin": "https://evil.example"})
    assert page.next().code == "origin_refused"
    with pytest.raises(ConnectionRefused, match="origin_refused: HTTP 403"):
        page.client.subscribe("token")


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        (503, "", "HTTP 503"),
        (404, "Set-Cookie: a=secret\r\n", "HTTP 404"),
        (301, "Location: https://127.0.0.1/\r\n", "Redirect limit exhausted"),
    ],
)
def test_other_answers_are_told_once_and_tried_again(
    live, follow, relay, caplog, status, more, reason
):
    relay.cut(status, more)
    page = follow(relay.url, user=user_token(live)[1], headers={"Cookie": "a=secret"})
    wait_until(lambda: len(relay.requests) == 2, "a second try")
    relay.restore()
    page.client.subscribe(channel_token(live, "fence"))
    [record] = caplog.records
    assert (record.name, record.levelname) == ("serverpush", "WARNING")
    assert record.getMessage() == f"can't connect to {relay.url}, trying again: {reason}"


def test_who_was_refused_is_told_so_again(live):
    with Client(live.push_url, page="made up") as client:
        for _ in range(2):
            with pytest.raises(ConnectionRefused, match="bad_token"):
                next(iter(client))
        with pytest.raises(ConnectionRefused, match="bad_token"):
            client.subscribe("token")


def test_what_it_cannot_send_is_raised(follow):
    page = follow(url="/", headers={"X-Number": 5})
    assert isinstance(page.next(), TypeError)
    with pytest.raises(TypeError):
        page.client.subscribe("token")


def test_what_it_cannot_take_is_raised(follow):
    with socketserver.TCPServer(("127.0.0.1", 0), Impostor) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        page = follow("http://{}:{}".format(*server.server_address))
        assert isinstance(page.next(), TypeError)
        with pytest.raises(TypeError):
            page.client.subscribe("token")
        page.client.close()
        answering.join(20)


def test_an_address_is_checked_where_it_is_given():
    with pytest.raises(ValueError, match="'localhost:8013' is not the address of a push server"):
        Client("localhost:8013", url="/")


def test_closing_ends_it(live):
    with Client(live.push_url, url="/author/1/") as client:
        client.subscribe(channel_token(live, "fence"))
    assert list(client) == []
    assert not [each for each in threading.enumerate() if each.name == "serverpush-client"]
