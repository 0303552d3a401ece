"""Other standard clients, and saves from many processes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from .clients import Client, browse
from .processes import ROOT, Live, Process

NODE_CLIENT = ROOT / "tests" / "live" / "node_client.mjs"


class NodeClient:
    """Node's socket.io-client in a process of its own."""

    def __init__(self, live, auth):
        command = ["node", str(NODE_CLIENT), live.push_url, json.dumps(auth)]
        self.process = Process(command, live.environ)

    def event(self, name):
        found, arguments = json.loads(self.process.wait_for(r"^\[.*\]$", 20)[0])
        assert found == name, (found, arguments)
        return arguments

    def close(self):
        self.process.stop()


def test_nodes_client_gets_the_same_events_by_token_and_by_url(live):
    _, record = browse(f"{live.url}/author/1/")
    node_by_page = NodeClient(live, {"page": record["page"], "since": record["since"]})
    node_by_url = NodeClient(live, {"url": "/author/1/"})
    python = Client(live.push_url, {"page": record["page"], "since": record["since"]})
    try:
        python.event("serverpush:ready")
        node_by_page.event("serverpush:ready")
        node_by_url.event("serverpush:ready")
        requests.get(f"{live.url}/author/1/save/?name=Node", timeout=20)
        expected = list(python.event("author"))
        assert expected[0]["name"] == "Node"
        assert node_by_page.event("author") == expected
        assert node_by_url.event("author") == expected
    finally:
        node_by_page.close()
        node_by_url.close()
        python.close()


@pytest.fixture
def four_workers(tmp_path):
    live = Live(tmp_path)
    try:
        live.migrate()
        live.start_push()
        live.start_site(workers=4)
        yield live
    finally:
        live.stop()


def test_saves_from_four_gunicorn_workers_all_arrive(four_workers):
    live = four_workers
    live.shell(
        "from tests.project.models import Author\n"
        "Author.objects.bulk_create(Author(pk=pk, name='') for pk in range(1, 41))"
    )
    _, record = browse(f"{live.url}/authors/")
    client = Client(live.push_url, {"page": record["page"]})
    client.event("serverpush:ready")

    def save(pk):
        # A connection of its own each time: the kernel spreads them over the workers.
        response = requests.get(f"{live.url}/author/{pk}/save/?name=author{pk}", timeout=20)
        response.raise_for_status()
        return response.headers["X-Process"]

    with ThreadPoolExecutor(8) as threads:
        processes = set(threads.map(save, range(1, 41)))
    got = {}
    while len(got) < 40:
        payload, meta = client.event("author")
        got[meta["pk"]] = payload["name"]
    client.close()
    assert got == {pk: f"author{pk}" for pk in range(1, 41)}
    assert len(processes) == 4, "not every worker has saved"
