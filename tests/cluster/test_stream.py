"""The stream by itself, on a real Redis."""

from __future__ import annotations

import socketserver
import threading

import pytest
from redis.exceptions import RedisError

from serverpush import records
from serverpush.exceptions import LogUnavailable
from serverpush.protocol import Ending
from serverpush.records import Record
from serverpush.stream import START, Id, Stream, is_earlier, place
from tests.cluster.redis import RedisServer

LOG, LIFE = "serverpush:{serverpush}:log", "serverpush:{serverpush}:life"


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def stream(redis):
    client = redis.client()
    client.flushall()
    client.close()
    stream = Stream(redis.url)
    stream.open()
    yield stream
    stream.close()


def notice(number):
    return records.notice(str(number), gap=f"gap {number}")


def read_all(stream, after=START):
    entries, state = stream.read(after, 0.01)
    return [Record.read(fields) for _, fields in entries if b"life" not in fields], state


class TestAdd:
    def test_what_is_added_is_read_in_its_order(self, stream):
        ids = [stream.add(notice(number)) for number in range(5)]
        assert ids == sorted(ids)
        assert read_all(stream)[0] == [notice(number) for number in range(5)]
        assert read_all(stream, ids[2])[0] == [notice(3), notice(4)]

    def test_where_there_is_nothing_it_begins(self, stream, redis):
        before = stream.state(START).life
        redis.client().delete(LOG)
        stream.add(notice(1))
        state = stream.state(START)
        assert (state.kept, state.life != before) == (2, True)

    def test_without_its_name_it_begins_anew(self, stream, redis):
        stream.add(notice(1))
        redis.client().delete(LIFE)
        stream.open()
        assert read_all(stream)[0] == []

    def test_ends_are_kept_beside_it(self, stream, redis):
        ending = records.ending("b", Ending(users=("1",)))
        stream.add(ending)
        redis.client().xtrim(LOG, maxlen=0, approximate=False)
        found, since = stream.ends()
        assert [Record.read(each) for each in found] == [ending]
        assert since == 0

    def test_what_is_held_is_held_until_it_is_let_go(self, stream):
        stream.add(notice(1), {"one": b"1", "two": b"2"})
        stream.add(notice(2), {"one": None})
        assert list(stream.held()) == [b"2"]


