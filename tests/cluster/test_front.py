"""The shipped ``push-servers.conf`` before several push servers."""

from __future__ import annotations

import pytest

from tests.cluster.front import Front
from tests.live.clients import Client


@pytest.fixture(scope="module")
def front(two, tmp_path_factory):
    front = Front(tmp_path_factory.mktemp("nginx") / "front", [each.port for each in two.servers])
    yield front
    front.stop()


@pytest.fixture
def connect(two, front):
    clients = []

    def connect(transport):
        record, _ = two.visitor().load("/public/")
        url = f"http://127.0.0.1:{front.port}"
        clients.append(Client(url, {"page": record["page"]}, transports=[transport]))
        clients[-1].event("serverpush:ready")
        return clients[-1]

    yield connect
    for each in clients:
        each.close()


def test_websockets_are_spread(two, connect):
    pages = [connect("websocket") for _ in range(6)]
    assert [two.health(number)["connections"] for number in (0, 1)] == [3, 3]
    two.send(notify_all=["all"])
    for page in pages:
        assert page.event("message")[0] == "all"


def test_all_requests_of_one_that_polls_come_to_one_server(two, connect):
    pages = [connect("polling") for _ in range(4)]
    for number in range(5):
        two.send(notify_all=[number])
        for page in pages:
            assert page.event("message")[0] == number
