"""From a save to the clients: real processes, real sockets, standard clients."""

from __future__ import annotations

import re
import time

import pytest
import requests

from .clients import Client, browse, refusal


@pytest.fixture
def connect(live):
    clients = []

    def connect(auth, **options):
        client = Client(live.push_url, auth, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def save(live, name, pk=1):
    assert requests.get(f"{live.url}/author/{pk}/save/?name={name}", timeout=20).text == "saved"


def test_a_page_and_a_url_get_the_same_events(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    page = connect({"page": record["page"], "since": record["since"]})
    url = connect({"url": "/author/1/", "query": ""})
    assert page.event("serverpush:ready")[0]["live"]
    assert url.event("serverpush:ready")[0]["live"]
    save(live, "Astrid")
    one, other = page.event("author"), url.event("author")
    assert one == other
    payload, meta = one
    assert payload == {"name": "Astrid", "email": ""}
    assert set(meta) == {"id", "safe", "model", "pk", "action"}
    assert (meta["model"], meta["pk"], meta["action"]) == ("project.author", 1, "changed")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_both_transports_carry_events(live, connect, transport):
    _, record = browse(f"{live.url}/author/1/")
    client = connect({"page": record["page"]}, transports=[transport])
    client.event("serverpush:ready")
    save(live, transport)
    assert client.event("author")[0]["name"] == transport


def test_a_change_between_rendering_and_connecting_arrives(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    save(live, "Between")
    client = connect({"page": record["page"], "since": record["since"]})
    client.event("serverpush:ready")
    assert client.event("author")[0]["name"] == "Between"


def test_a_rolled_back_save_never_arrives(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    client = connect({"page": record["page"]})
    client.event("serverpush:ready")
    assert requests.get(f"{live.url}/author/1/roll-back/", timeout=20).text == "rolled back"
    save(live, "After")
    assert client.event("author")[0]["name"] == "After"


def test_a_client_that_comes_back_is_replayed_what_it_missed(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    client = connect({"page": record["page"]})
    client.event("serverpush:ready")
    save(live, "Here")
    _, meta = client.event("author")
    client.close()
    save(live, "Away")
    again = connect({"page": record["page"], "since": meta["safe"]})
    again.event("serverpush:ready")
    payload, replayed = again.event("author")
    assert payload["name"] == "Away"
    assert replayed["id"] > meta["id"]


def test_a_page_from_the_future_is_told_to_refresh(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    # Rendered before the machine's clock was set back by an hour, or by one that is ahead.
    token = live.shell(
        "from dataclasses import replace\n"
        "from serverpush.tokens import sign_page, verify_page\n"
        f"page = verify_page({record['page']!r})\n"
        "print(sign_page(replace(page, time=page.time + 3600, recorded=page.time + 3600)))"
    ).strip()
    client = connect({"page": token})
    (ready,) = client.event("serverpush:ready")
    assert not ready["live"]
    assert client.event("serverpush:refresh") == ({"reason": "history"},)
    live.push.wait_for("page from the future seconds=3[56]")


def test_a_save_from_the_shell_arrives(live, connect):
    _, record = browse(f"{live.url}/author/1/")
    client = connect({"page": record["page"]})
    client.event("serverpush:ready")
    live.shell("from tests.project.models import Author; Author.objects.get(pk=1).save()")
    client.event("author")


def test_a_list_page_whose_serializer_is_its_own_view(live, connect):
    _, record = browse(f"{live.url}/books/")
    client = connect({"page": record["page"]})
    client.event("serverpush:ready")
    live.shell("from tests.project.models import Book; Book.objects.create(title='Dunes')")
    payload, meta = client.event("reload")
    assert "<li>Dunes</li>" in payload
    assert meta["action"] == "added"


def test_a_user_sees_their_own_page(live, connect):
    session = requests.Session()
    session.get(f"{live.url}/log-in/ada/?next=/by-map/", timeout=20)
    html, record = browse(f"{live.url}/hello/", session)
    assert "Hey, ada!" in html
    cookie = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    headers = {"Cookie": cookie}
    client = connect({"page": record["page"]}, headers=headers)
    client.event("serverpush:ready")
    live.shell("from django.contrib.auth.models import User; User.objects.get(pk=1).save()")
    assert client.event("reload")[0] == "Hey, ada!"
    client.close()
    assert refusal(live.push_url, {"page": record["page"]})["code"] == "session_mismatch"


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({"page": "nonsense"}, "bad_token"),
        ({"page": 5}, "bad_token"),
        ({"page": "x" * 10000}, "bad_token"),
        ({"url": "/nothing/here/"}, "page_not_found"),
        ({"url": "no path"}, "page_not_found"),
        ({"url": "/log-out/"}, "page_not_found"),
    ],
)
def test_who_is_refused_is_told_why(live, auth, code):
    data = refusal(live.push_url, auth)
    assert data["code"] == code
    assert data["message"]


def test_a_tampered_token_is_refused(live):
    _, record = browse(f"{live.url}/author/1/")
    token = record["page"]
    tampered = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert refusal(live.push_url, {"page": tampered})["code"] == "bad_token"


def test_a_foreign_origin_is_refused_before_anything_else(live):
    response = requests.get(
        f"{live.push_url}/socket.io/?EIO=4&transport=polling",
        headers={"Origin": "http://evil.example"},
        timeout=20,
    )
    assert response.status_code == 403


def test_a_failing_update_is_alone(tmp_path, live, connect):
    _, record = browse(f"{live.url}/mixed/")
    client = connect({"page": record["page"]})
    client.event("serverpush:ready")
    save(live, "Mixed")
    got = dict(client.next() for _ in range(5))
    assert set(got) == {"fine", "hangs", "missing", "serverpush:refresh"}
    assert got["serverpush:refresh"] == ({"reason": "error"},)
    assert got["missing"][0] == {"name": "Mixed", "no": None}
    assert re.search(r"raises.*it broke", live.push.output)
    assert re.search(r"update 'nan'", live.push.output)
    assert live.push.output.count("Traceback") == 0


def test_after_a_crash_nobodys_page_is_followed_whose_access_may_have_ended(live, connect):
    """The memory of who has no access any more is gone with the server."""
    session = requests.Session()
    session.get(f"{live.url}/log-in/ada/?next=/by-map/", timeout=20)
    _, record = browse(f"{live.url}/by-map/", session)
    cookies = {"headers": {"Cookie": f"sessionid={session.cookies['sessionid']}"}}
    live.push.stop(9)
    live.start_push()
    later = str(time.time() + 1)
    clients = [
        connect({"page": record["page"], **auth}, **cookies) for auth in ({}, {"since": later})
    ]
    for client in clients:
        assert client.event("serverpush:ready")[0]["live"] is False
        assert client.event("serverpush:refresh") == ({"reason": "history"},)
    _, record = browse(f"{live.url}/by-map/", session)
    anew = connect({"page": record["page"]}, **cookies)
    anew.event("serverpush:ready")
    live.shell("from django.contrib.auth.models import User; User.objects.get(pk=1).save()")
    anew.event("username_change")
    for client in clients:
        while not client.events.empty():
            # Where it stands, once somebody has looked at its session.
            assert client.next()[0] == "serverpush:ready"


def test_health(live):
    health = requests.get(f"{live.notifier_url}/health", timeout=20).json()
    assert health["status"] == "ok"
    assert set(health) == {"status", "connections", "position", "renderers"}
