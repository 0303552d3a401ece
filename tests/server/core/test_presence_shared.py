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
        # Each with its place in the log: two servers tell theirs in either order.
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
            self.tell(there, self.read[name])

    def tell(self, there, place):
        while (job := there.next_job()) is not None:
            move, _ = job
            self.signals.append((place, "+" if move.signal == "subscribe" else "-", move.key[0]))
            there.told(move)

    def all_catch_up(self):
        for name in self.presence:
            self.share(name)
        # What one says while it reads, the others read, too.
        while any(self.read[name] < len(self.log) for name in self.read):
            for name in list(self.read):
                self.catch_up(name)

    @rule(server=SERVERS, tab=TABS)
    def join(self, server, tab):
        """A page connects to a server that has read all, as one that comes from another does."""
        self.all_catch_up()
        self.come(self.names[server], tab)

    @rule(server=SERVERS, tab=TABS, tells=st.booleans())
    def join_one_that_lags(self, server, tab, tells):
        """A page that no other server has subscribes by one that need not have read all."""
        server = self.names[server]
        others = [each for name, each in self.presence.items() if name != server]
        if all(each.member(CHANNEL, (tab, "")) is None for each in others):
            self.come(server, tab, tells)

    def come(self, server, tab, tells=True):
        there, key = self.presence[server], (tab, "")
        is_silent = there.member(CHANNEL, key) is not None
        if not is_silent:
            # It is asked for before it is there.
            self.signals.append((len(self.log) + 1, "+", tab))
        ids = self.ids[server].setdefault(tab, [])
        ids.append(f"{server}-{tab}-{len(self.log)}-{len(ids)}-{self.now}")
        there.join(CHANNEL, key, ids[-1], Member("", "", Page("/"), Visitor()), is_silent=is_silent)
        if tells:
            self.share(server)

    @rule(server=SERVERS)
    def tell_others(self, server):
        """It could not before, or waited for more."""
        self.share(self.names[server])

    @rule(server=SERVERS, tab=TABS, says=st.booleans(), tells=st.booleans())
    def leave(self, server, tab, says, tells):
        server = self.names[server]
        ids = self.ids[server].get(tab)
        if ids:
            id = ids.pop()
            if says:
                self.presence[server].leave(CHANNEL, id)
            self.presence[server].disconnect(id, self.now)
            if tells:
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
        """One that is there is not heard, and all others say so; it reads that at some time."""
        self.all_catch_up()
        away = self.names[server]
        others = [each for each in self.presence if each != away]
        for other in others:
            self.log.append(("lost", away, other))
        for other in others:
            self.catch_up(other)

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
        self.signals.sort(key=lambda signal: signal[0])
        for tab in ("one", "two", "three"):
            told = [sign for _, sign, each in self.signals if each == tab]
            # In turn: it has come, it has left, and is there now or not.
            assert told == ["+", "-"] * (len(told) // 2) + ["+"] * (len(told) % 2)
            assert ((tab, "") in here) == (len(told) % 2 == 1)


Servers.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestServers = Servers.TestCase


def member():
    return Member("7", "ada", Page("/"), Visitor())


KEY = ("tab", "")


def two_servers():
    return [Presence(lambda channel: True, lambda: True, name) for name in "ab"]


def hear(servers, name, told):
    for each in servers:
        each.hear(name, *told)


def with_a_page():
    """Two servers, of which the first has a page, and both have heard of it."""
    servers = two_servers()
    servers[0].join(CHANNEL, KEY, "1", member())
    hear(servers, "a", servers[0].share())
    return servers


def with_a_page_given_up():
    """Two servers, of which the first has a page that was told to have left, for it was deaf."""
    servers = with_a_page()
    for each in servers:
        each.lose("a", "b")
    assert signals(servers[1]) == ["unsubscribe"]
    return servers


def signals(presence):
    found = []
    while (job := presence.next_job()) is not None:
        found.append(job[1].signal)
        presence.told(job[0])
    return found


def test_a_page_that_comes_to_one_server_while_it_leaves_another_has_come_anew():
    one, other = servers = with_a_page()
    one.leave(CHANNEL, "1")
    left = one.share()
    assert other.member(CHANNEL, KEY) is not None, "it comes without a signal"
    # The project may be asked for a while, whether it may come.
    hear(servers, "a", left)
    other.join(CHANNEL, KEY, "2", member(), is_silent=True)
    hear(servers, "b", other.share())
    assert (signals(one), signals(other)) == (["unsubscribe"], ["subscribe"])


def test_a_page_that_comes_before_it_leaves_has_neither_left_nor_come():
    one, other = servers = with_a_page()
    other.join(CHANNEL, KEY, "2", member(), is_silent=True)
    hear(servers, "b", other.share())
    one.leave(CHANNEL, "1")
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == ([], [])


def test_of_a_server_that_was_cut_off_pages_have_come_again_but_those_that_went_elsewhere():
    one, other = servers = two_servers()
    went, stayed = ("went", ""), ("stayed", "")
    for key in (went, stayed):
        one.join(CHANNEL, key, key[0], member())
    hear(servers, "a", one.share())
    other.lose("a", "b")
    assert signals(other) == ["unsubscribe", "unsubscribe"]
    other.join(CHANNEL, went, "2", member())
    came = other.share()
    # It reads all that only now.
    one.lose("a", "b")
    again = one.share()
    hear(servers, "b", came)
    hear(servers, "a", again)
    [(move, job)] = iter(one.next_job, None)
    assert (move.key, job.signal, job.user) == (stayed, "subscribe", "7")
    assert signals(other) == []


def test_a_page_that_was_given_up_and_leaves_before_it_is_told_has_come_again_and_left():
    one, other = servers = with_a_page_given_up()
    again = one.share()
    one.leave(CHANNEL, "1")
    left = one.share()
    hear(servers, "a", again)
    hear(servers, "a", left)
    assert (signals(one), signals(other)) == (["subscribe", "unsubscribe"], [])


def test_a_page_that_was_given_up_and_leaves_at_once_has_left_once():
    one, other = servers = with_a_page_given_up()
    one.leave(CHANNEL, "1")
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == ([], [])


def test_a_page_that_came_after_its_server_was_given_up_has_come_once():
    one, other = servers = two_servers()
    one.join(CHANNEL, KEY, "1", member())
    joined = one.share()
    # The project was asked, and one reads only now that it was given up before.
    for each in servers:
        each.lose("a", "b")
    hear(servers, "a", joined)
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == ([], [])
    one.leave(CHANNEL, "1")
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == (["unsubscribe"], [])


def test_a_page_that_leaves_and_comes_again_before_its_server_has_heard_of_it_has_come_once():
    one, other = servers = two_servers()
    one.join(CHANNEL, KEY, "1", member())
    told = [one.share()]
    one.leave(CHANNEL, "1")
    told.append(one.share())
    assert one.member(CHANNEL, KEY) is not None, "it comes without a signal"
    one.join(CHANNEL, KEY, "1", member(), is_silent=True)
    for each in (*told, one.share()):
        hear(servers, "a", each)
    assert (signals(one), signals(other)) == ([], [])


def test_a_page_that_comes_and_goes_before_its_server_has_heard_of_it_has_left_once():
    one, other = servers = two_servers()
    told = []
    for _ in range(3):
        one.join(CHANNEL, KEY, "1", member(), is_silent=bool(told))
        told.append(one.share())
        one.leave(CHANNEL, "1")
        told.append(one.share())
    for each in told:
        hear(servers, "a", each)
    assert (signals(one), signals(other)) == (["unsubscribe"], [])


def test_a_page_that_is_back_before_another_server_lets_it_go_has_come_again():
    one, other = servers = with_a_page()
    other.join(CHANNEL, KEY, "1", member(), is_silent=True)
    hear(servers, "b", other.share())
    one.leave(CHANNEL, "1")
    left = one.share()
    one.join(CHANNEL, KEY, "1", member(), is_silent=True)
    other.leave(CHANNEL, "1")
    hear(servers, "a", left)
    hear(servers, "b", other.share())
    # It could not say so before.
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == (["subscribe"], ["unsubscribe"])


def test_of_two_leaves_the_one_that_is_heard_last_counts():
    one, other = servers = with_a_page()
    other.join(CHANNEL, KEY, "1", member(), is_silent=True)
    hear(servers, "b", other.share())
    told = []
    for step in (one.leave, one.join, one.leave):
        if step == one.join:
            step(CHANNEL, KEY, "1", member(), is_silent=True)
        else:
            step(CHANNEL, "1")
        told.append(one.share())
    left, back, again = told
    other.leave(CHANNEL, "1")
    for name, each in (("a", left), ("a", back), ("b", other.share()), ("a", again)):
        hear(servers, name, each)
    assert (signals(one), signals(other)) == (["unsubscribe"], [])


def test_that_a_page_left_may_be_said_twice():
    one, other = servers = with_a_page()
    one.leave(CHANNEL, "1")
    left = one.share()
    one.join(CHANNEL, KEY, "1", member(), is_silent=True)
    back = one.share()
    one.leave(CHANNEL, "1")
    for each in (left, left, back, one.share()):
        hear(servers, "a", each)
    assert (signals(one), signals(other)) == (["unsubscribe"], [])


def test_a_page_that_left_shortly_before_the_log_was_lost_has_left():
    one, other = servers = with_a_page()
    one.leave(CHANNEL, "1")
    one.share()
    for each in servers:
        each.forget_others()
    hear(servers, "a", one.share())
    assert (signals(one), signals(other)) == (["unsubscribe"], [])


def test_after_a_hole_in_the_log_pages_have_come_again_if_they_were_given_up():
    one, other = servers = with_a_page()
    other.lose("a", "b")
    one.forget_others()
    one.may_be_given_up()
    joined = one.share()
    hear(servers, "a", joined)
    assert signals(one) == ["subscribe"]
    # Here they were not: what it has said is held beside the log.
    one.forget_others()
    one.hear("a", *joined)
    one.may_be_given_up()
    one.hear("a", *one.share())
    assert signals(one) == []


def test_after_a_hole_a_page_that_left_and_was_back_has_come_once():
    one = two_servers()[0]
    one.join(CHANNEL, KEY, "1", member())
    told = [one.share()]
    one.leave(CHANNEL, "1")
    told.append(one.share())
    one.join(CHANNEL, KEY, "1", member(), is_silent=True)
    told.append(one.share())
    for each in told:
        one.hear("a", *each)
    # It reads again what is kept behind the hole.
    one.forget_others()
    one.hear("a", *told[2])
    one.may_be_given_up()
    for each in told[1:]:
        one.hear("a", *each)
    assert signals(one) == []


def test_a_user_whose_session_may_have_ended_meanwhile_is_nobody_by_himself():
    servers = two_servers()
    one = servers[0]
    one.join(CHANNEL, ("tab", "session"), "1", member())
    hear(servers, "a", one.share())
    for each in servers:
        each.lose("a", "b")
    hear(servers, "a", one.share())
    assert one.next_job()[1].user == ""
