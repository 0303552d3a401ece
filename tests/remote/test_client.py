"""What a client comes back with."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import pytest

from serverpush import Client
from serverpush.exceptions import PushServerAway
from serverpush.remote import client as clients
from serverpush.remote import mailbox
from tests.live.processes import wait_until

NEW = {"id": "1.a", "safe": "1", "page": "a newer token"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"page": "a token", "user": "ada's"}, {"page": "a newer token", "user": "ada's"}),
        # By its URL it gets what it depends on anyway, and a URL becomes never too old.
        ({"url": "/news/", "query": "page=2"}, {"url": "/news/", "query": "page=2"}),
    ],
)
def test_a_page_with_new_dependencies(given, kept):
    client = Client("http://127.0.0.1:8013", **given)
    client._take("news", "<html>", NEW)
    del client._auth["tab"]
    assert client._auth == kept


def test_who_subscribes_hears_that_there_is_no_connection(monkeypatch):
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(PushServerAway, match="no connection"),
    ):
        client.subscribe("token of news")


class TestAnswers:
    @pytest.fixture
    def client(self, monkeypatch):
        # It never connects: the library's thread is the test.
        monkeypatch.setattr(clients.Client, "_start", lambda self: None)
        client = Client("http://127.0.0.1:8013")
        client._ready.set()
        yield client
        client._socketio = None

    @staticmethod
    def connect(client, emit):
        client._socketio = SimpleNamespace(emit=emit)

    def test_a_refresh_right_after_one_is_of_this_subscription_too(self, client):
        """The library's thread goes on before who subscribes has been woken."""

        def emit(name, asked, callback):
            callback({"ok": True, "position": "9", "channel": "news"})
            client._take("serverpush:refresh", {"reason": "history", "channel": "news"})

        self.connect(client, emit)
        client.subscribe("token of news", since="1")
        assert [each.since for each in client._subscriptions] == ["9"]

    def test_a_connection_that_is_lost_gives_none(self, client):
        self.connect(client, lambda name, asked, callback: client._answers.end())
        began = time.monotonic()
        with pytest.raises(PushServerAway, match="no answer: the connection was lost"):
            client.subscribe("token of news")
        assert time.monotonic() - began < clients.ANSWER_SECONDS / 2
        assert client._subscriptions == []
        with pytest.raises(PushServerAway, match="no connection"):
            client.subscribe("token of news")

    def test_one_that_never_comes(self, client, monkeypatch):
        monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.1)
        self.connect(client, lambda name, asked, callback: None)
        with pytest.raises(PushServerAway, match="no answer: in 0 s"):
            client.subscribe("token of news")

    def test_one_that_comes_too_late_is_let_be(self, client, monkeypatch):
        """Who subscribes has been told that there is none, and may have done it again."""
        monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.1)
        late = []
        self.connect(client, lambda name, asked, callback: late.append(callback))
        with pytest.raises(PushServerAway):
            client.subscribe("token of news")
        late[0]({"ok": True, "position": "9", "channel": "news"})
        assert client._subscriptions == []

    def test_a_client_that_is_closed_waits_for_none(self, client):
        client.close()
        began = time.monotonic()
        with pytest.raises(PushServerAway, match="this client is closed"):
            client.subscribe("token of news")
        assert time.monotonic() - began < clients.ANSWER_SECONDS / 2


class TestWhoTakesNothing:
    @pytest.fixture
    def client(self, monkeypatch):
        monkeypatch.setattr(mailbox, "MAX_WAITING", 2)
        monkeypatch.setattr(mailbox, "LOOK_SECONDS", 0.05)
        # It never connects: what comes is handed to it here.
        monkeypatch.setattr(clients.Client, "_start", lambda self: None)
        return Client("http://127.0.0.1:8013")

    @pytest.fixture
    def reading(self, client):
        """The library's thread, to which three events have come."""

        def read():
            for number in range(3):
                client._take("news", number, {"id": str(number), "safe": str(number)})

        thread = threading.Thread(target=read)
        thread.start()
        wait_until(lambda: len(client._mailbox) == 2, "two wait")
        yield thread
        client.close()
        thread.join()

    def test_reads_no_more(self, client, reading):
        assert reading.is_alive()
        assert client._replay.safe == "1", "what was not read is asked for again"
        events = iter(client)
        assert [next(events).data for _ in range(3)] == [0, 1, 2]
        reading.join(20)
        assert client._replay.safe == "2"

    def test_can_be_closed(self, client, reading):
        client.close()
        reading.join(20)
        assert not reading.is_alive()
        assert [each.data for each in client] == [0, 1]

    def test_reads_on_while_an_answer_is_waited_for(self, client, reading, monkeypatch):
        """It may come behind what nobody takes, if the same thread subscribes and iterates."""

        class Connection:
            def emit(self, *asked, callback):
                reading.join(20)
                assert not reading.is_alive(), "the answer is never read"
                callback({"ok": True, "position": "9", "channel": "news"})

        client._ready.set()
        client._socketio = Connection()
        client.subscribe("token of news")
        client._socketio = None
        assert len(client._mailbox) == 3
