"""What an operator sees: lines, metrics and health, and no secret in any of them."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from serverpush import labels, tokens
from serverpush.conf import config
from serverpush.protocol import Condition, Dependency, Page, Serializer
from serverpush.server.app import Addresses, PushServer

from .clients import Client, browse, refusal
from .processes import wait_until

CANARY = "canary-7f3a"


def metrics(live):
    text = requests.get(f"{live.notifier_url}/metrics", timeout=20).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def session(live):
    session = requests.Session()
    session.get(f"{live.url}/log-in/ada/?next=/by-map/", timeout=20)
    return session


def test_a_day_in_lines_and_metrics_and_no_secret_in_them(live, session):
    before = metrics(live)
    _, record = browse(f"{live.url}/by-map/", session)
    cookie = f"sessionid={session.cookies['sessionid']}; other={CANARY}"
    headers = {"Cookie": cookie}
    client = Client(live.push_url, {"page": record["page"]}, headers=headers)
    live.push.wait_for(r"^connect client=\S+ page=/by-map/ user=1 address=127\.0\.0\.1$")
    client.event("serverpush:ready")
    live.shell(
        "from django.contrib.auth.models import User\n"
        f"User.objects.filter(pk=1).first().save()\n"
        f"user = User.objects.get(pk=1); user.username = '{CANARY}'; user.save()\n"
    )
    assert client.event("username_change")[0] in ({"username": "ada"}, {"username": CANARY})
    refused = refusal(live.push_url, {"page": f"{CANARY}{record['page']}"}, headers=headers)
    assert refused["code"] == "bad_token"
    live.push.wait_for(r"^refuse code=bad_token address=127\.0\.0\.1$")
    channel = tokens.sign_topic("channel:news", "", "")
    assert client.ask("subscribe", {"channel": f"{CANARY}{channel}"})["code"] == "bad_token"
    assert client.ask("subscribe", {"channel": channel})["ok"]
    user = f"{CANARY}:{record['page']}"
    assert refusal(live.push_url, {"user": user}, headers=headers)["code"] == "bad_token"
    assert publish(live, {"to": {"channel": "news"}, "data": {"told": CANARY}}) == 202
    while (found := client.next())[0] != "channel":
        assert found[0] == "username_change"
    assert found[1][0] == {"told": CANARY}
    assert publish(live, {"to": "all", "event": "x y", "data": {"told": CANARY}}) == 400
    assert publish(live, {"to": {"users": [4711]}, "data": {"told": CANARY}}) == 400
    assert requests.post(f"{live.notifier_url}/notify", b"{", timeout=20).status_code == 401
    live.push.wait_for(r"^reject path=/notify address=127\.0\.0\.1 status=401 error=")
    busy = re.search(r"\d+", children(live))
    os.kill(int(busy[0]), signal.SIGKILL)
    live.push.wait_for(rf"^renderer replaced pid={busy[0]} reason=died$")
    report_a_gap(live)
    live.push.wait_for(r"^gap reason=\"the test's own\"$")
    live.push.wait_for(r"^refresh reason=gap clients=1$")
    client.close()
    after = metrics(live)
    for name in (
        ("serverpush_connects_total",),
        ("serverpush_deliveries_total",),
        ("serverpush_changes_total",),
        ("serverpush_gaps_total",),
        ("serverpush_commit_to_emit_seconds_count",),
        ("serverpush_refusals_total", "bad_token"),
        ("serverpush_refreshes_total", "gap"),
        ("serverpush_renderers_replaced_total", "died"),
        ("serverpush_rejected_calls_total", "401"),
        ("serverpush_job_seconds_count", "render", "done"),
    ):
        assert after[name] > before.get(name, 0), name
    secrets = [CANARY, record["page"], session.cookies["sessionid"], tokens.notifier_key()]
    secrets.append(channel)
    assert not [each for each in secrets if each in live.push.output]


def children(live):
    with open(f"/proc/{live.push.pid}/task/{live.push.pid}/children") as file:
        return file.read()


def report_a_gap(live):
    assert post(live, "/notify", {"changes": [], "gap": "the test's own"}) == 202


def publish(live, message):
    return post(live, "/publish", message)


def post(live, path, body):
    return requests.post(
        live.notifier_url + path,
        json=body,
        headers={"Authorization": f"Bearer {tokens.notifier_key()}"},
        timeout=20,
    ).status_code


@pytest.fixture
def server(tmp_path, settings):
    """A push server in a thread of this process, so that a fault can be put in."""
    database = str(tmp_path / "live.sqlite3")
    server = PushServer(
        config=replace(config(), renderers=1),
        addresses=Addresses("127.0.0.1", 0, "127.0.0.1", 0),
        models=labels.table(),
        state_file=lambda port: tmp_path / "state.json",
    )
    ready = threading.Event()

    def note(addresses, renderers):
        server.addresses = addresses
        ready.set()

    os.environ["LIVE_DATABASE"] = database
    thread = threading.Thread(target=server.run, args=(note,))
    thread.start()
    assert ready.wait(60)
    yield server
    server.stop()
    thread.join(20)
    assert not thread.is_alive()
    del os.environ["LIVE_DATABASE"]


def health(server):
    url = f"http://127.0.0.1:{server.addresses.notifier_port}/health"
    answer = requests.get(url, timeout=20)
    return answer.status_code, answer.json()["status"]


def notify(server, *pks):
    return requests.post(
        f"http://127.0.0.1:{server.addresses.notifier_port}/notify",
        json={"changes": [{"model": "project.author", "pk": pk} for pk in pks or (1,)]},
        headers={"Authorization": f"Bearer {tokens.notifier_key()}"},
        timeout=20,
    ).status_code


def broken(*arguments):
    raise RuntimeError("a mistake of the core")


def author_page(pk=1):
    now = time.time()
    condition = Condition("project.author", (("pk", pk),))
    update = Dependency("author", condition, Serializer("fields"), data='{"pk":"object.pk"}')
    return Page("/", host="127.0.0.1", time=now, recorded=now, dependencies=(update,))


def connect(server, page):
    address = f"http://127.0.0.1:{server.addresses.port}"
    client = Client(address, {"page": tokens.sign_page(page)})
    client.event("serverpush:ready")
    return client


@contextmanager
def renderers_stopped():
    """The renderers of this process's push server do nothing for a while."""
    found = [
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
        if "serverpush.renderer" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    assert found
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in found:
        os.kill(pid, signal.SIGCONT)


def samples(server):
    url = f"http://127.0.0.1:{server.addresses.notifier_port}/metrics"
    return list(text_string_to_metric_families(requests.get(url, timeout=20).text))


def gauges(server):
    found = {each.name: each.samples[0].value for each in samples(server) if each.type == "gauge"}
    return {name.removeprefix("serverpush_"): value for name, value in found.items()}


def test_the_docs_name_all_metrics(server):
    page = Path("docs/how-to/monitor.md").read_text()
    named = set(re.findall(r"`(serverpush_\w+)`", page.partition("## Metrics")[2]))
    served = {
        f"{each.name}_total" if each.type == "counter" else each.name for each in samples(server)
    }
    # Beside each the library tells since when it counts.
    served = {each for each in served if not each.endswith("_created")}
    assert named == {each for each in served if each.startswith("serverpush_")}


def test_what_waits_is_seen(server):
    """One is being rendered, and two instances wait for their turn."""
    clients = [connect(server, author_page(pk)) for pk in (1, 2, 3)]
    before = gauges(server)
    assert (before["connections"], before["renderers"], before["renderings_waiting"]) == (3, 1, 0)
    with renderers_stopped():
        assert notify(server, 1, 2, 3) == 202
        wait_until(lambda: gauges(server)["renderings_waiting"] == 2, "two renderings wait")
        assert gauges(server)["log_entries"] == before["log_entries"] + 3
    wait_until(lambda: gauges(server)["renderings_waiting"] == 0, "none waits")
    for each in clients:
        each.close()


def test_a_log_that_can_not_be_fed_shows_in_health(server, monkeypatch):
    assert health(server) == (200, "ok")

    with monkeypatch.context() as patch:
        patch.setattr(server.parts.dispatch, "changed", broken)
        assert notify(server) == 500
        assert health(server) == (503, "the log can't be fed")
    assert notify(server) == 202
    assert health(server) == (200, "ok")


def test_a_clockwork_that_stopped_shows_in_health(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(server.parts.access, "tick", broken)
        wait_until(lambda: health(server) == (503, "the log can't be fed"), "/health answers 503")
    wait_until(lambda: health(server) == (200, "ok"), "/health answers 200 again")


@pytest.mark.parametrize("methods", [["answer"], ["answer", "failed"]])
def test_a_mistake_of_the_core_is_no_silence(server, monkeypatch, methods):
    """Who was to get a result that could not be taken is told, and hears of the next change."""
    client = connect(server, author_page())
    with monkeypatch.context() as patch:
        for method in methods:
            patch.setattr(server.parts.dispatch, method, broken)
        assert notify(server) == 202
        (told,) = client.event("serverpush:refresh")
        assert told["reason"] == ("error" if methods == ["answer"] else "gap")
    if methods == ["answer"]:
        assert notify(server) == 202
        # Refused, or not: what counts is that it was rendered.
        client.event("serverpush:refresh")
    client.close()
