"""Messages between real processes: to everybody, to users, to channels, along routes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest
import requests
import websocket

from .clients import Client, refusal
from .processes import ROOT, Live


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with Live(tmp_path_factory.mktemp("live"), {"LIVE_URLS": "tests.live.views_messages"}) as live:
        live.start()
        yield live


@pytest.fixture
def connect(live):
    clients = []

    def connect(visitor=None, **auth):
        headers = visitor.headers if visitor else {}
        clients.append(Client(live.push_url, auth, headers=headers))
        clients[-1].event("serverpush:ready")
        return clients[-1]

    yield connect
    for each in clients:
        each.close()


@pytest.fixture
def send(live):
    def send(back=False, **do):
        params = {"do": json.dumps(do), **({"back": 1} if back else {})}
        response = requests.get(f"{live.url}/send/", params, timeout=20)
        assert response.text == "sent", response.text

    return send


def open_public(visitor, connect):
    record, _ = visitor.load("/public/")
    return connect(visitor, page=record["page"], since=record["since"])


def test_everybody_is_told_on_a_page_without_updates(visitor, connect, send):
    ada, nobody = visitor("ada"), visitor()
    pages = [open_public(each, connect) for each in (ada, nobody)]
    send(notify_all=[{"msg": "Hi all!"}])
    for page in pages:
        data, meta = page.event("message")
        assert data == {"msg": "Hi all!"}
        assert set(meta) == {"id", "safe"}


def test_users_are_told_on_public_pages_by_their_sessions(visitor, connect, send):
    ada, bob, nobody = visitor("ada"), visitor("bob"), visitor()
    pages = {each: open_public(each, connect) for each in (ada, bob, nobody)}
    phone = open_public(ada, connect)
    send(notify=[{"msg": "for ada"}, [ada.pk], "greeting"])
    assert pages[ada].event("greeting")[0] == {"msg": "for ada"}
    assert phone.event("greeting")[0] == {"msg": "for ada"}
    send(notify_all=["fence"])
    for each in pages.values():
        assert each.event("message")[0] == "fence"


def test_a_client_by_a_users_token(live, visitor, connect, send):
    ada = visitor("ada")
    _, tokens = ada.load("/room/lobby/")
    device = connect(user=tokens["user"])
    send(notify=[1, [ada.pk]])
    assert device.event("message")[0] == 1
    assert refusal(live.push_url, {"user": tokens["user"] + "x"})["code"] == "bad_token"


def test_what_is_rolled_back_is_not_sent(visitor, connect, send):
    page = open_public(visitor(), connect)
    send(back=True, notify_all=["never"])
    send(notify_all=["fence"])
    assert page.event("message")[0] == "fence"


def test_what_was_sent_between_rendering_and_connecting_arrives(visitor, connect, send):
    ada = visitor("ada")
    record, _ = ada.load("/public/")
    send(notify_all=["one"], notify=["two", [ada.pk]])
    page = connect(ada, page=record["page"], since=record["since"])
    # Whose session it is was found out after the first.
    assert [page.event("message")[0] for _ in range(2)] == ["one", "two"]


class TestChannels:
    def subscribe(self, client, token, **more):
        return client.ask("subscribe", {"channel": token, **more})

    def test_who_is_subscribed_gets_it_until_the_end(self, visitor, connect, send):
        ada = visitor("ada")
        record, tokens = ada.load("/room/lobby/")
        page = connect(ada, page=record["page"])
        answer = self.subscribe(page, tokens["channel"])
        assert answer == {"ok": True, "position": answer["position"], "channel": "lobby"}
        send(send_update=["lobby", {"type": "answer", "value": 42}])
        data, meta = page.event("channel")
        assert data == {"type": "answer", "value": 42}
        assert meta == {"id": meta["id"], "safe": meta["safe"], "channel": "lobby"}
        assert page.ask("unsubscribe", {"channel": tokens["channel"]}) == {"ok": True}
        send(send_update=["lobby", "missed"])
        send(notify_all=["fence"])
        assert page.event("message")[0] == "fence"

    def test_what_came_while_away_arrives_once_and_in_order(self, visitor, connect, send):
        ada = visitor("ada")
        record, tokens = ada.load("/room/away/")
        page = connect(ada, page=record["page"])
        self.subscribe(page, tokens["channel"])
        send(send_update=["away", 0])
        safe = page.event("channel")[1]["safe"]
        page.close()
        for number in range(1, 6):
            send(send_update=["away", number])
        page = connect(ada, page=record["page"], since=safe)
        self.subscribe(page, tokens["channel"], since=safe)
        assert [page.event("channel")[0] for _ in range(5)] == [1, 2, 3, 4, 5]
        send(send_update=["away", 6])
        assert page.event("channel")[0] == 6

    def test_the_token_of_another_session(self, visitor, connect):
        _, tokens = visitor("ada").load("/room/lobby/")
        bob = visitor("bob")
        record, own = bob.load("/room/lobby/")
        page = connect(bob, page=record["page"])
        assert "another session" in self.subscribe(page, tokens["channel"])["error"]
        assert self.subscribe(page, own["channel"])["ok"]

    @pytest.mark.parametrize("token", ["lobby", "", None, 7, {}, "x" * 5000])
    def test_what_is_no_token(self, visitor, connect, token):
        page = open_public(visitor(), connect)
        error = "this token was not made by this site"
        assert self.subscribe(page, token) == {"error": error, "code": "bad_token"}

    def test_events_that_are_none(self, visitor, connect):
        page = open_public(visitor(), connect)
        assert "no event 'shout'" in page.ask("shout", {})["error"]
        for wrong in ([], ["x"], [1, 2]):
            assert "takes one object" in page.ask("subscribe", *wrong)["error"]

    def test_without_a_session_in_a_public_room(self, visitor, connect, send):
        nobody = visitor()
        record, tokens = nobody.load("/room/open/")
        page = connect(page=record["page"])
        assert self.subscribe(page, tokens["channel"])["ok"]
        send(send_update=["open", 1])
        assert page.event("channel")[0] == 1
        assert tokens["user"] == ""

    def test_a_client_that_is_here_for_a_channel_only(self, visitor, connect, send):
        _, tokens = visitor().load("/room/open/")
        device = connect()
        assert self.subscribe(device, tokens["channel"])["ok"]
        send(send_update=["open", 1])
        assert device.event("channel")[0] == 1

    def test_it_ends_with_the_session(self, visitor, connect):
        ada = visitor("ada")
        _, tokens = ada.load("/room/lobby/")
        page = open_public(ada, connect)
        self.subscribe(page, tokens["channel"])
        ada.get("/log-out/")
        page.event("serverpush:logout")

    def test_a_route(self, visitor, connect, send):
        record, tokens = visitor().load("/room/books/")
        page = connect(page=record["page"])
        assert self.subscribe(page, tokens["route"])["route"] == "/api/books/"
        send(push_route=["/api/books/", {"title": "Dunes"}, "custom"])
        data, meta = page.event("route")
        assert data == {"route": "/api/books/", "type": "custom", "body": {"title": "Dunes"}}
        assert meta["route"] == "/api/books/"


def test_disconnecting_a_user_ends_pages_and_devices(live, visitor, connect, send):
    ada, bob = visitor("ada"), visitor("bob")
    _, tokens = ada.load("/room/lobby/")
    device, other = connect(user=tokens["user"]), open_public(bob, connect)
    public = open_public(ada, connect)
    record, _ = ada.load("/room/lobby/")
    page = connect(ada, page=record["page"])
    send(disconnect=[ada.pk])
    device.event("serverpush:logout")
    page.event("serverpush:logout")
    public.event("serverpush:logout")
    assert refusal(live.push_url, {"user": tokens["user"]})["code"] == "session_mismatch"
    send(notify_all=["fence"])
    assert other.event("message")[0] == "fence"


def publish(live, body):
    return requests.post(
        f"{live.notifier_url}/publish",
        json=body,
        headers={"Authorization": f"Bearer {live.manage('serverpush_key').stdout.strip()}"},
        timeout=20,
    )


def test_publishing_by_http(live, visitor, connect):
    page = open_public(visitor(), connect)
    answer = publish(live, {"to": "all", "event": "weather", "data": "sunny"})
    assert answer.status_code == 202
    data, meta = page.event("weather")
    assert (data, meta["id"]) == ("sunny", answer.json()["position"])


def test_publishing_to_a_user_who_is_not_there(live, visitor, connect):
    ada = visitor("ada")
    page = open_public(ada, connect)
    answer = publish(live, {"to": {"users": [ada.pk, 404404]}, "data": 1})
    assert answer.status_code == 400
    assert answer.json() == {"error": "there is no user '404404'"}
    assert publish(live, {"to": "all", "data": "fence"}).status_code == 202
    assert page.event("message")[0] == "fence", "nothing is half-sent"


def test_many_from_http_arrive_in_order(live, visitor, connect):
    page = open_public(visitor(), connect)
    key = live.manage("serverpush_key").stdout.strip()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        for number in range(300):
            body = {"to": "all", "data": number}
            session.post(f"{live.notifier_url}/publish", json=body, timeout=20).raise_for_status()
    assert [page.event("message")[0] for _ in range(300)] == list(range(300))


def test_the_examples_of_the_docs(live, visitor, connect):
    page = open_public(visitor(), connect)
    text = (ROOT / "docs" / "reference" / "notifier.md").read_text()
    section = text.partition("## POST /publish")[2].partition("\n## ")[0]
    curl, node = (re.search(rf"```{each}\n(.*?)```", section, re.S)[1] for each in ("sh", "js"))
    key = live.manage("serverpush_key").stdout.strip()
    environ = {**os.environ, "NOTIFIER_KEY": key}
    curl = curl.replace("$(python manage.py serverpush_key)", key).replace(
        '{"users": [1]}', '"all"'
    )
    for command in (["sh", "-ec", curl], ["node", "--input-type=module", "-e", node]):
        command[-1] = command[-1].replace("http://127.0.0.1:8014", live.notifier_url)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert "accepted" in done.stdout, done.stderr
    assert page.event("greeting")[0] == {"msg": "Hi"}
    assert page.event("weather")[0] == "sunny"


def test_a_loop_of_curl_arrives_in_order(live, visitor, connect, request):
    """``make chaos`` sends a thousand."""
    count = 1000 if request.config.getoption("--full") else 100
    page = open_public(visitor(), connect)
    environ = {**os.environ, "URL": live.notifier_url, "COUNT": str(count)}
    environ["NOTIFIER_KEY"] = live.manage("serverpush_key").stdout.strip()
    loop = """
        for number in $(seq 0 $((COUNT - 1))); do
            curl --silent --show-error --fail --output /dev/null "$URL/publish" \\
                --header "Authorization: Bearer $NOTIFIER_KEY" \\
                --data '{"to": "all", "data": '$number'}'
        done
    """
    subprocess.run(["sh", "-ec", loop], env=environ, check=True, timeout=300)
    assert [page.event("message")[0] for _ in range(count)] == list(range(count))


class TestCommand:
    def test_it_sends(self, live, visitor, connect):
        ada = visitor("ada")
        page = open_public(ada, connect)
        done = live.manage(
            "serverpush_publish", json.dumps({"to": {"users": [ada.pk]}, "data": "Hi"})
        )
        assert done.stdout == "sent\n"
        assert page.event("message")[0] == "Hi"

    def test_it_sends_what_comes_by_standard_input(self, live, visitor, connect):
        page = open_public(visitor(), connect)
        message = {"to": "all", "event": "weather", "data": {"msg": "Grüße, ☀"}}
        text = json.dumps(message, ensure_ascii=False, indent=2) + "\n"
        assert live.manage("serverpush_publish", stdin=text).stdout == "sent\n"
        assert page.event("weather")[0] == {"msg": "Grüße, ☀"}

    def test_nothing_by_standard_input_is_no_message(self, live):
        done = live.manage("serverpush_publish", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("CommandError: the message is not JSON")

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            ("{", "not JSON"),
            ('{"to": "nobody", "data": 1}', "'nobody'"),
            (
                '{"to": {"users": [4711, "x"]}, "data": 1}',
                "refused it: 400 the key of a user is a number",
            ),
            ('{"to": {"users": [4711]}, "data": 1}', "refused it: 400 there is no user '4711'"),
        ],
    )
    def test_what_is_wrong_is_named(self, live, message, named):
        done = live.manage("serverpush_publish", message, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("CommandError: ")
        assert named in done.stderr


class TestRoutes:
    def test_a_model_along_its_own(self, live, visitor, connect):
        nobody = visitor()
        created = "from tests.project.models import Article; a = Article.objects.create(title='x')"
        pk = int(live.shell(f"{created}; print(a.pk)"))
        page = open_public(nobody, connect)
        tokens = json.loads(
            live.shell(
                "import json; from serverpush.tokens import sign_topic\n"
                f"routes = ['/api/articles/', '/api/articles/{pk}/']\n"
                "print(json.dumps([sign_topic(f'route:{each}', '', '') for each in routes]))"
            )
        )
        for token in tokens:
            page.ask("subscribe", {"channel": token})
        live.shell(
            "from tests.project.models import Article\n"
            f"a = Article.objects.get(pk={pk}); a.save(); a.delete()\n"
            "Article.objects.create(title='y')"
        )
        own, all = f"/api/articles/{pk}/", "/api/articles/"
        assert [page.event("route")[0] for _ in range(3)] == [
            {"route": own, "type": "update"},
            {"route": own, "type": "delete"},
            {"route": all, "type": "create"},
        ]


class TestRestarts:
    @pytest.fixture
    def live(self, tmp_path):
        with Live(tmp_path, {"LIVE_URLS": "tests.live.views_messages"}) as live:
            live.start()
            yield live

    def test_a_graceful_one_loses_nothing(self, live, visitor, connect, send):
        ada = visitor("ada")
        record, tokens = ada.load("/room/lobby/")
        page = connect(ada, page=record["page"])
        page.ask("subscribe", {"channel": tokens["channel"]})
        send(send_update=["lobby", 1], notify=["for ada", [ada.pk]])
        first = [page.next()[1] for _ in range(2)]
        safe = max(meta["safe"] for _, meta in first)
        page.close()
        assert live.push.stop() == 0
        send(send_update=["lobby", 2], notify=["again", [ada.pk]])
        live.start_push()
        page = connect(ada, page=record["page"], since=safe)
        assert page.ask("subscribe", {"channel": tokens["channel"], "since": safe})["ok"]
        assert sorted(page.next()[0] for _ in range(2)) == ["channel", "message"]

    def test_a_killed_one_says_so(self, live, visitor, connect):
        ada = visitor("ada")
        record, tokens = ada.load("/room/lobby/")
        page = connect(ada, page=record["page"])
        position = page.ask("subscribe", {"channel": tokens["channel"]})["position"]
        page.close()
        live.push.stop(signal.SIGKILL)
        live.start_push()
        page = connect(ada, page=record["page"], since=position)
        assert page.event("serverpush:refresh")[0]["reason"] == "history"
        page.ask("subscribe", {"channel": tokens["channel"], "since": position})
        told = {"reason": "history", "channel": "lobby"}
        assert page.event("serverpush:refresh")[0] == told


def test_who_subscribes_to_nothing_is_closed(live):
    url = live.push_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    device = websocket.create_connection(url, timeout=20)
    try:
        device.recv()
        device.send("40")
        assert device.recv().startswith("40")
        assert "serverpush:ready" in device.recv()
        while device.recv():
            pass
        assert not device.connected
    finally:
        device.shutdown()
