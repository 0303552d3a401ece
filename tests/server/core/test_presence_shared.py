"""Presence over several push servers: all know the same, and the project hears of each once."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serverpush.protocol import Page, Visitor
from serverpush.server.core.members import Member
from serverpush.server.core.presence import GRACE, Presence

SERVERS = st.sampled_from("abc")
TABS = st.sampled_from(["one", "two", "three"])
CHANNEL = "room"


class Servers(RuleBasedStateMachine):
    """Servers that read one log, each at its own pace."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.log = []
        # By name: what is there, how far it has read, and its connections by tab.
        self.presence, self.read, self.ids = {}, {}, {}
        for name in "abc":
            self.begin(name)
        self.names = {name: name for name in "abc"}
        self.lives = 0
        self.signals = []

    def begin(self, name):
        self.presence[name] = Presence(lambda channel: True, lambda: True, name)
        self.read[name] = 0
        self.ids[name] = {}

    def share(self, name):
        joined, left = self.presence[name].share()
        if joined or left:
            self.log.append(("present", name, joined, left))

    def catch_up(self, name, most=None):
        """Let a server read on."""
        there = self.presence[name]
        while self.read[name] < len(self.log) and most != 0:
            word, server, *rest = self.log[self.read[name]]
            self.read[name] += 1
            if word == "present":
                there.hear(server, *rest)
            else:
                there.lose(server, *rest)
                self.share(name)
            most = None if most is None else most - 1
        while (job := there.next_job()) is not None:
            move, _ = job
            self.signals.append(("+" if move.signal == "subscribe" else "-", move.key[0]))
            there.told(move)

    def all_catch_up(self):
        # What one says while it reads, the others read, too.
        while any(self.read[name] < len(self.log) for name in self.read):
            for name in list(self.read):
                self.catch_up(name)

    @rule(server=SERVERS, tab=TABS)
    def join(self, server, tab):
        """A page connects to a server that has read all, as one that comes from another does."""
        self.all_catch_up()
        server = self.names[server]
        there, key = self.presence[server], (tab, "")
        if there.member(CHANNEL, key) is None:
            self.signals.append(("+", tab))
        ids = self.ids[server].setdefault(tab, [])
        ids.append(f"{server}-{tab}-{len(self.log)}-{len(ids)}-{self.now}")
        there.join(CHANNEL, key, ids[-1], Member("", "", Page("/"), Visitor()))
        self.share(server)

    @rule(server=SERVERS, tab=TABS, says=st.booleans())
    def leave(self, server, tab, says):
        server = self.names[server]
        ids = self.ids[server].get(tab)
        if ids:
            id = ids.pop()
            if says:
                self.presence[server].leave(CHANNEL, id)
            self.presence[server].disconnect(id, self.now)
            self.share(server)

    @rule(server=SERVERS, seconds=st.sampled_from([1.0, GRACE]))
    def tick(self, server, seconds):
        self.now += seconds
        server = self.names[server]
        self.presence[server].tick(self.now)
        self.share(server)

    @rule(server=SERVERS, most=st.integers(1, 3))
    def some_read(self, server, most):
        self.catch_up(self.names[server], most)

    @rule(server=SERVERS)
    def kill(self, server):
        """One is no more, and all others say so; another begins in its place."""
        self.all_catch_up()
        gone = self.names[server]
        for each in (self.presence, self.read, self.ids):
            del each[gone]
        for other in list(self.presence):
            self.log.append(("lost", gone, other))
        self.lives += 1
        self.names[server] = name = f"{server}{self.lives}"
        self.begin(name)

    @rule(server=SERVERS)
    def cut_off(self, server):
        """One that is there is not heard, and all others say so before it reads that."""
        self.all_catch_up()
        away = self.names[server]
        others = [each for each in self.presence if each != away]
        for other in others:
            self.log.append(("lost", away, other))
        for other in others:
            self.catch_up(other)
        self.catch_up(away)

    @invariant()
    def what_all_have_read_is_the_same(self):
        if len(set(self.read.values())) == 1:
            known = [set(each.elsewhere.members(CHANNEL)) for each in self.presence.values()]
            assert all(each == known[0] for each in known)

    def teardown(self):
        self.all_catch_up()
        here = {(tab, "") for ids in self.ids.values() for tab, those in ids.items() if those}
        for each in self.presence.values():
            assert here <= set(each.elsewhere.members(CHANNEL))
        # When all who are away have been so for too long, all others know it, too.
        self.now += GRACE + 1
        for name, each in self.presence.items():
            each.tick(self.now)
            self.share(name)
        self.all_catch_up()
        for each in self.presence.values():
            assert set(each.elsewhere.members(CHANNEL)) == here
            assert each.present(CHANNEL)["total"] == len(here)
        for tab in ("one", "two", "three"):
            told = [sign for sign, each in self.signals if each == tab]
            # In turn: it has come, it has left, and is there now or not.
            assert told == ["+", "-"] * (len(told) // 2) + ["+"] * (len(told) % 2)
            assert ((tab, "") in here) == (len(told) % 2 == 1)


Servers.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestServers = Servers.TestCase


def test_a_page_that_comes_to_one_server_while_it_leaves_another_is_told_as_there():
    one, other = (Presence(lambda channel: True, lambda: True, name) for name in "ab")
    member = Member("7", "ada", Page("/"), Visitor())
    one.join(CHANNEL, ("tab", ""), "1", member)
    joined = one.share()
    for each in (one, other):
        each.hear("a", *joined)
    one.leave(CHANNEL, "1")
    left = one.share()
    assert other.member(CHANNEL, ("tab", "")) is not None, "it came without a signal"
    other.join(CHANNEL, ("tab", ""), "2", member)
    for each in (one, other):
        each.hear("a", *left)
    assert one.next_job()[1].signal == "unsubscribe"
    _, job = other.next_job()
    assert (job.signal, job.channel, job.user) == ("subscribe", CHANNEL, "7")
