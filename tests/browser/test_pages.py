"""In a real browser: what the original README promises, and what users see."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import connected

pytestmark = pytest.mark.browser

RENAME = """
from django.contrib.auth.models import User
user = User.objects.get(username={old!r})
user.username = {new!r}
user.save()
"""


def rename(live, old, new):
    live.shell(RENAME.format(old=old, new=new))


def save(live, name):
    live.shell(
        "from tests.project.models import Author\n"
        f"Author.objects.update_or_create(pk=1, defaults={{'name': {name!r}}})"
    )


@pytest.mark.parametrize("path", ["by-map", "by-function", "hello"])
def test_each_serializer_with_the_readmes_own_jquery(live, window, path):
    page = window(f"{live.url}/log-in/ada/?next=/{path}/")
    expect(page.locator("body")).to_contain_text("Hey, ada!")
    try:
        rename(live, "ada", "Ada Lovelace")
        expect(page.locator("body")).to_have_text("Hey, Ada Lovelace!")
    finally:
        rename(live, "Ada Lovelace", "ada")
    expect(page.locator("body")).to_have_text("Hey, ada!")


def test_a_change_saved_between_rendering_and_connecting_arrives(live, window):
    save(live, "Before")
    page = window("about:blank", wait=False)
    # The script arrives late: the save comes first.
    held = []
    page.route("**/serverpush.js", lambda route: held.append(route))
    page.goto(f"{live.url}/author/1/", wait_until="commit")
    expect(page.locator("#name")).to_have_text("Before")
    save(live, "Between")
    page.wait_for_function("() => true")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator("#name")).to_have_text("Between")


def test_nothing_arrives_twice_after_a_reconnect(live, window):
    page = window(f"{live.url}/author/1/")
    save(live, "One")
    expect(page.locator("#name")).to_have_text("One")
    page.context.set_offline(True)
    page.wait_for_selector("html[data-serverpush=offline]", state="attached")
    save(live, "Two")
    page.context.set_offline(False)
    connected(page)
    expect(page.locator("#events li")).to_have_text(["One", "Two"])
    save(live, "Three")
    expect(page.locator("#events li")).to_have_text(["One", "Two", "Three"])


def test_a_rolled_back_save_never_arrives(live, window):
    page = window(f"{live.url}/author/1/")
    assert page.request.get(f"{live.url}/author/1/roll-back/").ok
    save(live, "Kept")
    expect(page.locator("#events li")).to_have_text(["Kept"])


def test_a_page_follows_across_a_restart_of_the_push_server(live, window):
    page = window(f"{live.url}/author/1/")
    save(live, "Up")
    expect(page.locator("#name")).to_have_text("Up")
    live.push.stop()
    page.wait_for_selector("html:not([data-serverpush=connected])", state="attached")
    live.start_push()
    save(live, "Up again")
    expect(page.locator("#name")).to_have_text("Up again", timeout=15000)


def test_history_that_is_gone_refreshes_the_page(live, window):
    page = window(f"{live.url}/author/1/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<input id=typed>')")
    live.push.stop(9)
    page.wait_for_selector("html:not([data-serverpush=connected])", state="attached")
    live.start_push()
    save(live, "After the crash")
    expect(page.locator("#name")).to_have_text("After the crash", timeout=20000)


def test_the_timestamp_and_the_script_are_enough(live, window):
    page = window(f"{live.url}/mark/1/?from=here")
    assert page.locator("#serverpush-page").count() == 0
    save(live, "By its address")
    expect(page.locator("#name")).to_have_text("By its address")


def test_it_waits_for_the_deferred_scripts_that_bind_handlers(live, window):
    page = window("about:blank", wait=False)
    held = []
    page.route("**/later.js", lambda route: held.append(route))
    page.goto(f"{live.url}/deferred/1/", wait_until="commit")
    page.wait_for_function("window.serverpush")
    assert page.evaluate("document.documentElement.dataset.serverpush") is None
    save(live, "Deferred")
    while not held:
        page.wait_for_timeout(20)
    script = "serverpush.on('author', (data) => document.querySelector('h1').append(data.name))"
    held[0].fulfill(body=script, content_type="text/javascript")
    expect(page.locator("#name")).to_contain_text("Deferred")


def test_a_list_keeps_focus_and_typed_input(live, window):
    page = window(f"{live.url}/books/")
    page.fill("#search", "du")
    live.shell("from tests.project.models import Book; Book.objects.create(title='Momo')")
    expect(page.locator("#books li").last).to_have_text("Momo")
    assert page.input_value("#search") == "du"
    assert page.evaluate("document.activeElement.id") == "search"


def test_a_logout_in_one_tab_reaches_the_other_within_a_second(live, window):
    page = window(f"{live.url}/log-in/ada/?next=/by-map/")
    expect(page.locator("body")).to_contain_text("Hey, ada!")
    other = page.context.new_page()
    other.goto(f"{live.url}/log-out/", wait_until="commit")
    expect(page.locator("body")).not_to_contain_text("ada", timeout=1000)
