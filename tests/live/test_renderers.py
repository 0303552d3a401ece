"""Renderers that hang, die or are gone: one update is late or missing, the rest arrives."""

from __future__ import annotations

import os
import resource
import signal

import pytest
import requests

from .clients import Client, browse
from .processes import Live, wait_until

# Of the updates of the page /mixed/, one raises and one gives what JSON can't hold.
HEALTHY = {"fine", "missing"}
BROKEN = {"serverpush:refresh"}


@pytest.fixture
def live(tmp_path):
    live = Live(tmp_path, {"LIVE_RENDERERS": "2", "LIVE_RENDER_TIMEOUT": "1"})
    try:
        live.migrate()
        live.start_push()
        live.start_site()
        live.shell("from tests.project.models import Author; Author.objects.create(pk=1)")
        yield live
    finally:
        live.stop()


@pytest.fixture
def client(live):
    _, record = browse(f"{live.url}/mixed/")
    client = Client(live.push_url, {"page": record["page"]})
    client.event("serverpush:ready")
    yield client
    client.close()


def save(live, name):
    requests.get(f"{live.url}/author/1/save/?name={name}", timeout=20).raise_for_status()


def told(client, count):
    return {client.next()[0] for _ in range(count)}


def renderers(live):
    with open(f"/proc/{live.push.pid}/task/{live.push.pid}/children") as file:
        return {int(each) for each in file.read().split()}


def healthy(live):
    return requests.get(f"{live.notifier_url}/health", timeout=20).json()["renderers"] == 2


def test_a_serializer_that_hangs_costs_itself_only_and_its_renderer_is_replaced(live, client):
    before = renderers(live)
    save(live, "slow")
    assert told(client, 4) == HEALTHY | BROKEN
    live.push.wait_for(r"update 'hangs' of project\.author 1: no result within 1 s")
    wait_until(lambda: healthy(live), "both renderers are ready again")
    assert len(renderers(live) - before) == 1
    # The page can't know what it misses, so it is told.
    assert client.event("serverpush:refresh") == ({"reason": "error"},)
    # The next change tries again.
    save(live, "quick")
    got = dict(client.next() for _ in range(5))
    assert got["hangs"][0] == "quick"


def test_a_renderer_killed_in_the_middle_of_a_job_is_replaced_and_the_job_done_again(
    live, client, tmp_path
):
    flag = tmp_path / "wait"
    flag.write_text("")
    save(live, f"wait:{flag}")
    assert told(client, 4) == HEALTHY | BROKEN
    busy = int(wait_until(flag.read_text, "a renderer says that it waits"))
    os.kill(busy, signal.SIGKILL)
    assert client.next()[0] == "hangs"
    wait_until(lambda: healthy(live), "both renderers are ready again")
    assert busy not in renderers(live)


def test_idle_renderers_that_die_are_noticed_and_health_says_so(live):
    for pid in renderers(live):
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: requests.get(f"{live.notifier_url}/health", timeout=20).status_code == 503,
        "/health answers 503",
    )
    wait_until(lambda: healthy(live), "both renderers are ready again")


def test_renderers_come_back_after_the_server_had_no_descriptors_left(live):
    pid, limit = live.push.pid, resource.RLIMIT_NOFILE
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (3, before[1]))
    for renderer in renderers(live):
        os.kill(renderer, signal.SIGKILL)
    live.push.wait_for("a renderer could not start: .*Too many open files")
    resource.prlimit(pid, limit, before)
    wait_until(lambda: healthy(live), "both renderers are ready again")
