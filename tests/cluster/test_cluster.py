"""Push servers' parts that read one log in a real Redis, all in one loop."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from serverpush import records
from serverpush.exceptions import LogUnavailable
from serverpush.messages import Message
from serverpush.protocol import Change, Ending, ModelInfo, Page, Visitor
from serverpush.server import cluster, company
from serverpush.server.bodies import Bodies, Reported
from serverpush.server.clock import Clock
from serverpush.server.core.access import Access
from serverpush.server.core.actions import Refresh
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log
from serverpush.server.core.members import Member
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.presence import Presence
from serverpush.server.core.strangers import Whose
from serverpush.server.core.visits import Visit
from serverpush.server.intake import Intake
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop
from serverpush.stream import Stream
from tests.cluster.redis import RedisServer, free_port

MODELS = {
    "shop.book": ModelInfo("shop.book", ("shop.book",), key="integer"),
    "auth.user": ModelInfo("auth.user", ("auth.user",), key="integer"),
}
LOG, LIFE = "serverpush:{serverpush}:log", "serverpush:{serverpush}:life"
SECONDS = 10
KEY = ("tab", "")
LEFT = ("unsubscribe", "room")
# As it is, not as these tests have it.
LAST_DELAY = cluster.LAST_DELAY


class Emitter:
    """Takes what would go to the sockets."""

    def __init__(self):
        self.done = []

    def do(self, actions):
        self.done += actions


class Server:
    """What a push server is without sockets and renderers; one page is connected to it."""

    def __init__(self, url, name, *, is_local=True):
        self.name = name
        self.opened = []
        self.emitter = Emitter()
        self.clock = Clock()
        self.log = Log(epoch="none", now=self.clock(), size=10_000, seconds=300)
        self.dispatch = Dispatch(self.log, MODELS)
        self.messaging = Messaging(self.log, self.dispatch.registry, self.dispatch.unsettled)
        self.access = Access(max_age=1000, now=self.clock())
        self.presence = Presence(lambda channel: True, lambda: True, name)
        self.telemetry = Telemetry()
        intake = Intake(
            access=self.access,
            dispatch=self.dispatch,
            messaging=self.messaging,
            emitter=self.emitter,
            telemetry=self.telemetry,
            clock=self.clock,
            wake=lambda: None,
            look_up=lambda job: None,
        )
        self.cluster = cluster.Cluster(
            url,
            bodies=Bodies(MODELS, "auth.user"),
            intake=intake,
            log=self.log,
            access=self.access,
            clock=self.clock,
            telemetry=self.telemetry,
            is_local=is_local,
            presence=self.presence,
            name=name,
            on_open=lambda: self.opened.append(name),
        )

    def connect(self, id="page", since=None):
        since = since or self.log.head
        self.dispatch.connect(id, Page("/"), Visitor(), since)
        self.messaging.connect(id, since, Whose())

    @property
    def heard(self):
        return self.heard_by("page")

    def heard_by(self, id):
        sends = (each for each in self.emitter.done if hasattr(each, "payload"))
        return [json.loads(each.payload) for each in sends if id in each.connections]

    @property
    def refreshed(self):
        return [each.reason for each in self.emitter.done if isinstance(each, Refresh)]

    def begin(self):
        self.cluster.start()
        until(lambda: self.opened, f"{self.name} has read the log")
        self.connect()

    def join(self, id="page"):
        self.presence.join("room", KEY, id, Member("", "", Page("/"), Visitor()))
        self.cluster.share()

    @property
    def signals(self):
        """What the project is to hear, as it is taken from here."""
        found = []
        while (job := self.presence.next_job()) is not None:
            found.append((job[1].signal, job[0].channel))
            self.presence.told(job[0])
        return found


def until(condition, what):
    """Let the loop run until something is so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        loop.sleep(0.01)


