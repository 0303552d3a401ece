"""What one push server is told reaches the clients of all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests

from serverpush.protocol import Position
from serverpush.server.parts import REMOTE_SKEW
from tests.live.clients import Client, refusal
from tests.live.processes import Live, wait_until


def save_author(two, name):
    two.visitor().get("/author/1/save/", name=name)


def test_a_change_reaches_the_pages_of_both(two):
    pages = [two.open(number, two.visitor(), "/author/1/") for number in (0, 1)]
    save_author(two, "Anna")
    metas = [page.event("author")[1] for page in pages]
    assert metas[0]["id"] == metas[1]["id"], "a position is the same on all servers"


def test_messages_by_the_site(two):
    ada = two.visitor("ada")
    pages = [two.open(number, ada) for number in (0, 1)]
    two.send(notify_all=["all"], notify=["ada", [ada.pk]])
    for page in pages:
        assert [page.event("message")[0] for _ in range(2)] == ["all", "ada"]


@pytest.mark.parametrize("server", [0, 1])
def test_a_message_by_the_notifier_port_of_any(two, server):
    pages = [two.open(number, two.visitor()) for number in (0, 1)]
    answer = two.post(server, "/publish", {"to": "all", "data": server})
    assert answer.status_code == 202
    ids = [page.event("message") for page in pages]
    assert [data for data, _ in ids] == [server, server]
    assert ids[0][1]["id"] == ids[1][1]["id"]
    assert {meta["safe"] for _, meta in ids} == {answer.json()["position"]}


def test_a_batch_that_comes_again_by_another_server_is_sent_once(two):
    page = two.open(0, two.visitor())
    body = {"changes": [], "messages": [{"to": "all", "data": "once"}], "batch": "twice"}
    assert [two.post(number, "/notify", body).status_code for number in (0, 1)] == [202, 202]
    two.send(notify_all=["fence"])
    assert [page.event("message")[0] for _ in range(2)] == ["once", "fence"]


def test_a_channel_is_replayed_by_another_server(two):
    ada = two.visitor("ada")
    record, tokens = ada.load("/room/away/")
    page = two.client(0, ada, page=record["page"])
    page.event("serverpush:ready")
    page.ask("subscribe", {"channel": tokens["channel"]})
    two.send(send_update=["away", 0])
    safe = page.event("channel")[1]["safe"]
    page.close()
    for number in range(1, 6):
        two.send(send_update=["away", number])
    there = two.client(1, ada, page=record["page"], since=safe)
    there.event("serverpush:ready")
    there.ask("subscribe", {"channel": tokens["channel"], "since": safe})
    assert [there.event("channel")[0] for _ in range(5)] == [1, 2, 3, 4, 5]


def test_a_change_that_was_missed_is_replayed_by_another_server(two):
    visitor = two.visitor()
    record, _ = visitor.load("/author/1/")
    page = two.client(0, visitor, page=record["page"], since=record["since"])
    page.event("serverpush:ready")
    save_author(two, "Berta")
    safe = page.event("author")[1]["safe"]
    page.close()
    save_author(two, "Clara")
    there = two.client(1, visitor, page=record["page"], since=safe)
    there.event("serverpush:ready")
    assert "Clara" in str(there.event("author")[0])


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_pages_time_is_compared_with_redis_clock(two, ahead):
    """The push server's own is wrong by an hour."""
    # An address of this machine that is not taken for one.
    url = two.redis.url.replace("127.0.0.1", "0.0.0.0")
    environ = {"LIVE_BACKEND": url, "LIVE_CLOCK_AHEAD": str(ahead)}
    watching = two.open(0, two.visitor(), "/author/1/")
    with Live(two.folder, {**two.site.environ, **environ}) as other:
        other.start_push()
        two.send(notify_all=["before"])
        watching.event("message")
        record, _ = two.visitor().load("/author/1/")
        two.send(notify_all=["after"])
        watching.event("message")
        save_author(two, f"Dora {ahead}")
        last = Position.parse(watching.event("author")[1]["id"])

        def has_read_all():
            health = requests.get(f"{other.notifier_url}/health", timeout=20).json()
            return Position.parse(health["position"]) >= last

        wait_until(has_read_all, "there is nothing but what is to be replayed")
        # What is allowed for the difference of the machines' clocks, there is not here.
        since = float(record["since"]) + REMOTE_SKEW
        page = Client(other.push_url, {"page": record["page"], "since": since})
        page.event("serverpush:ready")
        assert page.event("message")[0] == "after"
        assert f"Dora {ahead}" in str(page.event("author")[0])
        page.close()


def test_a_route_reaches_who_follows_it_on_both(two):
    pages = []
    for number in (0, 1):
        ada = two.visitor("ada")
        record, tokens = ada.load("/room/shelf/")
        page = two.client(number, ada, page=record["page"])
        page.event("serverpush:ready")
        page.ask("subscribe", {"channel": tokens["route"]})
        pages.append(page)
    two.send(push_route=["/api/shelf/", {"title": "Emma"}])
    for page in pages:
        assert page.event("route")[0]["body"] == {"title": "Emma"}


def test_the_end_of_a_users_access_ends_the_connections_on_both(two):
    bob = two.visitor("bob")
    record, tokens = bob.load("/room/lobby/")
    pages = [two.client(number, bob, page=record["page"]) for number in (0, 1)]
    for page in pages:
        page.event("serverpush:ready")
    devices = [two.client(number, user=tokens["user"]) for number in (0, 1)]
    for device in devices:
        device.event("serverpush:ready")
    assert two.post(1, "/disconnect", {"users": [bob.pk]}).status_code == 202
    for each in [*devices, *pages]:
        each.event("serverpush:logout")
    for number in (0, 1):
        again = refusal(two.servers[number].push_url, {"user": tokens["user"]})
        assert again["code"] == "session_mismatch"


def test_logging_out_ends_the_pages_of_the_other_server(two):
    ada = two.visitor("ada")
    record, _ = ada.load("/room/lobby/")
    page = two.client(1, ada, page=record["page"])
    page.event("serverpush:ready")
    ada.get("/log-out/")
    page.event("serverpush:logout")


def test_who_has_seen_more_than_a_server_is_not_let_in(two):
    record, _ = two.visitor().load("/public/")
    head = Position.parse(two.health(0)["position"])
    ahead = str(replace(head, time=head.time + 60_000))
    auth = {"page": record["page"], "since": ahead}
    assert refusal(two.servers[0].push_url, auth)["code"] == "server_error"


def test_both_stand_at_the_same_place(two):
    heads = lambda: {two.health(number)["position"] for number in (0, 1)}  # noqa: E731
    two.send(notify_all=["fence"])
    wait_until(lambda: len(heads()) == 1, "both have read the same")
