"""A real Chromium: Debian's, driven by Playwright."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.live.conftest import live  # noqa: F401

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the whole session: Playwright keeps an event loop running in this thread, in
# which neither Django's ORM nor asyncio.run() would work.
@pytest.fixture(scope="module")
def chromium():
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert found, "install Debian's package chromium, or set CHROMIUM to a browser's path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """Opens windows, each with cookies of its own; console errors fail the test."""
    contexts, errors = [], []

    def window(url, *, wait=True, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        if wait:
            connected(page)
        return page

    yield window
    for context in contexts:
        context.close()
    assert errors == []


def connected(page):
    page.wait_for_selector("html[data-serverpush=connected]", state="attached")
