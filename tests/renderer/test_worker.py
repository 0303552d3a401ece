"""The process itself, over a socket pair."""

import array
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from serverpush.jobs import MatchJob, ResolveJob
from serverpush.protocol import Page, Visitor
from tests.project.models import Book
from tests.renderer.conftest import render_job
from tests.renderer.process import TIMEOUT, Process


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A file with the project's tables and one book."""
    path = tmp_path_factory.mktemp("database") / "db.sqlite3"
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.renderer.settings",
        "SERVERPUSH_TEST_DATABASE": str(path),
    }
    script = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', run_syncdb=True, verbosity=0)\n"
        "from serverpush.reporting import suppress\n"
        "from tests.project.models import Book\n"
        "with suppress(): Book.objects.create(title='Emma')\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environ, check=True, timeout=TIMEOUT)
    return path


@pytest.fixture(scope="module")
def process(database):
    with Process(database) as process:
        assert process.read() == {"ready": process.child.pid, "listens": False}
        yield process


BOOK = Book(pk=1)


def test_a_match(process):
    assert process.ask(MatchJob("project.book", 1, ("title",), ())) == {
        "values": {"title": "Emma"},
        "met": [],
        "unknown": [],
        "error": "",
    }


def test_a_rendering(process):
    assert json.loads(process.ask(render_job("awaiting", BOOK))["payload"]) == "Emma"


def test_a_page(process):
    result = process.ask(ResolveJob(Page("/shelf/", host="testserver"), Visitor()))
    assert Page.from_json(result["page"]).dependencies[0].name == "shelf"


def test_results_come_in_turn(process):
    jobs = [MatchJob("project.book", pk, ("title",), ()) for pk in (1, 2, 1)]
    for job in jobs:
        process.write(json.dumps(job.to_json()).encode())
    assert [process.read()["values"] is None for _ in jobs] == [False, True, False]


@pytest.mark.parametrize(
    "frame", [b"garbage", b"[]", b"{}", b'{"job": "dance"}', b'{"job": "match"}', b"\xff", b""]
)
def test_a_frame_that_is_no_job(process, frame):
    process.write(frame)
    assert process.read()["error"].startswith("this frame is no job: ")
    test_a_match(process)


@pytest.mark.parametrize("name", ["leaving", "interrupted", "failing", "half_a_pair"])
def test_the_process_outlives_a_serializer(process, name):
    assert process.ask(render_job(name, BOOK))["status"] == "failed"
    test_a_rendering(process)


def test_long_frames_with_any_character(process):
    job = render_job("everything", BOOK, data="é\u2028\n\x00" * 50_000)
    assert json.loads(process.ask(job)["payload"])["data"] == "é\u2028\n\x00" * 50_000


def test_a_write_is_committed(process, database):
    process.ask(render_job("writing", BOOK))
    process.ask(ResolveJob(Page("/counting/", host="testserver"), Visitor()))
    with sqlite3.connect(database) as reader:
        assert reader.execute("SELECT name FROM project_author").fetchall() == [
            ("written while rendering",)
        ]
    reader.close()


def test_jobs_of_a_burst_share_a_connection(database):
    with Process(database) as process:
        process.read()
        one, other = (process.ask(render_job("connection_number", BOOK)) for _ in range(2))
        assert one["payload"] == other["payload"] == "1"


def test_an_idle_process_lets_go_of_its_connection(database):
    with Process(database) as process:
        process.read()
        process.ask(render_job("awaiting", BOOK))
        found = Path(f"/proc/{process.child.pid}/fd")
        deadline = time.monotonic() + TIMEOUT
        while any(str(each.readlink()) == str(database) for each in found.iterdir()):
            assert time.monotonic() < deadline
            # Between two looks: no one announces that a descriptor is closed.
            time.sleep(0.02)


def test_sigint_is_ignored(process):
    os.kill(process.child.pid, signal.SIGINT)
    test_a_rendering(process)


def test_what_a_view_starts_has_no_hold_on_the_socket(process):
    assert process.ask(render_job("starting_a_child", BOOK))["payload"] == "false"


def test_sigterm_ends(database):
    with Process(database) as process:
        process.read()
        process.child.terminate()
        assert process.wait() == (-signal.SIGTERM, "")


def test_the_end_of_the_socket_ends_an_idle_process(database):
    with Process(database) as process:
        process.read()
        process.hang_up()
        assert process.wait() == (0, "")


def test_the_end_of_the_socket_ends_a_hanging_one(database, tmp_path):
    started = tmp_path / "started"
    os.mkfifo(started)
    with Process(database) as process:
        process.read()
        job = render_job("hanging", BOOK, data=str(started))
        process.write(json.dumps(job.to_json()).encode())
        # Opening a pipe waits until the serializer has opened its other end.
        assert started.read_text() == str(process.child.pid)
        process.hang_up()
        assert process.child.wait(timeout=TIMEOUT) == 0


def test_the_end_of_the_socket_ends_one_that_hangs_in_a_write(database):
    with Process(database) as process:
        process.read()
        process.write(json.dumps(render_job("hanging_in_a_write", BOOK).to_json()).encode())
        wait_until_full(process.child.stdout)
        process.hang_up()
        assert process.child.wait(timeout=TIMEOUT) == 0


def wait_until_full(pipe):
    size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    deadline = time.monotonic() + TIMEOUT
    waiting = array.array("i", [0])
    while waiting[0] < size:
        assert time.monotonic() < deadline
        # Between two looks: a pipe announces that it can be read, not that it is full.
        time.sleep(0.01)
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


def test_the_end_of_the_socket_ends_a_process_that_starts(database, tmp_path):
    started = tmp_path / "started"
    os.mkfifo(started)
    hanging = "tests.renderer.hanging_settings"
    with Process(database, hanging, SERVERPUSH_TEST_STARTED=str(started)) as process:
        started.read_text()
        process.hang_up()
        assert process.wait() == (0, "")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("no.such.settings", "ModuleNotFoundError: No module named 'no'"),
        ("tests.renderer.bad_settings", "SERVERPUSH_PORT = 'eighty' is not valid"),
        ("tests.renderer.bad_urls_settings", "no_such_module"),
        ("tests.renderer.bad_middleware_settings", "no_such_middleware"),
        ("tests.renderer.leaving_settings", "SystemExit: 3"),
    ],
)
def test_why_it_cannot_start(database, module, reason):
    with Process(database, module) as process:
        error = process.read()["error"]
        assert reason in error
        assert "\n" not in error
        assert process.wait() == (1, "")


def test_standard_streams_are_the_projects(database):
    with Process(database) as process:
        process.read()
        assert process.ask(render_job("printing", BOOK))["payload"] == '""'
        process.hang_up()
        assert process.wait() == (0, "to stdout\nto stderr\n")