class TestLosses:
    def test_what_was_trimmed_is_not_lost(self, stream, redis):
        id = stream.add(notice(1))
        redis.client().xtrim(LOG, maxlen=0, approximate=False)
        assert not stream.state(id).has_lost(id)
        stream.add(notice(2))
        assert not stream.state(id).has_lost(id)
        assert stream.state(id).trimmed == 2

    def test_what_was_there_and_is_gone_is_lost(self, stream, redis):
        first, last = stream.add(notice(1)), stream.add(notice(2))
        redis.client().xdel(LOG, str(last))
        assert not stream.state(first).has_lost(first)
        assert stream.state(last).has_lost(last)

    def test_what_is_later_than_all_is_lost(self, stream):
        last = stream.add(notice(1))
        later = Id(last.time + 1, 0)
        assert stream.state(later).has_lost(later)

    def test_who_added_what_is_lost_begins_a_new_life(self, stream, redis):
        life = stream.state(START).life
        id = stream.add(notice(1))
        redis.client().xdel(LOG, str(id))
        redis.client().client_kill_filter(_type="normal", skipme=True)
        stream.add(notice(2))
        assert stream.state(START).life != life
        assert read_all(stream)[0] == [notice(2)]

    def test_who_added_to_a_life_that_was_ended_goes_on_in_the_next(self, stream, redis):
        ahead = int((stream.now() + 3600) * 1000)
        redis.client().xadd(LOG, {"foreign": "x"}, id=f"{ahead}-0")
        stream.add(notice(1))
        other = Stream(redis.url)
        other.renew(other.state(START).life)
        life = other.state(START).life
        other.close()
        redis.client().client_kill_filter(_type="normal", skipme=True)
        stream.add(notice(2))
        assert stream.state(START).life == life
        assert read_all(stream)[0] == [notice(2)]

    def test_who_added_to_a_life_later_than_what_redis_comes_back_with_begins_another(
        self, stream, redis
    ):
        stream.add(notice(1))
        snapshot = redis.snapshot()
        stream.renew(stream.state(START).life)
        stream.add(notice(2))
        life = stream.state(START).life
        redis.bring_back(snapshot)
        stream.add(notice(3))
        assert is_earlier(life, stream.state(START).life)
        assert read_all(stream)[0] == [notice(3)]

    def test_that_it_could_not_begin_another_is_not_forgotten(self, stream, redis, monkeypatch):
        id = stream.add(notice(1))
        redis.client().xdel(LOG, str(id))
        redis.client().client_kill_filter(_type="normal", skipme=True)
        life = stream.state(START).life
        begin, failing = Stream._begin, [True]

        def fails(self, *lives):
            if failing:
                failing.pop()
                raise RedisError("it is full")
            begin(self, *lives)

        monkeypatch.setattr(Stream, "_begin", fails)
        with pytest.raises(LogUnavailable):
            stream.add(notice(2))
        stream.add(notice(3))
        assert stream.state(START).life != life

    def test_a_life_is_later_even_if_the_clock_was_set_back(self, stream, redis):
        ahead = f"cafe.{2**41}.{2**41}"
        redis.client().set(LIFE, ahead)
        stream.renew(ahead)
        state = stream.state(START)
        assert is_earlier(ahead, state.life)
        assert state.began <= stream.now() * 1000 + 1

    @pytest.mark.parametrize("name", ["mine", b"\xff", f"cafe.1.{2**53 + 1}", "x-y.1.1"])
    def test_what_somebody_else_calls_a_life_is_none(self, stream, redis, name):
        life = stream.state(START).life
        redis.client().set(LIFE, name)
        assert stream.state(START).life == ""
        assert is_earlier(life, stream.open(life).life)
        redis.client().set(LIFE, name)
        stream.add(notice(1))
        assert stream.open().life not in ("", name)

    def test_who_lost_the_connection_alone_goes_on(self, stream, redis):
        life = stream.state(START).life
        stream.add(notice(1))
        redis.client().client_kill_filter(_type="normal", skipme=True)
        stream.add(notice(2))
        assert stream.state(START).life == life
        assert read_all(stream)[0] == [notice(1), notice(2)]

    def test_of_two_who_notice_one_begins_anew(self, stream, redis):
        life = stream.state(START).life
        stream.renew(life)
        once = stream.state(START).life
        other = Stream(redis.url)
        other.renew(life)
        other.close()
        assert stream.state(START).life == once != life


class TestTrim:
    def test_by_age(self, stream, settings):
        settings.SERVERPUSH_HISTORY_SECONDS = 0.001
        for number in range(300):
            stream.add(notice(number))
        stream.trim(stream.now())
        state = stream.state(START)
        # Redis forgets whole blocks of a hundred.
        assert state.trimmed >= 200

    def test_by_size(self, stream, monkeypatch):
        monkeypatch.setattr("serverpush.stream.MAX_BYTES", 100_000)
        for number in range(50):
            stream.add(Record("/notify", bytes(10_000) + str(number).encode()))
        stream.trim(stream.now())
        assert 5 <= stream.state(START).kept <= 15

    def test_by_number(self, stream, monkeypatch):
        monkeypatch.setattr("serverpush.stream.MAX_RECORDS", 100)
        for number in range(350):
            stream.add(notice(number))
        # Redis forgets whole blocks of a hundred.
        assert 100 <= stream.state(START).kept < 200

    def test_ends_by_number(self, stream, monkeypatch):
        monkeypatch.setattr("serverpush.stream.MAX_RECORDS", 100)
        for number in range(350):
            stream.add(records.ending(str(number), Ending(users=(str(number),))))
        found, since = stream.ends()
        assert 100 <= len(found) < 200
        # Of those before the first that is kept nobody knows.
        assert since > 0


class Old(socketserver.StreamRequestHandler):
    """Says that it is a Redis from before there were streams."""

    def handle(self):
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            if words[0].upper() == b"INFO":
                text = b"# Server\r\nredis_version:4.0.14\r\n"
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(text), text))
            else:
                self.wfile.write(b"+OK\r\n")

    def _word(self):
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


def test_a_redis_that_is_too_old():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Old) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stream = Stream(f"redis://127.0.0.1:{server.server_address[1]}/0")
        try:
            with pytest.raises(LogUnavailable, match=r"version 4\.0, and 7\.0 or later is needed"):
                stream.open()
        finally:
            stream.close()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/2", "host:6379/2"),
        ("redis://user:secret@host", "host"),
        ("redis:///1", "localhost/1"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_a_place_has_no_password(url, shown):
    assert place(url) == shown
