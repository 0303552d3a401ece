"""A page in Chromium, over HTTPS through each proxy."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import chromium, connected, window  # noqa: F401

pytestmark = pytest.mark.browser


def save(proxy, name):
    proxy.live.shell(
        "from tests.project.models import Author\n"
        f"Author.objects.update_or_create(pk=1, defaults={{'name': {name!r}}})"
    )


def test_a_page_follows_a_save_and_a_restart(proxy, window):  # noqa: F811
    page = window(f"{proxy.url}/author/1/", ignore_https_errors=True)
    save(proxy, "Through a proxy")
    expect(page.locator("#name")).to_have_text("Through a proxy")
    proxy.live.push.stop()
    page.wait_for_selector("html:not([data-serverpush=connected])", state="attached")
    proxy.live.start_push()
    save(proxy, "After a restart")
    expect(page.locator("#name")).to_have_text("After a restart", timeout=15000)
    connected(page)
