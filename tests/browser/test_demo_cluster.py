"""The demo with several push servers, as ``make demo-cluster`` runs it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .test_demo import free_ports, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo-cluster")
    with running("cluster.py", folder, {"PORT": free_ports(1)[0]}) as address:
        yield address


@pytest.fixture
def three(demo, window):
    """The same page in three windows: each is with another server, as they are spread."""

    def three(path):
        return [window(f"{demo}{path}") for _ in range(3)]

    return three


def server_of(page):
    return page.evaluate("serverpush.server")


def test_windows_on_several_servers_see_each_others_changes(three):
    pages = three("/counter/")
    assert len({server_of(page) for page in pages}) == 3
    for page in pages:
        expect(page.locator("[data-server]")).to_have_text(server_of(page))
        before = int(page.inner_text("#count"))
        page.click("text=+1")
        for each in pages:
            expect(each.locator("#count")).to_have_text(str(before + 1))


def test_a_window_whose_server_is_killed_is_with_another_and_misses_nothing(three):
    stays, moves, _ = three("/counter/")
    killed = server_of(moves)
    before = int(stays.inner_text("#count"))
    moves.click("text=Kill it")
    stays.click("text=+1")
    moves.wait_for_function(
        "killed => serverpush.connected && serverpush.server !== killed", arg=killed
    )
    expect(moves.locator("#count")).to_have_text(str(before + 1))
    expect(moves.locator("[data-server]")).to_have_text(server_of(moves))
