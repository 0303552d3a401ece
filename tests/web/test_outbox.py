import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from serverpush.conf import losses_file
from serverpush.protocol import Change, Ending
from serverpush.tokens import notifier_key
from serverpush.web import outbox as module
from serverpush.web.outbox import Outbox
from serverpush.words import Words


def change(pk, action="created", model="project.book"):
    return Change(model, pk, action)


@pytest.fixture
def outbox():
    made = []

    def make(**kwargs):
        made.append(Outbox(**kwargs))
        return made[-1]

    yield make
    for each in made:
        thread = each._thread
        each.flush(5)
        assert thread is None or not thread.is_alive()


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "serverpush")

    def messages(level=None):
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "serverpush" and level in (None, record.levelno)
        ]

    return messages


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until(condition):
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.002)


class TestDelivery:
    def test_a_change_goes_out_at_once_with_the_key(self, outbox, notifier):
        outbox().put(change(1))
        batch = notifier.next_batch()
        assert batch["path"] == "/notify"
        assert batch["changes"] == [change(1).to_json()]
        assert batch["batch"]
        assert "gap" not in batch
        assert notifier.headers[0]["Authorization"] == f"Bearer {notifier_key()}"
        assert notifier.headers[0]["Content-Type"] == "application/json"

    def test_what_gathers_during_a_post_is_one_batch_in_order(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(1))
        notifier.next_batch()
        for pk in range(2, 12):
            box.put(change(pk))
        notifier.released.set()
        assert [each["pk"] for each in notifier.next_batch()["changes"]] == list(range(2, 12))

    def test_batches_share_one_connection_and_have_their_own_keys(self, outbox, notifier):
        box = outbox()
        keys = set()
        for pk in range(5):
            box.put(change(pk))
            keys.add(notifier.next_batch()["batch"])
        assert len(keys) == 5
        assert notifier.connections == 1

    def test_a_connection_closed_while_idle_is_made_anew_without_a_word(
        self, outbox, notifier, log
    ):
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        until(lambda: not box.pending())
        notifier.close_connections()
        box.put(change(2))
        assert notifier.next_batch()["changes"][0]["pk"] == 2
        assert notifier.connections == 2
        assert log() == []

    def test_a_batch_has_a_bounded_number_of_entries(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in range(module.MAX_BATCH + 1):
            box.put(change(pk))
        notifier.released.set()
        assert len(notifier.next_batch()["changes"]) == module.MAX_BATCH
        assert len(notifier.next_batch()["changes"]) == 1

    def test_a_body_stays_below_a_mebibyte(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for number in range(40):
            box.put(change(f"{number:02}" + "x" * 50_000))
        notifier.released.set()
        found = []
        while len(found) < 40:
            batch = notifier.next_batch()
            assert batch["size"] < 1024 * 1024
            found += [each["pk"][:2] for each in batch["changes"]]
        assert found == [f"{number:02}" for number in range(40)]

    def test_keys_of_any_text_arrive(self, outbox, notifier):
        outbox().put(change("ß \ud800 </script>"))
        assert notifier.next_batch()["changes"][0]["pk"] == "ß \ud800 </script>"

    def test_equal_changes_that_wait_are_one(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in (1, 1, 1, 2, 1):
            box.put(change(pk, "changed"))
        notifier.released.set()
        assert [each["pk"] for each in notifier.next_batch()["changes"]] == [1, 2, 1]

    def test_a_change_equal_to_one_on_its_way_is_sent_again(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(1, "changed"))
        notifier.next_batch()
        box.put(change(1, "changed"))
        notifier.released.set()
        assert notifier.next_batch()["changes"][0]["pk"] == 1

    def test_what_is_folded_has_the_earlier_time(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for at in (1, 2, 3):
            box.put(Change("project.book", 1, "changed", at))
        notifier.released.set()
        assert [each["at"] for each in notifier.next_batch()["changes"]] == [1]

    def test_only_changed_is_folded(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for action in ("deleted", "deleted", "created", "created"):
            box.put(change(1, action))
        notifier.released.set()
        assert len(notifier.next_batch()["changes"]) == 4

    def test_many_threads_lose_nothing(self, outbox, notifier):
        box = outbox()

        def work(number):
            for pk in range(500):
                box.put(change(number * 1000 + pk))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        keys = [pk for _, pk, _ in notifier.changes(4000)]
        assert sorted(keys) == sorted(n * 1000 + pk for n in range(8) for pk in range(500))
        for number in range(8):
            own = [pk for pk in keys if pk // 1000 == number]
            assert own == sorted(own)


def doubt(*users):
    return Ending(doubtful=users)


class TestEndings:
    def test_an_ending_goes_out_at_once_with_the_key(self, outbox, notifier):
        outbox().put(Ending(users=("1",), sessions=("hash",), changed=("3",), doubtful=("2",)))
        batch = notifier.next_batch()
        assert batch["path"] == "/disconnect"
        told = {name: batch[name] for name in ("users", "sessions", "changed", "doubtful")}
        assert told == {
            "users": ["1"],
            "sessions": ["hash"],
            "changed": ["3"],
            "doubtful": ["2"],
        }
        assert batch["batch"]
        assert set(batch) - set(told) == {"path", "size", "batch", "at"}
        assert notifier.headers[0]["Authorization"] == f"Bearer {notifier_key()}"

    def test_those_that_wait_are_one_batch_each_told_once(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(doubt("0"))
        notifier.next_batch()
        for user in ("1", "2", "1", "3", "1"):
            box.put(doubt(user))
        notifier.released.set()
        assert notifier.next_batch()["doubtful"] == ["1", "2", "3"]

    def test_the_latest_of_equal_ones_says_when(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(doubt("0"))
        notifier.next_batch()
        for at in (10.0, 30.0):
            box.put(Ending(doubtful=("1",), at=at))
        box.put(Ending(doubtful=("2",), at=20.0))
        notifier.released.set()
        batch = notifier.next_batch()
        assert (batch["doubtful"], batch["at"]) == (["1", "2"], 30.0)

    def test_one_equal_to_one_on_its_way_is_sent_again(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(doubt("1"))
        notifier.next_batch()
        box.put(doubt("1"))
        notifier.released.set()
        assert notifier.next_batch()["doubtful"] == ["1"]

    def test_changes_and_endings_that_alternate_are_two_batches(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in range(1, 101):
            box.put(change(pk))
            box.put(doubt(str(pk)))
        notifier.released.set()
        endings, changes = notifier.next_batch(), notifier.next_batch()
        assert endings["doubtful"] == [str(pk) for pk in range(1, 101)]
        assert [each["pk"] for each in changes["changes"]] == list(range(1, 101))
        assert notifier.connections == 1

    def test_changes_get_their_turn_beside_endings_without_end(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(doubt("0"))
        notifier.next_batch()
        for pk in range(module.MAX_BATCH * 2):
            box.put(doubt(f"user {pk}"))
        box.put(change(1))
        notifier.released.set()
        paths = [notifier.next_batch()["path"] for _ in range(3)]
        assert paths == ["/disconnect", "/notify", "/disconnect"] or paths[0] == "/notify"

    def test_a_batch_that_had_no_answer_is_sent_again_under_its_key(self, outbox, notifier):
        notifier.answers.append(("hang up", b""))
        outbox().put(doubt("1"))
        first, second = notifier.next_batch(), notifier.next_batch()
        assert first == second

    def test_overflow_drops_changes_before_endings(self, outbox, notifier):
        box = outbox(limit=4)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in range(1, 4):
            box.put(change(pk))
            box.put(doubt(str(pk)))
        notifier.released.set()
        endings, changes = notifier.next_batch(), notifier.next_batch()
        assert endings["doubtful"] == ["1", "2", "3"]
        assert [each["pk"] for each in changes["changes"]] == [3]
        assert "more than 4 changes" in endings["gap"]
        assert "gap" not in changes

    def test_an_ending_that_waits_already_needs_no_room(self, outbox, notifier):
        box = outbox(limit=2)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for entry in (change(1), doubt("1"), doubt("1")):
            box.put(entry)
        notifier.released.set()
        assert notifier.next_batch()["doubtful"] == ["1"]
        assert [each["pk"] for each in notifier.next_batch()["changes"]] == [1]

    def test_endings_alone_overflow_without_a_gap(self, outbox, notifier, log):
        box = outbox(limit=2)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in range(1, 5):
            box.put(doubt(str(pk)))
        notifier.released.set()
        batch = notifier.next_batch()
        assert batch["doubtful"] == ["3", "4"]
        assert "gap" not in batch
        assert len(log(logging.WARNING)) == 1
        assert "more than 2 ends of access wait" in log(logging.WARNING)[0]

    def test_those_that_are_refused_are_dropped_without_a_gap(self, outbox, notifier, log):
        notifier.answers.append((404, {"error": "there is no '/disconnect' here"}))
        box = outbox()
        box.put(doubt("1"))
        notifier.next_batch()
        box.flush(5)
        assert notifier.batches.empty()
        box.put(change(1))
        assert "gap" not in notifier.next_batch()
        assert "refused 1 end of access, which is dropped: 404" in log(logging.ERROR)[0]

    def test_a_gap_that_came_with_refused_endings_is_told_by_the_next_batch(self, outbox, notifier):
        box = outbox(limit=1)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        notifier.answers += [(202, {}), (404, {"error": "no"})]
        box.put(change(1))
        box.put(doubt("1"))
        notifier.released.set()
        assert notifier.next_batch()["gap"]
        box.put(change(2))
        assert "more than 1 changes" in notifier.next_batch()["gap"]

    def test_a_refusal_is_logged_once_for_each_kind(self, outbox, notifier, log):
        box = outbox()
        for number in range(3):
            notifier.answers += [(404, {"error": "no"}), (202, {})]
            box.put(doubt(str(number)))
            assert notifier.next_batch()["path"] == "/disconnect"
            box.put(change(number))
            assert notifier.next_batch()["path"] == "/notify"
        box.flush(5)
        assert len(log(logging.ERROR)) == 1

    def test_those_that_are_left_at_the_end_are_no_loss_of_changes(
        self, outbox, settings, log, monkeypatch, tmp_path
    ):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        box.put(doubt("1"))
        box.put(doubt("2"))
        assert not box.flush()
        assert "2 ends of access were not reported" in log(logging.WARNING)[-1]
        assert not list(tmp_path.rglob("*"))
        other = outbox()
        other.put(doubt("1"))
        other.put(change(1))
        assert not other.flush()
        assert "1 change and 1 end of access were not reported" in log(logging.WARNING)[-1]
        assert list(tmp_path.rglob("*"))


class TestAway:
    def test_nothing_is_lost_while_the_push_server_is_away(
        self, outbox, start_notifier, settings, log
    ):
        port = settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        for pk in range(100):
            box.put(change(pk))
        until(lambda: log(logging.WARNING))
        notifier = start_notifier(port)
        assert [pk for _, pk, _ in notifier.changes(100)] == list(range(100))
        until(lambda: log(logging.INFO))
        assert len(log(logging.WARNING)) == len(log(logging.INFO)) == 1
        assert "can't be reached" in log(logging.WARNING)[0]
        assert "is back" in log(logging.INFO)[0]

    @pytest.mark.parametrize("answer", [("hang up", b""), (503, {"error": "starting"}), (429, {})])
    def test_a_batch_without_an_answer_is_sent_again_under_its_key(self, outbox, notifier, answer):
        notifier.answers.append(answer)
        outbox().put(change(1))
        first, second = notifier.next_batch(), notifier.next_batch()
        assert first == second

    def test_one_warning_and_one_note_however_often_it_was_tried(self, outbox, notifier, log):
        notifier.answers += [(503, {"error": "starting"})] * 3
        outbox().put(change(1))
        for _ in range(4):
            notifier.next_batch()
        until(lambda: log(logging.INFO))
        assert len(log(logging.WARNING)) == len(log(logging.INFO)) == 1

    def test_a_kept_connection_that_hangs_is_not_tried_again_at_once(self, outbox, notifier, log):
        box = outbox()
        box._line._timeout = 0.1
        box.put(change(1))
        notifier.next_batch()
        until(lambda: not box.pending())
        notifier.released.clear()
        box.put(change(2))
        notifier.next_batch()
        until(lambda: log(logging.WARNING))
        assert notifier.batches.empty()

    def test_a_save_does_not_wait_for_a_push_server_that_hangs(self, outbox, notifier):
        box = outbox()
        notifier.released.clear()
        box.put(change(1))
        notifier.next_batch()
        began = time.monotonic()
        for pk in range(1000):
            box.put(change(pk))
        assert time.monotonic() - began < 1
        assert box.pending() == 1001

    def test_a_hanging_answer_times_out_and_the_batch_is_sent_again(self, outbox, notifier, log):
        box = outbox()
        box._line._timeout = 0.1
        notifier.released.clear()
        box.put(change(1))
        first = notifier.next_batch()
        until(lambda: log(logging.WARNING))
        notifier.released.set()
        assert notifier.next_batch() == first

    def test_a_wrong_setting_neither_raises_nor_ends_the_thread(
        self, outbox, start_notifier, settings, log
    ):
        settings.SERVERPUSH_NOTIFIER_PORT = "8014"
        box = outbox()
        box.put(change(1))
        until(lambda: log(logging.WARNING))
        assert "SERVERPUSH_NOTIFIER_PORT" in log(logging.WARNING)[0]
        assert start_notifier().changes(1) == [("project.book", 1, "created")]


class TestLoss:
    def test_overflow_drops_the_oldest_and_marks_a_gap(self, outbox, notifier, log):
        box = outbox(limit=10)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        for pk in range(1, 16):
            box.put(change(pk))
        notifier.released.set()
        batch = notifier.next_batch()
        assert [each["pk"] for each in batch["changes"]] == list(range(6, 16))
        assert "more than 10 changes" in batch["gap"]
        assert len(log(logging.WARNING)) == 1
        box.put(change(99))
        assert "gap" not in notifier.next_batch()

    def test_a_gap_is_told_again_with_a_batch_that_is_sent_again(self, outbox, notifier):
        box = outbox(limit=1)
        notifier.released.clear()
        box.put(change(0))
        notifier.next_batch()
        notifier.answers += [(202, {}), ("hang up", b"")]
        box.put(change(1))
        box.put(change(2))
        notifier.released.set()
        first, second = notifier.next_batch(), notifier.next_batch()
        assert first["gap"] == second["gap"] != ""

    @pytest.mark.parametrize("status", [400, 404, 413])
    def test_a_refused_batch_is_dropped_and_the_gap_told_at_once(
        self, outbox, notifier, log, status
    ):
        notifier.answers.append((status, {"error": "there is no model 'project.bok'"}))
        box = outbox()
        box.put(change(1, model="project.bok"))
        notifier.next_batch()
        batch = notifier.next_batch()
        assert batch["changes"] == []
        assert "project.bok" in batch["gap"]
        said = log(logging.ERROR)[0]
        assert "refused 1 change, which is dropped: " in said
        assert "there is no model 'project.bok'" in said
        assert len(log(logging.ERROR)) == 1

    def test_a_refused_gap_is_kept_for_the_next_batch(self, outbox, notifier, log):
        notifier.answers += [(400, {"error": "no"}), (400, {"error": "no"})]
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        notifier.next_batch()
        box.flush(5)
        assert notifier.batches.empty()
        box.put(change(2))
        batch = notifier.next_batch()
        assert batch["changes"][0]["pk"] == 2
        assert batch["gap"]
        assert len(log(logging.ERROR)) == 1

    def test_a_wrong_key_is_told_once_and_the_gap_waits(self, outbox, notifier, log):
        notifier.answers += [(401, {"error": "send the key"})] * 2
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        box.flush(5)
        assert notifier.batches.empty()
        box.put(change(2))
        assert notifier.next_batch()["changes"][0]["pk"] == 2
        box.put(change(3))
        batch = notifier.next_batch()
        assert batch["changes"][0]["pk"] == 3
        assert batch["gap"]
        assert len(log(logging.ERROR)) == 1

    def test_what_was_dropped_after_the_first_line_is_counted(self, outbox, notifier, log):
        notifier.answers += [(401, {"error": "send the key"})] * 3
        box = outbox()
        for pk in (1, 2, 3, 4):
            box.put(change(pk))
            notifier.next_batch()
        until(lambda: log(logging.WARNING))
        assert log(logging.WARNING) == [
            "the push server takes changes again: 2 more were dropped meanwhile"
        ]

    def test_an_answer_that_is_no_json_is_named_too(self, outbox, notifier, log):
        notifier.answers.append((404, b"<h1>Not here</h1>"))
        outbox().put(change(1))
        until(lambda: log(logging.ERROR))
        assert "Not here" in log(logging.ERROR)[0]


class TestFlush:
    def test_flush_delivers_what_waits(self, outbox, notifier):
        box = outbox()
        for pk in range(1000):
            box.put(change(pk))
        assert box.flush(5)
        assert len(notifier.changes(1000)) == 1000

    def test_flush_gives_up_at_once_where_nobody_listens(self, outbox, settings, log):
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        for pk in range(7):
            box.put(change(pk))
        began = time.monotonic()
        assert not box.flush()
        assert time.monotonic() - began < 1
        assert "7 changes were not reported" in log(logging.WARNING)[-1]

    def test_flush_ends_in_time_where_the_push_server_hangs(self, outbox, notifier, log):
        notifier.released.clear()
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        began = time.monotonic()
        assert not box.flush(0.3)
        assert 0.3 <= time.monotonic() - began < 1
        assert log(logging.WARNING)[-1].startswith("1 change was not reported: ")

    def test_flush_of_an_unused_outbox_starts_nothing(self, outbox):
        box = outbox()
        assert box.flush()
        assert box._thread is None


class TestWord:
    """What the push server is told where the process can't report."""

    @pytest.fixture
    def losses(self, settings, tmp_path):
        settings.SERVERPUSH_STATE_FILE = str(tmp_path / "state.json")
        return losses_file(8014)

    def will(self, losses):
        return losses.with_name(f"{losses.name}.{os.getpid()}")

    def test_changes_that_wait_stand_in_the_will(self, outbox, start_notifier, settings, losses):
        port = settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        outbox().put(change(1))
        until(self.will(losses).exists)
        notifier = start_notifier(port)
        assert notifier.changes(1)
        until(lambda: not self.will(losses).exists())
        assert not Words(losses).take()

    def test_ends_of_access_do_not_until_a_change_waits_too(self, outbox, settings, losses, log):
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        box.put(doubt("1"))
        until(lambda: log(logging.WARNING))
        assert not self.will(losses).exists()
        box.put(change(1))
        until(self.will(losses).exists)

    def test_a_push_server_that_answers_costs_no_file(self, outbox, notifier, losses):
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        assert box.flush(5)
        assert list(losses.parent.iterdir()) == []

    def test_a_change_that_is_left_at_the_end(self, outbox, settings, losses):
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        box.put(change(1))
        assert not box.flush()
        assert Words(losses).take()
        assert not self.will(losses).exists()

    def test_an_end_of_access_that_is_left_at_the_end(self, outbox, settings, losses):
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box = outbox()
        box.put(doubt("1"))
        assert not box.flush()
        assert not Words(losses).take()

    @pytest.mark.parametrize("answers", [[401], [400, 400]])
    def test_a_gap_that_was_not_told(self, outbox, notifier, losses, answers):
        notifier.answers += [(status, {"error": "no"}) for status in answers]
        box = outbox()
        box.put(change(1))
        until(self.will(losses).exists)
        assert not box.flush(5)
        assert Words(losses).take()

    def test_a_push_server_that_does_not_know_the_key_is_left_word_at_once(
        self, outbox, notifier, losses
    ):
        notifier.answers.append((401, {"error": "send the key"}))
        outbox().put(change(1))
        until(losses.exists)
        assert Words(losses).take()

    def test_a_backlog_stands_in_the_will_though_the_push_server_answers(
        self, outbox, notifier, losses, monkeypatch
    ):
        monkeypatch.setattr(module, "MAX_BATCH", 1)
        monkeypatch.setattr(module, "BACKLOG", 0)
        notifier.released.clear()
        box = outbox()
        box.put(change(1))
        box.put(change(2))
        until(self.will(losses).exists)
        notifier.released.set()
        assert box.flush(5)
        assert not Words(losses).take()

    def test_a_gap_that_is_told_in_the_end(self, outbox, notifier, losses):
        notifier.answers += [(400, {"error": "no"})] * 2
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        notifier.next_batch()
        until(self.will(losses).exists)
        box.put(change(2))
        assert notifier.next_batch()["gap"]
        assert box.flush(5)
        assert not Words(losses).take()
        assert not self.will(losses).exists()

    def test_a_gap_on_its_way(self, outbox, notifier, losses):
        """With an end of access, for which no word would be left."""
        notifier.answers.append((401, {"error": "no"}))
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        until(lambda: not box.pending())
        notifier.released.clear()
        box.put(doubt("1"))
        assert notifier.next_batch()["gap"]
        assert not box.flush(0.1)
        assert Words(losses).take()

    def test_a_gap_survives_the_thread_that_was_to_tell_it(
        self, outbox, start_notifier, notifier, losses, settings
    ):
        notifier.answers.append((401, {"error": "no"}))
        box = outbox()
        box.put(change(1))
        notifier.next_batch()
        until(lambda: not box.pending())
        settings.SERVERPUSH_NOTIFIER_PORT = free_port()
        box._line.close()
        box.put(doubt("1"))
        assert not box.flush(5)
        settings.SERVERPUSH_NOTIFIER_PORT = notifier.port
        box.put(doubt("2"))
        assert notifier.next_batch()["gap"]

    def test_a_process_that_is_killed(self, losses):
        """As the outbox of a real process leaves it, when the push server is away."""
        source = f"""
        settings.SERVERPUSH_STATE_FILE = {str(losses).removesuffix(".losses")!r}
        outbox.put(Change('project.book', 1))
        sys.stdin.readline()
        """
        with start(source, free_port()) as process:
            until(losses.with_name(f"{losses.name}.{process.pid}").exists)
            assert not Words(losses).take()
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert Words(losses).take()


SCRIPT = """
import os, sys, django
from django.conf import settings
settings.configure(SECRET_KEY="for tests only", SERVERPUSH_NOTIFIER_PORT=int(sys.argv[1]))
from serverpush.protocol import Change, Ending
from serverpush.web.outbox import outbox
"""

# From Python 3.12 on a fork beside a thread is warned of; these forks are what is tested.
QUIET = ["-W", "ignore:This process:DeprecationWarning"]


def run(source, port):
    return subprocess.run(
        [
            sys.executable,
            *QUIET,
            "-c",
            textwrap.dedent(SCRIPT) + textwrap.dedent(source),
            str(port),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )


def start(source, port):
    return subprocess.Popen(
        [
            sys.executable,
            *QUIET,
            "-c",
            textwrap.dedent(SCRIPT) + textwrap.dedent(source),
            str(port),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestProcesses:
    def test_the_last_change_before_a_process_ends_arrives(self, notifier):
        run("outbox.put(Change('project.book', 1))", notifier.port)
        assert notifier.changes(1) == [("project.book", 1, "changed")]

    def test_a_process_ends_at_once_where_nobody_listens(self):
        began = time.monotonic()
        ended = run(
            """
            for pk in range(3):
                outbox.put(Change('project.book', pk))
            """,
            free_port(),
        )
        assert time.monotonic() - began < 5
        assert "3 changes were not reported" in ended.stderr
        assert "Traceback" not in ended.stderr

    @pytest.mark.parametrize("delay", [0, 0.0005, 0.001, 0.002])
    def test_parent_and_child_each_report_their_own_after_a_fork(self, notifier, delay):
        """Wherever the sender is when the fork comes: looking up, connecting, waiting.

        The delay moves the fork; the outcome must be the same for each.
        """
        child = f"""
        import time
        outbox.put(Change('project.book', 1, 'created'))
        time.sleep({delay})
        outbox.put(Change('project.book', 2, 'created'))
        pid = os.fork()
        outbox.put(Change('project.book', 100 if pid else 200, 'created'))
        if pid:
            os.waitpid(pid, 0)
        """
        assert run(child, notifier.port).stderr == ""
        assert sorted(pk for _, pk, _ in notifier.changes(4)) == [1, 2, 100, 200]
        assert notifier.batches.empty()

    def test_a_fork_leaves_what_waits_to_the_parent(self, notifier):
        """With the parent's batch unanswered and another change waiting behind it."""
        notifier.released.clear()
        child = """
        outbox.put(Change('project.book', 1, 'created'))
        sys.stdin.readline()
        outbox.put(Change('project.book', 2, 'created'))
        pid = os.fork()
        if not pid:
            outbox.put(Change('project.book', 200, 'created'))
            sys.exit()
        os.waitpid(pid, 0)
        """
        with start(child, notifier.port) as process:
            first = notifier.next_batch()
            process.stdin.write("go\n")
            process.stdin.flush()
            second = notifier.next_batch()
            notifier.released.set()
            assert process.wait(10) == 0
        assert [first["changes"][0]["pk"], second["changes"][0]["pk"]] == [1, 200]
        assert notifier.changes(1) == [("project.book", 2, "created")]
        assert notifier.batches.empty()
        assert notifier.connections == 2

    def test_a_forked_process_does_not_keep_its_parents_connection(self, notifier):
        """Which is in use at that moment, by a thread that the child does not have."""
        notifier.released.clear()
        source = """
        outbox.put(Change('project.book', 1))
        sys.stdin.readline()
        def sockets():
            paths = [f"/proc/self/fd/{number}" for number in range(3, 50)]
            return sum("socket" in os.readlink(path) for path in paths if os.path.exists(path))
        before = sockets()
        pid = os.fork()
        if not pid:
            os._exit(sockets())
        print(before, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        """
        with start(source, notifier.port) as process:
            notifier.next_batch()
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "1 0\n"
            notifier.released.set()

    def test_a_worker_of_multiprocessing_reports_its_last_change(self, notifier):
        run(
            """
            import multiprocessing
            worker = multiprocessing.get_context("fork").Process(
                target=outbox.put, args=(Change('project.book', 5, 'created'),)
            )
            worker.start()
            worker.join()
            """,
            notifier.port,
        )
        assert notifier.changes(1) == [("project.book", 5, "created")]
