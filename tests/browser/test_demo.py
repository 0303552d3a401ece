"""The demo as ``make demo`` runs it, in two windows."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import expect

from tests.live.processes import ROOT, Process

from .conftest import connected

pytestmark = pytest.mark.browser


def free_ports(count):
    """Ports that are free now: the demo prints its address, so it has to be told its ports."""
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [str(sock.getsockname()[1]) for sock in socks]


@contextmanager
def running(script, folder, ports):
    """A script of the demo's, with these ports and a database of its own; the demo's address."""
    environ = {
        **os.environ,
        **ports,
        "DEMO_DATABASE": str(folder / "demo.sqlite3"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    # The tests' own settings are not the demo's.
    del environ["DJANGO_SETTINGS_MODULE"]
    process = Process([sys.executable, str(ROOT / "demo" / script)], environ)
    try:
        yield process.wait_for(r"The demo is ready: (http://[^/]+)/")[1]
    finally:
        assert process.stop() == 0, process.output


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    ports = dict(zip(("PORT", "PUSH_PORT", "NOTIFIER_PORT"), free_ports(3), strict=True))
    with running("run.py", tmp_path_factory.mktemp("demo"), ports) as address:
        yield address


@pytest.fixture
def two(demo, window):
    """The same page in the windows of two visitors."""

    def two(path, name=None):
        one, other = window(f"{demo}{path}"), window(f"{demo}{path}")
        if name:
            one.goto(f"{demo}/login/?next={path}")
            one.fill("#id_username", name)
            one.fill("#id_password", "demo")
            one.click("form.card button")
            one.wait_for_url(f"{demo}{path}")
            connected(one)
        return one, other

    return two


def test_the_counter_in_two_windows(two):
    one, other = two("/counter/")
    before = int(one.inner_text("#count"))
    one.click("text=+1")
    for page in (one, other):
        expect(page.locator("#count")).to_have_text(str(before + 1))
    other.click("text=+1")
    for page in (one, other):
        expect(page.locator("#count")).to_have_text(str(before + 2))


def test_hello_three_ways(two):
    one, other = two("/hello/")
    one.fill("#id_name", "Grace & co")
    one.click("text=Say hello")
    for page in (one, other):
        for frame in page.locator("iframe").all():
            expect(frame.content_frame.locator("body")).to_have_text("Hey, Grace & co!")


def test_the_task_board_in_two_windows_one_logged_out(two):
    one, other = two("/tasks/", "ada")
    expect(other.locator("text=Log in to edit")).to_be_visible()
    one.fill("#new-title", "Write a test")
    one.click("#add button")
    for page in (one, other):
        expect(page.locator("#todo .task").last).to_contain_text("Write a test")
    task = one.locator("#todo .task").last
    task.locator("[aria-label*='to Doing']").click()
    for page in (one, other):
        expect(page.locator("#doing .task").last).to_contain_text("Write a test")
        expect(page.locator("#todo")).not_to_contain_text("Write a test")
    one.locator("#doing .task").last.locator(".delete").click()
    for page in (one, other):
        expect(page.locator("#doing")).not_to_contain_text("Write a test")
    # What one may do is not pushed to the other.
    expect(other.locator("text=Log in to edit")).to_be_visible()
    assert other.locator("#add, .delete").count() == 0
    assert one.locator("#add").count() == 1


def test_the_chat_of_two_and_one_who_reads_along(two, window, demo):
    ada, nobody = two("/chat/", "ada")
    grace, other = two("/chat/", "grace")
    other.close()
    for page in (ada, grace, nobody):
        expect(page.locator("#users li")).to_have_text(["ada", "grace"])
        expect(page.locator("#visitors")).to_have_text("and 1 reading along")
    for page, text in ((ada, "Hello <b>all</b>"), (grace, "Hi!")):
        page.fill("#text", text)
        page.click("#say button")
        expect(page.locator("#text")).to_have_value("")
    for page in (ada, grace, nobody):
        said = page.locator("#lines li:not(.note)")
        expect(said.last).to_have_text("grace Hi!")
        assert said.all_inner_texts()[-2:] == ["ada Hello <b>all</b>", "grace Hi!"]
    # What was missed while the connection was away arrives once.
    nobody.context.set_offline(True)
    nobody.evaluate("serverpush.stop()")
    ada.fill("#text", "Still there?")
    ada.click("#say button")
    expect(grace.locator("#lines li").last).to_have_text("ada Still there?")
    nobody.context.set_offline(False)
    nobody.evaluate("serverpush.start()")
    expect(nobody.locator("#lines li").last).to_have_text("ada Still there?")
    for text in ("Hi!", "Still there?"):
        assert nobody.locator("#lines li", has_text=text).count() == 1
    # Others are told of who is gone, in a while.
    grace.close()
    expect(ada.locator("#users li")).to_have_text(["ada"], timeout=40_000)


def test_notes_ring_in_all_windows_of_their_user_and_in_no_other(two, demo):
    ada, nobody = two("/counter/", "ada")
    grace, other = two("/counter/", "grace")
    other.close()
    second = grace.context.new_page()
    second.goto(f"{demo}/bell/")
    connected(second)
    ada.goto(f"{demo}/bell/")
    connected(ada)
    ada.select_option("#recipient", label="grace")
    ada.fill("#note", "Only for <b>grace</b>")
    ada.click("#ring button")
    for page in (grace, second):
        expect(page.locator("#bell")).to_have_attribute("data-unread", "1")
        expect(page.locator("[data-notice]")).to_have_text("ada: Only for <b>grace</b>")
    expect(second.locator("#notes li").first).to_have_text("ada Only for <b>grace</b>")
    # What comes next to everybody tells that it did not come to others.
    before = int(nobody.inner_text("#count"))
    grace.click("text=+1")
    expect(nobody.locator("#count")).to_have_text(str(before + 1))
    for page in (ada, nobody):
        assert page.locator("text=Only for").count() == 0
    # And back.
    second.select_option("#recipient", label="ada")
    second.fill("#note", "Back to ada")
    second.click("#ring button")
    expect(ada.locator("[data-notice]")).to_have_text("grace: Back to ada")
    expect(ada.locator("#bell")).to_have_attribute("data-unread", "1")
    grace.click("text=+1")
    expect(nobody.locator("#count")).to_have_text(str(before + 2))
    for page in (grace, second, nobody):
        assert page.locator("[data-notice]", has_text="Back to ada").count() == 0
        expect(page.locator("#bell[data-unread='2']")).to_have_count(0)
    second.click("text=Mark all as read")
    expect(grace.locator("#bell")).to_have_attribute("data-unread", "0")


def test_the_answer_to_a_form_with_errors_hears_notes_too(two):
    ada, _ = two("/bell/", "ada")
    grace, _ = two("/bell/", "grace")
    grace.evaluate("() => document.querySelector('#ring').submit()")
    grace.wait_for_url("**/bell/ring/")
    connected(grace)
    ada.select_option("#recipient", label="grace")
    ada.fill("#note", "Try again")
    ada.click("#ring button")
    expect(grace.locator("[data-notice]")).to_have_text("ada: Try again")


def test_a_list_follows_the_routes_of_its_api(two):
    one, other = two("/books/")
    for page in (one, other):
        expect(page.locator(".book")).to_have_count(3)
    one.fill("#new-book-title", "Solaris")
    one.click("#new-book button")
    for page in (one, other):
        expect(page.locator(".book input").last).to_have_value("Solaris")
    field = other.locator(".book input").last
    field.fill("Solaris, again")
    field.press("Enter")
    expect(one.locator(".book input").last).to_have_value("Solaris, again")
    one.locator(".book .delete").last.click()
    for page in (one, other):
        expect(page.locator(".book")).to_have_count(3)


def test_what_is_being_typed_is_kept(two):
    one, other = two("/tasks/", "grace")
    other.close()
    one.fill("#new-title", "half a ti")
    title = one.locator(".task textarea").first
    title.fill("A better title")
    title.press("Enter")
    expect(one.locator(".task").first.locator(".badge")).to_have_attribute("data-user", "grace")
    assert one.input_value("#new-title") == "half a ti"
