"""Renderings that write, and pages that write when they are loaded: nothing goes round for ever."""

from __future__ import annotations

import re

import pytest
import requests

from tests.browser.conftest import chromium, window  # noqa: F401

from .clients import Client, browse
from .processes import Live
from .views_writes import COUNTER, FENCE

# More round trips than a write takes to come back as an event, were it reported.
FENCES = 20
# Of the page's own clock: minutes, and milliseconds at a time.
MINUTES, STEP = 8, 2_000
# Five in the first minute, then after 1, 2 and 4 more.
MOST_LOADS = 8


def start(folder, **environ):
    live = Live(folder, {"LIVE_URLS": "tests.live.views_writes", "LIVE_RENDERERS": "2", **environ})
    try:
        live.migrate()
        # The second time the renderers know the notifier's port: a change could be reported.
        live.start_push().stop()
        live.start_push()
        live.start_site()
        live.shell(
            "from tests.project.models import Author\n"
            f"for pk in {COUNTER}, {FENCE}: Author.objects.create(pk=pk, name=0)"
        )
        yield live
    finally:
        live.stop()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    yield from start(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def developing(tmp_path_factory):
    yield from start(tmp_path_factory.mktemp("developing"), LIVE_DEBUG="1")


@pytest.fixture
def connect():
    clients = []

    def connect(live, **auth):
        client = Client(live.push_url, auth)
        clients.append(client)
        client.event("serverpush:ready")
        return client

    yield connect
    for client in clients:
        client.close()


def hits(live):
    return int(requests.get(f"{live.url}/hits/", timeout=20).text)


def save(live, pk, name):
    url = f"{live.url}/author/{pk}/save/?name={name}"
    requests.get(url, timeout=20).raise_for_status()


def renderings(live):
    text = requests.get(f"{live.notifier_url}/metrics", timeout=20).text
    found = re.findall(r'serverpush_job_seconds_count\{job="render",outcome="\w+"\} (\S+)', text)
    return sum(int(float(each)) for each in found)


def until_fenced(live, *clients):
    """What comes to each while other events go all the way, one after another."""
    came = [[] for _ in clients]
    for number in range(FENCES):
        save(live, FENCE, f"fence {number}")
        for client, events in zip(clients, came, strict=True):
            while (event := client.next())[0] != "fence":
                events.append(event[0])
    return came


def test_a_view_that_counts_its_hits_is_rendered_once_for_each_change(live, connect):
    _, record = browse(f"{live.url}/counter/")
    client = connect(live, page=record["page"])
    # The hit of its own loading.
    client.event("hits")
    before, rendered = hits(live), renderings(live)
    save(live, COUNTER, before)
    payload, _ = client.event("hits")
    assert f"<body>{before + 1}</body>" in payload
    assert until_fenced(live, client) == [[]]
    assert renderings(live) - rendered == 1 + FENCES
    assert hits(live) == before + 1


def test_so_it_is_for_a_page_that_connects_by_url_whose_resolving_writes_nothing(live, connect):
    before, rendered = hits(live), renderings(live)
    client = connect(live, url="/counter/")
    assert until_fenced(live, client) == [[]]
    assert hits(live) == before
    save(live, COUNTER, before)
    client.event("hits")
    assert until_fenced(live, client) == [[]]
    assert renderings(live) - rendered == 1 + 2 * FENCES
    assert hits(live) == before + 1


def test_two_pages_that_count_do_not_answer_each_other(live, connect):
    pages = [connect(live, page=browse(f"{live.url}/counter/")[1]["page"]) for _ in range(2)]
    until_fenced(live, *pages)
    save(live, COUNTER, hits(live))
    assert until_fenced(live, *pages) == [["hits"], ["hits"]]


def test_a_write_is_named_in_the_log(live):
    live.push.wait_for("a rendering wrote to the database: .*'hits'")
    assert live.push.output.count("a rendering wrote to the database") <= 2  # once a renderer


def test_under_debug_it_is_refused_by_name_and_the_client_told_to_refresh(developing, connect):
    before = hits(developing)
    client = connect(developing, url="/counter/")
    save(developing, COUNTER, before)
    assert client.event("serverpush:refresh") == ({"reason": "error"},)
    developing.push.wait_for("update 'hits' may only read, but its serializer runs .*UPDATE")
    assert until_fenced(developing, client) == [[]]
    assert hits(developing) == before


def test_a_page_that_writes_when_it_is_loaded_and_fails_to_render_is_loaded_ever_more_rarely(
    live,
    window,  # noqa: F811
):
    before = hits(live)
    page = window("about:blank", wait=False)
    page.clock.install()
    page.goto(f"{live.url}/broken/")
    for _ in range(MINUTES * 60_000 // STEP):
        page.clock.run_for(STEP)
        # A round trip of its own, so that others have had the time for one.
        page.evaluate("() => fetch('/hits/').then((response) => response.text())")
    loads = hits(live) - before - 1
    assert 1 <= loads <= MOST_LOADS
    assert page.locator("html").get_attribute("data-serverpush") == "offline"
    live.push.wait_for("update 'hits' of .*it broke")
