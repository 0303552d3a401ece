"""The word that processes leave of changes which they could not report."""

import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

from serverpush import losses
from serverpush.conf import losses_file
from serverpush.words import Words

SET_UP = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY="x", SERVERPUSH_STATE_FILE=sys.argv[1])
from serverpush import losses
will = losses.Will()
"""

posix = pytest.mark.skipif(os.name != "posix", reason="there are no wills elsewhere")


@pytest.fixture
def path(settings, tmp_path):
    settings.SERVERPUSH_STATE_FILE = str(tmp_path / "state.json")
    return losses_file(8014)


@pytest.fixture
def start(path):
    """Run code in a process of its own, until it prints a line."""
    started = []

    def start(code):
        state_file = str(path).removesuffix(".losses")
        process = subprocess.Popen(
            [sys.executable, "-c", SET_UP + textwrap.dedent(code), state_file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


WAITING = """
    will.leave()
    print("ready", flush=True)
    sys.stdin.readline()
"""


def will_of(pid, path):
    return path.with_name(f"{path.name}.{pid}")


def test_a_word_is_taken_once(path):
    assert not Words(path).take()
    losses.leave()
    assert Words(path).take()
    assert not Words(path).take()


def test_it_is_left_by_where_changes_are_reported(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings.SERVERPUSH_PORT, settings.SERVERPUSH_NOTIFIER_PORT = 8023, 8024
    losses.leave()
    losses.Will().leave()
    word = losses_file(8024)
    assert set(word.parent.iterdir()) == {word, will_of(os.getpid(), word)}


def test_there_is_no_folder_yet(path):
    assert not Words(path.parent / "none" / "state.json.losses").take()


@posix
class TestWill:
    def test_it_counts_when_the_process_was_killed(self, path, start):
        process = start(WAITING)
        assert not Words(path).take()
        assert will_of(process.pid, path).exists()
        process.kill()
        process.wait()
        assert Words(path).take()
        assert not Words(path).take()
        assert list(path.parent.iterdir()) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="nothing tells it elsewhere")
    def test_it_counts_while_the_dead_is_not_buried(self, path, start):
        process = start(WAITING)
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Words(path).take()

    def test_it_is_taken_back(self, path):
        will = losses.Will()
        will.leave()
        assert will_of(os.getpid(), path).exists()
        will.take_back()
        assert list(path.parent.iterdir()) == []
        will.leave()
        assert will_of(os.getpid(), path).exists()

    def test_it_is_written_once(self, path):
        will = losses.Will()
        will.leave()
        written = will_of(os.getpid(), path).stat()
        will.leave()
        assert will_of(os.getpid(), path).stat() == written
        assert list(path.parent.iterdir()) == [will_of(os.getpid(), path)]

    def test_only_its_owner_may_read_it(self, path):
        losses.Will().leave()
        assert stat.S_IMODE(will_of(os.getpid(), path).stat().st_mode) == 0o600

    @pytest.mark.skipif(sys.platform != "linux", reason="nothing tells it elsewhere")
    def test_another_process_has_the_number_now(self, path):
        will_of(os.getpid(), path).write_text("1")
        assert Words(path).take()

    def test_one_that_is_not_written_yet(self, path):
        will_of(os.getpid(), path).write_text("")
        assert not Words(path).take()

    def test_one_that_had_this_number_before_is_not_forgotten(self, path):
        will_of(os.getpid(), path).write_text("1")
        will = losses.Will()
        will.leave()
        will.take_back()
        assert Words(path).take()

    def test_a_link_is_not_followed(self, path, tmp_path):
        other = tmp_path / "other"
        other.write_text("kept")
        will_of(os.getpid(), path).symlink_to(other)
        losses.Will().leave()
        assert other.read_text() == "kept"
        assert not will_of(os.getpid(), path).is_symlink()

    @pytest.mark.parametrize("name", ["", "12x", "-1", "1.2", "tmp"])
    def test_other_files_stay(self, path, name):
        other = path.with_name(f"{path.name}.{name}")
        other.write_text("1")
        assert not Words(path).take()
        assert other.exists()

    def test_a_number_that_no_process_can_have(self, path):
        will_of(10**30, path).write_bytes(b"\xff")
        assert Words(path).take()

    def test_a_fork_leaves_it_to_the_parent(self, path, start):
        process = start(
            """
            import os
            from serverpush.protocol import Change
            from serverpush.web.outbox import outbox
            outbox._will.leave()
            if not os.fork():
                outbox._will.take_back()
                print("ready", flush=True)
                os._exit(0)
            os.wait()
            sys.stdin.readline()
            """
        )
        assert will_of(process.pid, path).exists()

    def test_a_folder_that_can_not_be_written_is_named_once(self, settings, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        settings.SERVERPUSH_STATE_FILE = str(tmp_path / "file" / "state.json")
        will = losses.Will()
        will.leave()
        will.leave()
        assert len(caplog.messages) == 1
        assert "open pages can't be told to refresh" in caplog.text
        will.take_back()