def let_all_be_read(server, monkeypatch):
    """Wait until the only server that adds anything has read its last beat for a while.

    What is taken away before it was read would be missed, or could not be.
    """
    monkeypatch.setattr(cluster, "BEAT_SECONDS", 60)
    now = time.monotonic()
    until(lambda: server.cluster._heard_at > now, "the last beat is heard")


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def quick(redis, monkeypatch):
    """An empty Redis, and servers that are heard often."""
    redis.client().flushall()
    monkeypatch.setattr(cluster, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(cluster, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "BEHIND_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "LAST_DELAY", 0.1)


@pytest.fixture
def play(redis):
    """Runs a scene with so many servers; they have read the log, unless it says otherwise."""
    made = []

    def play(count, scene, begins=True):
        def run():
            made.extend(Server(redis.url, f"server {number}") for number in range(count))
            if begins:
                for each in made:
                    each.begin()
            try:
                return scene(*made)
            finally:
                for each in made:
                    each.cluster.stop()

        return loop.run(run)

    return play


@pytest.fixture
def clock(monkeypatch):
    """What servers go by, which stands still until its ``now`` is set."""
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(cluster, "time", clock)
    return clock


def be_heard(server, clock):
    """Wait until a server has heard itself just now."""
    clock.now += 5
    until(lambda: server.cluster.unheard == 0, "the last beat is heard")


def message(data, batch=""):
    told = (Message(("all",), "message", json.dumps(data)),)
    return Reported(batch, messages=told)


class TestLog:
    def test_what_one_is_told_all_have_at_the_same_place(self, play):
        def scene(one, other):
            position = one.cluster.take(replace(message("hi"), changes=(Change("shop.book", 7),)))
            until(lambda: one.heard and other.heard, "both have read it")
            for each in (one, other):
                assert each.heard == ["hi"]
                assert each.log.topics.since("all", each.log.at(0))[0][0] == position
                assert len(each.log) == 1
            return one.log.head.epoch, other.log.head.epoch

        assert len(set(play(2, scene))) == 1

    def test_a_batch_that_was_added_twice_is_applied_once(self, play):
        def scene(one, other):
            for server in (one, other):
                server.cluster.take(message("once", "b"))
            one.cluster.take(message("fence"))
            until(lambda: "fence" in other.heard, "all is read")
            assert other.heard == ["once", "fence"]

        play(2, scene)

    def test_a_batch_that_comes_again_in_another_life_is_known_there(self, play, redis):
        def scene(one):
            one.cluster.take(message("again", "b"))
            until(lambda: one.heard, "it is read")
            redis.client().flushall()
            until(lambda: one.refreshed, "another life begins")
            position = one.cluster.take(message("again", "b"))
            one.cluster.take(message("fence"))
            until(lambda: "fence" in one.heard, "all is read")
            assert one.log.topics.since("all", one.log.at(0))[0][0] == position

        play(1, scene)

    def test_what_is_older_than_a_page_is_no_news_to_it(self, play):
        def scene(one, other):
            other.cluster.stop()
            position = one.cluster.take(message("old"))
            # It comes to a server that has not read so far.
            other.connect("newer", position)
            other.cluster.start()
            one.cluster.take(message("news"))
            until(lambda: other.heard == ["old", "news"], "all is read")
            assert other.heard_by("newer") == ["news"]

        play(2, scene)

    def test_while_much_is_read_others_have_their_turn(self, play, monkeypatch):
        monkeypatch.setattr(cluster, "TURN_SECONDS", 0)

        def scene(one, other):
            turns, seen = [], []

            def count():
                while True:
                    turns.append(None)
                    loop.sleep()

            other.cluster.stop()
            for number in range(20):
                one.cluster.take(message(number))
            monkeypatch.setattr(other.cluster, "_take", lambda reported: seen.append(len(turns)))
            counting = loop.spawn(count)
            other.cluster.start()
            until(lambda: len(seen) == 20, "all is read")
            counting.cancel()
            assert len(set(seen)) == 20

        play(2, scene)

    def test_the_end_of_access_is_known_to_who_begins_later(self, play, redis):
        def scene(one, other):
            one.begin()
            one.cluster.take(Reported("b", ending=Ending(sessions=("hash",))))
            until(lambda: one.access.refuses(Visit("", "hash"), 0), "it is known")
            redis.client().xtrim(LOG, maxlen=0, approximate=False)
            other.begin()
            assert other.access.refuses(Visit("", "hash"), 0)
            assert other.access.remembers(time.time())

        play(2, scene, begins=False)

    def test_an_end_without_a_time_has_that_of_its_telling(self, play, redis):
        def scene(one, other):
            one.begin()
            one.cluster.take(Reported("b", ending=Ending(users=("1",))))
            until(lambda: one.access.refuses(Visit(user="1"), 0), "it is known")
            later = one.clock() + 0.2
            until(lambda: one.clock() > later, "time goes on")
            other.begin()
            # Who came after it is not ended by a server that begins later.
            for each in (one, other):
                assert not each.access.refuses(Visit(user="1"), later - 0.1)

        play(2, scene, begins=False)

    def test_what_is_held_and_remembered_is_of_its_kind(self, play, redis):
        def scene(one):
            stream = Stream(redis.url)
            stream.add(records.beat("x", 1), {"copied": records.beat("x", 1).seal()})
            stream.close()
            redis.client().xadd("serverpush:{serverpush}:ends", records.beat("x", 1).fields())
            one.begin()
            metrics = one.telemetry.metrics()
            for name in (b"held", b"ends"):
                assert b'serverpush_records_refused_total{log="%s"} 1.0' % name in metrics

        play(1, scene, begins=False)

    def test_a_position_that_is_not_reached_is_not_known(self, play):
        def scene(one):
            assert one.cluster.knows(None)
            assert one.cluster.knows(one.log.head)
            ahead = replace(one.log.head, time=one.log.head.time + 60_000)
            assert not one.cluster.knows(ahead)
            # One of another life is answered by the log itself.
            assert one.cluster.knows(replace(ahead, epoch="another"))

        play(1, scene)

    def test_what_can_not_be_read_is_a_gap(self, play, redis):
        def scene(one):
            for record in (
                records.notice("b", [Change("of.tomorrow", 1)]),
                records.Record("/tomorrow", b"{}"),
                records.Record("/notify", b"no JSON"),
            ):
                before = len(one.refreshed)
                redis.client().xadd(LOG, record.fields())
                until(lambda at=before: len(one.refreshed) > at, "a gap")
            assert set(one.refreshed) == {"gap"}

        play(1, scene)

    def test_what_nobody_signed_is_counted_and_no_gap(self, play, redis):
        def scene(one):
            redis.client().xadd(LOG, {**message_fields(), "body": b"{}"})
            one.cluster.take(message("fence"))
            until(lambda: one.heard, "all is read")
            assert one.refreshed == []
            assert b'serverpush_records_refused_total{log="log"} 1.0' in one.telemetry.metrics()

        play(1, scene)


def message_fields():
    return records.notice("b").fields()


class TestFaults:
    def test_a_log_that_takes_nothing_is_said_to_whoever_asks(self, play, redis):
        def scene(one):
            client = redis.client()
            client.config_set("maxmemory", "1mb")
            try:
                with pytest.raises(LogUnavailable, match="maxmemory"):
                    one.cluster.take(message("no"))
            finally:
                client.config_set("maxmemory", "0")

        play(1, scene)

    def test_who_does_not_hear_itself_knows_it(self, play, redis, monkeypatch):
        monkeypatch.setattr(cluster, "DEAF_SECONDS", 0.5)

        def scene(one):
            with paused(redis):
                until(lambda: not one.cluster.is_open, "it is deaf")
                assert "does not hear the others" in one.cluster.status
                assert not one.cluster.knows(None)
            until(lambda: one.cluster.is_open, "it hears again")

        play(1, scene)

    def test_it_knows_within_ten_seconds(self, play, clock):
        def scene(one):
            be_heard(one, clock)
            clock.now += 9
            assert one.cluster.status == "ok"
            clock.now += 1.01
            assert one.cluster.status != "ok"

        play(1, scene)

    def test_its_clients_better_go_elsewhere_after_thirty_seconds(self, play, redis, clock):
        def scene(one):
            be_heard(one, clock)
            with paused(redis):
                clock.now += 29
                assert not one.cluster.is_cut_off
                clock.now += 1.01
                assert one.cluster.is_cut_off

        play(1, scene)

    def test_while_it_reads_they_stay(self, play, redis, clock):
        def scene(one):
            be_heard(one, clock)
            client = redis.client()
            client.config_set("maxmemory", "1mb")
            try:
                until(lambda: "maxmemory" in str(one.cluster._trouble), "nothing is taken")
                clock.now += 31
                until(lambda: not one.cluster.is_cut_off, "it has read, and there was nothing")
                assert not one.cluster.is_open
            finally:
                client.config_set("maxmemory", "0")

        play(1, scene)

    def test_nor_do_they_go_where_redis_can_not_write_its_file(self, play, redis, clock):
        def scene(one):
            be_heard(one, clock)
            client = redis.client()
            in_its_place = Path(client.config_get("dir")["dir"], "dump.rdb")
            in_its_place.mkdir()
            client.config_set("save", "3600 1")
            try:
                client.bgsave()
                until(lambda: "MISCONF" in str(one.cluster._trouble), "nothing is taken")
                clock.now += 31
                until(lambda: not one.cluster.is_cut_off, "it has read, and there was nothing")
            finally:
                client.config_set("save", "")
                in_its_place.rmdir()

        play(1, scene)

    def test_one_that_can_only_read_does_not_know_what_others_have_added(self, play, redis, clock):
        def scene(one):
            be_heard(one, clock)
            client = redis.client()
            client.replicaof("127.0.0.1", 1)
            try:
                until(lambda: "read only" in str(one.cluster._trouble), "nothing is taken")
                clock.now += 31
                until(lambda: one.cluster._read_at == clock.now, "it has read")
                assert one.cluster.is_cut_off
            finally:
                client.replicaof("NO", "ONE")

        play(1, scene)

    def test_without_redis_it_tries_less_and_less_often(self, monkeypatch):
        monkeypatch.setattr(cluster, "LAST_DELAY", LAST_DELAY)
        delays = []

        class Enough(Exception):
            pass

        def sleep(seconds):
            delays.append(seconds)
            if len(delays) == 6:
                raise Enough

        monkeypatch.setattr(loop, "sleep", sleep)
        alone = Server(f"redis://127.0.0.1:{free_port()}/0", "alone")
        with pytest.raises(Enough):
            loop.run(alone.cluster._follow)
        assert delays == [0.25, 0.5, 1, LAST_DELAY, LAST_DELAY, LAST_DELAY]

    def test_a_gap_that_could_not_be_told_is_told_later(self, play, redis):
        def scene(one, other):
            client = redis.client()
            client.config_set("maxmemory", "1mb")
            one.cluster.gap("lost")
            until(lambda: "maxmemory" in str(one.cluster._trouble), "it could not be told")
            client.config_set("maxmemory", "0")
            until(lambda: one.refreshed and other.refreshed, "both are told")

        play(2, scene)

    def test_what_was_trimmed_before_it_was_read_is_a_gap(self, play, redis, monkeypatch):
        def scene(one, other):
            other.cluster.stop()
            for number in range(3):
                one.cluster.take(message(number))
            until(lambda: len(one.heard) == 3, "one has read it")
            let_all_be_read(one, monkeypatch)
            redis.client().xtrim(LOG, maxlen=0, approximate=False)
            other.cluster.start()
            until(lambda: other.refreshed, "the other is told")
            one.cluster.take(message("fence"))
            until(lambda: "fence" in other.heard, "it goes on")
            assert (one.refreshed, other.refreshed) == ([], ["gap"])

        play(2, scene)

    def test_what_was_read_and_is_gone_begins_a_new_life(self, play, redis, monkeypatch):
        def scene(one, other):
            one.cluster.take(message("gone"))
            until(lambda: one.heard and other.heard, "both have read it")
            one.cluster.stop()
            let_all_be_read(other, monkeypatch)
            last = redis.client().xrevrange(LOG, count=1)[0][0]
            redis.client().xdel(LOG, last)
            until(lambda: other.refreshed, "the other notices")
            one.cluster.start()
            until(lambda: one.refreshed, "so does who comes back")
            other.cluster.take(message("fence"))
            until(lambda: "fence" in one.heard, "they go on")
            assert one.log.epoch == other.log.epoch

        play(2, scene)

    @pytest.mark.parametrize("hole", [1, 30, 200])
    def test_a_hole_before_what_is_read_next_is_a_gap(self, play, redis, hole):
        def scene(one, other):
            other.cluster.stop()
            for number in range(hole + 100):
                one.cluster.take(message(number))
            until(lambda: len(one.heard) == hole + 100, "one has read it")
            last = str(other.cluster._after).encode()
            ids = [id for id, _ in redis.client().xrange(LOG)]
            first_kept = ids[ids.index(last) + 1 + hole]
            redis.client().xtrim(LOG, minid=first_kept, approximate=False)
            other.cluster.start()
            until(lambda: other.refreshed, "the other is told")
            # Who stands in the hole is not covered.
            assert not other.log.covers(other.log.at(0))
            one.cluster.take(message("fence"))
            until(lambda: "fence" in other.heard, "it goes on")
            assert other.heard[-101:-1] == list(range(hole, hole + 100))

        play(2, scene)

    def test_redis_fails_just_when_a_new_life_begins(self, play, redis, monkeypatch):
        def scene(one):
            ends, failing = Stream.ends, [True, True]

            def fails(self):
                if failing:
                    failing.pop()
                    raise LogUnavailable("here", "it is loading")
                return ends(self)

            monkeypatch.setattr(Stream, "ends", fails)
            redis.client().flushall()
            until(lambda: one.refreshed, "it is told all the same")
            assert not failing

        play(1, scene)

    def test_a_mistake_does_not_end_the_reading(self, play, monkeypatch, caplog):
        def scene(one):
            read, failing = Stream.read, [True]

            def fails(self, *arguments):
                if failing:
                    failing.pop()
                    raise ZeroDivisionError
                return read(self, *arguments)

            monkeypatch.setattr(Stream, "read", fails)
            until(lambda: not failing, "it fails")
            one.cluster.take(message("still there"))
            until(lambda: one.heard, "it reads on")
            assert "the log could not be read on" in caplog.text

        play(1, scene)

    def test_a_full_log_is_emptied_of_what_is_old(self, play, redis, settings):
        def scene(one):
            client = redis.client()
            before = client.info("memory")["used_memory"]
            for number in range(300):
                one.cluster.take(message(str(number) * 1000))
            added = client.info("memory")["used_memory"] - before
            settings.SERVERPUSH_HISTORY_SECONDS = 0.001
            client.config_set("maxmemory", before + added // 2)
            try:
                until(lambda: not is_full(one), "it takes something again")
            finally:
                client.config_set("maxmemory", "0")

        play(1, scene)

    def test_one_that_is_cut_off_is_deaf_alone(self, play, redis, monkeypatch):
        monkeypatch.setattr(cluster, "DEAF_SECONDS", 0.5)
        monkeypatch.setattr(cluster, "LET_GO_SECONDS", 1)
        client = redis.client()
        client.acl_setuser("cut", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all"])

        def scene(one):
            other = Server(redis.url.replace("redis://", "redis://cut:pw@"), "cut off")
            other.begin()
            try:
                client.acl_setuser("cut", enabled=False)
                client.execute_command("CLIENT", "KILL", "USER", "cut")
                one.cluster.take(message("missed"))
                # On a busy machine one that hears may be late, too, but not for good.
                until(lambda: one.cluster.is_open and not other.cluster.is_open, "it is deaf")
                with pytest.raises(LogUnavailable):
                    other.cluster.take(message("no"))
                until(
                    lambda: other.cluster.is_cut_off and not one.cluster.is_cut_off,
                    "its clients better go",
                )
                client.acl_setuser("cut", enabled=True)
                until(lambda: other.cluster.is_open, "it hears again")
                assert other.heard == ["missed"]
            finally:
                other.cluster.stop()

        play(1, scene)

    def test_a_log_that_is_ahead_of_the_clock_begins_anew(self, play, redis):
        def scene(one, other):
            ahead = int((time.time() + 3600) * 1000)
            redis.client().xadd(LOG, {"foreign": "x"}, id=f"{ahead}-0")
            until(lambda: one.refreshed and other.refreshed, "both are told")
            position = one.cluster.take(message("news"))
            until(lambda: other.heard, "they go on")
            # A page that is loaded now has all that came before.
            assert position < one.log.at(time.time() + 1)

        play(2, scene)

    def test_redis_comes_back_with_an_earlier_life(self, play, redis):
        def scene(one, other):
            snapshot, lives = redis.snapshot(), [one.log.epoch]
            redis.client().flushall()
            until(lambda: one.refreshed and other.refreshed, "both are told")
            lives.append(one.log.epoch)
            since = one.cluster.take(message("lost"))
            until(lambda: one.heard and other.heard, "both have read it")
            redis.bring_back(snapshot)
            until(lambda: one.log.epoch == other.log.epoch not in lives, "they follow another")
            # Neither who has seen that, nor who was there before it.
            for position in (since, replace(since, epoch=lives[0])):
                assert not one.log.covers(position)

        play(2, scene)

    def test_redis_is_replaced_by_one_whose_clock_is_behind(self, play, redis):
        def scene(one, other):
            # As its clock had it, this life began in the year 2039.
            redis.client().set(LIFE, f"cafe.{2**41}.{2**41}")
            until(lambda: one.log.epoch == other.log.epoch == "cafe", "they follow it")
            redis.client().flushall()
            until(lambda: one.log.epoch == other.log.epoch != "cafe", "they follow another")
            one.cluster.take(message("news"))
            until(lambda: one.heard and other.heard, "they go on")

        play(2, scene)

    @pytest.mark.parametrize("is_local", [True, False])
    def test_with_another_life_the_clock_may_be_set_back(self, play, redis, monkeypatch, is_local):
        ahead = [3600]
        shown = SimpleNamespace(time=lambda: time.time() + ahead[0], monotonic=time.monotonic)
        monkeypatch.setattr("serverpush.server.clock.time", shown)
        monkeypatch.setattr(Stream, "now", lambda self: shown.time())

        def scene():
            one = Server(redis.url, "one", is_local=is_local)
            one.begin()
            try:
                until(lambda: one.clock() > time.time() + 3000, "it is ahead")
                let_all_be_read(one, monkeypatch)
                ahead[0] = 0
                redis.client().flushall()
                until(lambda: one.refreshed, "another life begins")
                assert one.clock() < time.time() + 10
                # What comes is kept, and not taken for too old.
                one.cluster.take(replace(message("hi"), changes=(Change("shop.book", 7),)))
                until(lambda: one.heard, "it is read")
                assert len(one.log) == 1
            finally:
                one.cluster.stop()

        play(0, scene)

    def test_a_log_that_is_deleted(self, play, redis):
        def scene(one, other):
            before = one.log.epoch
            redis.client().flushall()
            until(lambda: one.refreshed and other.refreshed, "both are told")
            until(lambda: one.log.epoch == other.log.epoch != before, "they follow another")

        play(2, scene)


def is_full(server):
    try:
        server.cluster.take(message("x" * 10_000))
    except LogUnavailable:
        loop.sleep(0.05)
        return True
    return False


@contextmanager
def paused(redis):
    redis.pause()
    try:
        yield
    finally:
        redis.resume()


class TestPresence:
    def test_who_comes_here_is_there_for_all(self, play):
        def scene(one, other):
            one.join()
            until(lambda: other.presence.present("room")["total"] == 1, "the other knows")
            one.presence.leave("room", "page")
            one.cluster.share()
            until(lambda: other.presence.present("room")["total"] == 0, "the other knows")
            until(lambda: one.signals == [LEFT], "one tells the project")
            assert other.signals == []

        play(2, scene)

    def test_a_page_that_moves_has_not_left(self, play):
        def scene(one, other):
            one.join()
            until(lambda: other.presence.member("room", KEY), "the other knows")
            other.join()
            until(lambda: "server 1" in one.presence.elsewhere.servers, "one knows, too")
            one.presence.leave("room", "page")
            one.cluster.share()
            until(lambda: one.presence.elsewhere.servers == ["server 1"], "it is there alone")
            until(lambda: other.presence.elsewhere.servers == ["server 1"], "it is there alone")
            assert (one.signals, other.signals) == ([], [])

        play(2, scene)

    def test_of_a_server_that_is_no_more_one_tells(self, play, monkeypatch):
        monkeypatch.setattr(company, "GRACE", 0.5)

        def scene(one, other, gone):
            gone.join()
            until(lambda: one.presence.member("room", KEY), "the others know")
            gone.cluster.stop()
            told = []

            def is_told():
                told.extend([*one.signals, *other.signals])
                return told and not one.presence.elsewhere.servers

            until(is_told, "it is told")
            until(lambda: not other.presence.elsewhere.servers, "all know")
            told.extend([*one.signals, *other.signals])
            assert told == [LEFT]

        play(3, scene)

    def test_who_begins_later_knows_who_is_there(self, play, redis):
        def scene(one, other):
            one.begin()
            one.join()
            until(lambda: one.presence.elsewhere.servers, "it has read that")
            redis.client().xtrim(LOG, maxlen=0, approximate=False)
            other.begin()
            assert other.presence.present("room")["total"] == 1

        play(2, scene, begins=False)

    def test_what_nobody_signed_is_not_there(self, play, redis):
        def scene(one, other):
            one.begin()
            one.join()
            until(lambda: one.presence.elsewhere.servers, "it is held")
            held = "serverpush:{serverpush}:held"
            [value] = redis.client().hvals(held)
            redis.client().hset(held, "another", value.replace(b"tab", b"bat"))
            other.begin()
            assert set(other.presence.elsewhere.members("room")) == {KEY}
            assert b'serverpush_records_refused_total{log="held"} 1.0' in other.telemetry.metrics()

        play(2, scene, begins=False)
