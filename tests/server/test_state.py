"""The state file: whole, private, used once."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from serverpush.exceptions import CannotStart
from serverpush.protocol import Change, Ending, Gap, Page, Visitor
from serverpush.results import AccessResult
from serverpush.server import state
from serverpush.server.core.access import Access
from serverpush.server.core.log import Log
from serverpush.server.core.members import Member
from serverpush.server.core.presence import Presence
from serverpush.server.core.visits import Visit
from tests.server.test_notifier import Port

NOW = 2000.0
PAGE = Page("/room/")


def log(epoch="one", now=1000.0):
    return Log(epoch=epoch, now=now, size=100, seconds=300)


def access():
    return Access(max_age=100, now=1000)


def kept(log, access):
    presence = Presence(lambda channel: True, lambda: True)
    return state.Kept(log, access, presence, Port().notifier)


def with_one_that_left():
    found = kept(filled(), access())
    found.presence.join("news", ("tab", "session"), "a", Member("7", "ada", PAGE, Visitor()))
    found.presence.leave("news", "a")
    return found


def filled():
    filled = log()
    filled.append(Change("shop.book", 1, "changed", 1000.5), 1001)
    filled.append(Gap("overflow"), 1002)
    filled.append(Change("shop.device", "x", "deleted", 0), 1003)
    return filled


def test_the_next_start_continues_the_log(tmp_path):
    before, after = filled(), log("two", 2000)
    state.save(kept(before, access()), tmp_path / "deep" / "state.json")
    assert state.load(kept(after, access()), tmp_path / "deep" / "state.json", NOW)
    assert (after.head, after.floor, after.epoch) == (before.head, before.floor, "one")
    assert after.since(after.floor) == before.since(before.floor)


def test_who_has_no_access_any_more_has_none_after_the_next_start(tmp_path):
    before, after = access(), access()
    before.end(Ending(users=("1",), sessions=("hash",)), 1000)
    state.save(kept(log(), before), tmp_path / "state.json")
    assert state.load(kept(log(), after), tmp_path / "state.json", NOW)
    assert after.refuses(Visit("key", "hash"), 1001)
    assert after.refuses(Visit(user="1"), 999)


def test_who_left_untold_is_told_to_have_left(tmp_path):
    before, after = with_one_that_left(), kept(log("two", 2000), access())
    state.save(before, tmp_path / "state.json")
    assert state.load(after, tmp_path / "state.json", NOW)
    assert after.presence.next_job()[1] == before.presence.next_job()[1]


def test_one_of_a_version_that_kept_nobody_who_left_is_continued(tmp_path):
    path = tmp_path / "state.json"
    state.save(with_one_that_left(), path)
    _, parts, *lines = path.read_text().splitlines()
    parts = json.loads(parts)
    del parts["untold"]
    lines = [json.dumps(parts), *lines]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    path.write_text("".join(line + "\n" for line in [digest, *lines]))
    after = kept(log("two", 2000), access())
    assert state.load(after, path, NOW)
    assert (after.log.head, after.presence.next_job()) == (filled().head, None)


def test_one_of_another_version_is_set_aside(tmp_path, caplog):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    _, parts, header, *entries = path.read_text().splitlines()
    header = json.loads(header)
    header["version"] += 1
    lines = [parts, json.dumps(header), *entries]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    path.write_text("".join(line + "\n" for line in [digest, *lines]))
    after = log("two", 2000)
    assert not state.load(kept(after, access()), path, NOW)
    assert "it is of another version" in caplog.text
    assert (after.epoch, len(after)) == ("two", 0)


def test_no_session_key_is_left_in_it(tmp_path):
    visited = access()
    visited.add("a", Visit("the key", "hash", "1"), 990)
    visited.tick(1000)
    look, _ = visited.next_job()
    visited.answer(look, AccessResult(("stamp",)), 1000)
    state.save(kept(log(), visited), tmp_path / "state.json")
    text = (tmp_path / "state.json").read_text()
    assert "stamp" in text
    assert "the key" not in text


def test_it_is_used_once(tmp_path):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    assert state.load(kept(log("two", 2000), access()), path, NOW)
    assert not state.load(kept(log(), access()), path, NOW)


def test_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_one_is_named_and_set_aside(tmp_path, caplog):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    after = log("two", 2000)
    assert not state.load(kept(after, access()), path, NOW)
    assert after.epoch == "two"
    assert not path.exists()
    assert (tmp_path / "state.damaged").exists()
    assert str(path) in caplog.text


@pytest.fixture
def read_only(monkeypatch):
    """A file system where nothing can be renamed, not even what is not there."""

    def refuse(self, target):
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "replace", refuse)


class TestOneThatCanNotBeTakenAway:
    """The next start would find it again, and it tells of a time long gone."""

    @pytest.fixture(params=["load", "drop"])
    def take(self, request, tmp_path):
        path = tmp_path / "state.json"
        if request.param == "drop":
            return lambda: state.drop(path)
        return lambda: state.load(kept(log(), access()), path, NOW)

    def test_there_is_no_start(self, take, tmp_path, read_only):
        path = tmp_path / "state.json"
        state.save(kept(filled(), access()), path)
        sentence = rf"{path} can't be taken away \(Read-only file system\).* SERVERPUSH_STATE_FILE"
        with pytest.raises(CannotStart, match=sentence):
            take()

    def test_nor_where_it_can_not_be_seen(self, take, monkeypatch, read_only):
        def hide(self):
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "lstat", hide)
        with pytest.raises(CannotStart):
            take()

    def test_what_is_not_there_need_not_be(self, take, read_only):
        assert not take()


def test_it_is_dropped_where_the_log_is_elsewhere(tmp_path):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    assert state.drop(path)
    assert not state.drop(path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_can_not_be_read_is_taken_away_all_the_same(tmp_path, monkeypatch, caplog):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    after = log("two", 2000)
    assert not state.load(kept(after, access()), path, NOW)
    assert after.epoch == "two"
    assert not path.exists()
    assert str(path) in caplog.text


def test_what_could_not_be_written_to_its_end_is_removed(tmp_path, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.os, "fsync", full)
    state.save(kept(filled(), access()), tmp_path / "state.json")
    assert list(tmp_path.iterdir()) == []
    assert "No space left" in caplog.text


def test_a_folder_that_can_not_be_written_is_named(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    state.save(kept(filled(), access()), tmp_path / "file" / "state.json")
    assert str(tmp_path / "file") in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"shop.device", b"shop.devise"),
        lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
        lambda data: b"\xff" + data,
        lambda data: b"",
        lambda data: b"[" * 100_000,
        lambda data: b"\n".join(data.splitlines()[1:]),
    ],
    ids=["label", "bit", "no text", "empty", "deep", "headless"],
)
def test_whatever_was_not_written_is_not_believed(tmp_path, damage):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    path.write_bytes(damage(path.read_bytes()))
    after = log("two", 2000)
    assert not state.load(kept(after, access()), path, NOW)
    assert after.epoch == "two"
    assert (tmp_path / "state.damaged").exists()


def test_one_from_a_time_to_come_is_set_aside(tmp_path, caplog):
    path = tmp_path / "state.json"
    state.save(kept(filled(), access()), path)
    before = log("two", 900)
    assert not state.load(kept(before, access()), path, NOW)
    assert before.epoch == "two"
    assert "was the clock set back?" in caplog.text
