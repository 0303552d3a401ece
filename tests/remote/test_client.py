"""What a client comes back with."""

from __future__ import annotations

import socket

import pytest

from serverpush import Client
from serverpush.exceptions import PushServerAway
from serverpush.remote import client as clients

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
