"""Words that can't be read, or can't be taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serverpush.words import Words


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json.losses"


@pytest.fixture
def forbid(monkeypatch):
    """Forbid a method of ``Path`` for one file: root may read and remove everything."""

    def forbid(method, forbidden):
        real = getattr(Path, method)

        def refuse(self, *args, **kwargs):
            if self == forbidden:
                raise PermissionError(13, "Permission denied", str(self))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Path, method, refuse)

    return forbid


def will(path, pid):
    word = path.with_name(f"{path.name}.{pid}")
    word.touch()
    return word


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_one_that_can_not_be_read_does_not_hide_the_others(path, forbid):
    forbid("read_bytes", will(path, os.getpid()))
    path.touch()
    words = Words(path)
    assert words.take()
    assert not words.take(), "its process is alive"


def test_one_of_the_dead_that_can_not_be_read_counts(path, forbid):
    forbid("read_bytes", will(path, dead()))
    words = Words(path)
    assert words.take()
    assert not words.take()


def test_one_that_can_not_be_taken_away_is_heard_once_and_again_when_it_is_left_anew(
    path, forbid, caplog
):
    path.touch()
    forbid("unlink", path)
    words = Words(path)
    assert [words.take(), words.take(), words.take()] == [True, False, False]
    assert len(caplog.records) == 1
    os.utime(path, (1, 1))
    assert words.take()


def test_a_folder_that_can_not_be_seen_is_named_once(path, forbid, caplog):
    forbid("iterdir", path.parent)
    words = Words(path)
    assert [words.take(), words.take()] == [False, False]
    assert len(caplog.records) == 1
