"""Starting and stopping the push server: one sentence for what is wrong, status 1."""

from __future__ import annotations

import os
import select
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from serverpush import labels
from serverpush.conf import config
from serverpush.exceptions import CannotStart
from serverpush.server.app import Addresses, PushServer

from .clients import Client, browse
from .processes import MANAGE, Live, Process


@pytest.fixture
def alone(tmp_path):
    live = Live(tmp_path)
    yield live
    live.stop()


def taken():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def fails(live, *arguments, **environ):
    process = Process([*MANAGE, "runserverpush", *arguments], {**live.environ, **environ})
    assert process.wait() == 1
    (line,) = process.output.splitlines()
    return line


@pytest.mark.parametrize("reload", [True, False])
def test_a_port_in_use_is_named(alone, reload):
    with taken() as sock:
        port = sock.getsockname()[1]
        arguments = [f"127.0.0.1:{port}"] if reload else [f"127.0.0.1:{port}", "--noreload"]
        line = fails(alone, *arguments, LIVE_DEBUG="1" if reload else "")
    assert f"127.0.0.1:{port}" in line
    assert "SERVERPUSH_PORT" in line


def test_a_notifier_port_in_use_is_named(alone):
    with taken() as sock:
        port = sock.getsockname()[1]
        line = fails(alone, "127.0.0.1:0", "--noreload", "--notifier-port", str(port))
    assert f"127.0.0.1:{port}" in line
    assert "SERVERPUSH_NOTIFIER_PORT" in line


def test_a_second_push_server_is_told_so(alone):
    alone.start_push()
    line = fails(alone, f"127.0.0.1:{alone.port}", "--noreload")
    assert "another push server" in line


def test_a_renderer_that_can_not_start_says_why(alone):
    line = fails(alone, "127.0.0.1:0", "--noreload", LIVE_URLS="tests.live.no_such_module")
    assert "renderer can't start" in line
    assert "no_such_module" in line


@pytest.mark.parametrize("argument", ["nonsense", "127.0.0.1:99999", "127.0.0.1:"])
def test_a_bad_address_is_named(alone, argument):
    assert argument in fails(alone, argument, "--noreload")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_takes_its_renderers_along(alone, number):
    alone.environ["LIVE_RENDERERS"] = "2"
    push = alone.start_push()
    children = children_of(push.pid)
    assert len(children) == 2
    assert push.stop(number, timeout=4) == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
    assert "Traceback" not in push.output


def test_killed_it_leaves_no_renderers(alone):
    push = alone.start_push()
    children = children_of(push.pid)
    push.stop(signal.SIGKILL)
    for pid in children:
        descriptor = None
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([descriptor], [], [], 10)
        os.close(descriptor)
        assert ended


def test_with_the_reloader_it_ends_cleanly_too(alone):
    alone.environ["LIVE_DEBUG"] = "1"
    push = Process([*MANAGE, "runserverpush", "127.0.0.1:0", "--notifier-port", "0"], alone.environ)
    alone.push = push
    push.wait_for("is ready")
    assert push.stop(signal.SIGTERM, timeout=5) == 0
    assert (alone.folder / "live.sqlite3.state").exists()


def test_a_changed_template_reaches_what_is_rendered_from_then_on(alone):
    """Django takes it for done when this process's caches are cleared; renderers have theirs."""
    template = alone.folder / "page.html"
    template.write_text("one")
    alone.environ |= {"LIVE_DEBUG": "1", "LIVE_TEMPLATES": str(alone.folder)}
    command = [*MANAGE, "runserverpush", "127.0.0.1:0", "--notifier-port", "0"]
    alone.push = Process(command, alone.environ)
    alone.push.wait_for("is ready")
    template.write_text("two")
    alone.push.wait_for("page.html changed, reloading")
    alone.push.wait_for("is ready")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(each) for each in file.read().split()]


def test_changes_that_a_process_could_not_report_are_a_gap(alone):
    """It ended while the push server was away; the log that is continued does not cover that."""
    alone.migrate()
    alone.start_push()
    alone.start_site()
    alone.shell("from tests.project.models import Author; Author.objects.create(pk=1)")
    _, record = browse(f"{alone.url}/author/1/")
    first = Client(alone.push_url, {"page": record["page"]})
    position = first.event("serverpush:ready")[0]["position"]
    first.close()
    alone.push.stop()
    done = alone.manage(
        "shell", "-v0", "-c", "from tests.project.models import Author; Author.objects.get().save()"
    )
    assert "not reported" in done.stderr
    alone.start_push()
    alone.push.wait_for("ended before it could report")
    again = Client(alone.push_url, {"page": record["page"], "since": position})
    again.event("serverpush:ready")
    assert again.event("serverpush:refresh")[0] == {"reason": "gap"}
    again.close()


def test_the_log_goes_on_where_browsers_connect_to_another_port(alone):
    """Changes went to the same notifier; word of what could not be reported is heard there."""
    alone.environ |= {"LIVE_STATE": "", "XDG_STATE_HOME": str(alone.folder / "states")}
    alone.migrate()
    alone.start_push()
    before = alone.port
    assert alone.push.stop() == 0
    code = "from tests.project.models import Author; Author.objects.create()"
    assert "not reported" in alone.manage("shell", "-v0", "-c", code).stderr
    alone.port = 0
    alone.start_push()
    assert alone.port != before
    assert "continuing the log" in alone.push.output
    alone.push.wait_for("ended before it could report")


@pytest.mark.parametrize("text", ['{"version":1,"epoch":"x","head":5,"floor":5,"entries":0}', "["])
def test_a_damaged_state_file_does_not_stop_the_start(alone, text):
    path = alone.folder / "live.sqlite3.state"
    path.write_text(text)
    alone.start_push()
    assert path.with_suffix(".damaged").read_text() == text


def test_a_state_file_that_can_not_be_taken_away_is_named(alone):
    path = alone.folder / "live.sqlite3.state"
    path.write_text("")
    path.with_suffix(".taken").mkdir()
    line = fails(alone, "127.0.0.1:0", "--noreload", "--notifier-port", "0")
    assert line.startswith(f"CommandError: the state file {path} can't be taken away (Is a dir")


def test_a_start_that_fails_ends_what_it_has_started(tmp_path, monkeypatch):
    """In a process of its own the system would see to it."""
    monkeypatch.setenv("LIVE_DATABASE", str(tmp_path / "live.sqlite3"))
    path = tmp_path / "state.json"
    path.write_text("")
    path.with_suffix(".taken").mkdir()
    before = all_children()
    server = PushServer(
        config=replace(config(), renderers=1),
        addresses=Addresses("127.0.0.1", 0, "127.0.0.1", 0),
        models=labels.table(),
        state_file=lambda notifier_port: path,
        serves_site=True,
    )
    with ThreadPoolExecutor(1) as threads, pytest.raises(CannotStart, match=str(path)):
        threads.submit(server.run, lambda *_: server.stop()).result()
    assert all_children() == before


def all_children():
    """Of this process, those that nobody has waited for included."""
    threads = Path("/proc/self/task").iterdir()
    return {pid for each in threads for pid in (each / "children").read_text().split()}


def test_a_start_that_fails_leaves_the_state_file_for_the_next(alone):
    alone.start_push()
    assert alone.push.stop() == 0
    fails(alone, f"127.0.0.1:{alone.port}", "--noreload", LIVE_URLS="tests.live.no_such_module")
    alone.start_push()
    assert "continuing the log" in alone.push.output
