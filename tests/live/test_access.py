"""Access ends when it ends: real site, push server, database and clients."""

from __future__ import annotations

import time

import pytest

from .browsers import BUSY, SECOND, all_end, is_refreshed, start_access_site, wait_until_looked_at


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    live = start_access_site(tmp_path_factory.mktemp("access"))
    yield live
    live.stop()


@pytest.fixture
def second(request):
    """In which access ends."""
    return SECOND if request.config.getoption("--full") else BUSY


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_logging_out(live, browser, second, transport):
    here, stranger = browser(), browser()
    elsewhere = browser(here.name)
    pages = [here.open(transport=transport), here.open()]
    there, others = elsewhere.open(transport=transport), stranger.open(transport=transport)
    wait_until_looked_at(browser, live)
    here.session.get(f"{live.url}/log-out/", allow_redirects=False, timeout=20)
    since = time.time()
    all_end(pages, since, second)
    there.is_live(elsewhere)
    others.is_live(stranger)


@pytest.mark.parametrize("what", ["another-password", "not-active", "deleted"])
def test_what_happens_to_a_user(live, browser, second, what):
    here, stranger = browser(), browser()
    elsewhere = browser(here.name)
    pages, others = [here.open(), elsewhere.open()], stranger.open()
    wait_until_looked_at(browser, live)
    since = here.happens(what)
    all_end(pages, since, second)
    others.is_live(stranger)


def test_changing_ones_own_password(live, browser, second):
    here = browser()
    elsewhere = browser(here.name)
    page, there = here.open(), elsewhere.open()
    wait_until_looked_at(browser, live)
    here.session.cookies["csrftoken"] = "c" * 32
    data = {"old_password": "first", "csrfmiddlewaretoken": "c" * 32}
    data |= dict.fromkeys(("new_password1", "new_password2"), "a second one")
    changed = here.session.post(f"{live.url}/my-password/", data, allow_redirects=False, timeout=20)
    assert (changed.status_code, changed.headers["Location"]) == (302, "/me/")
    # Its session has another key; the page that is loaded now is of that one.
    all_end([page, there], time.time(), second)
    here.open().is_live(here)


def test_logging_in_as_another(live, browser, second):
    here = browser()
    page = here.open()
    wait_until_looked_at(browser, live)
    here.get(f"/join/{browser().name}/")
    all_end([page], time.time(), second)


def test_what_is_rolled_back_ends_nothing(browser):
    here = browser()
    page = here.open()
    here.happens("rolled-back")
    page.is_live(here)


def test_a_group_that_is_lost(live, browser, second):
    here, stranger = browser(), browser()
    page, others = here.open("/vault/"), stranger.open()
    wait_until_looked_at(browser, live)
    is_refreshed(page, here.happens("not-a-reader"), second)
    assert here.session.get(f"{live.url}/vault/", timeout=20).status_code == 403
    others.is_live(stranger)
    # Another page of theirs is loaded anew, and goes on.
    here.open().is_live(here)
