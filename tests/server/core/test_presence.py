"""Presence: a page is there over its reconnects, once, and gone when it does not come back."""

from __future__ import annotations

import json

import pytest

from serverpush.exceptions import BadMessage
from serverpush.protocol import Page, Visitor
from serverpush.server.core.members import Member
from serverpush.server.core.presence import GRACE, LEFT, Presence

NOW = 1000.0
ROOM = "room"
PAGE = Page("/room/")
COOKIE = Visitor("sessionid=secret")


@pytest.fixture
def presence():
    return Presence(tells=lambda channel: channel == ROOM, listens=lambda: True)


def member(user="", name=""):
    return Member(user, name, PAGE, COOKIE)


def join(presence, tab, id, user="", channel=ROOM):
    presence.join(channel, (tab, "session"), id, member(user, user and f"user {user}"))


def left(presence):
    found = []
    while (taken := presence.next_job()) is not None:
        move, job = taken
        found.append((job.channel, job.user, job.signal))
        presence.told(move)
    return found


def test_users_are_told_once_and_visitors_counted(presence):
    join(presence, "one", "a", "7")
    join(presence, "two", "b", "7")
    join(presence, "three", "c", "8")
    join(presence, "four", "d")
    assert presence.present(ROOM) == {
        "users": [{"id": "7", "name": "user 7"}, {"id": "8", "name": "user 8"}],
        "visitors": 1,
        "total": 3,
    }
    assert presence.present("another") == {"users": [], "visitors": 0, "total": 0}


def test_who_comes_back_never_left(presence):
    join(presence, "one", "a", "7")
    assert presence.changed() == [ROOM]
    presence.disconnect("a", NOW)
    presence.tick(NOW + GRACE - 1)
    assert presence.member(ROOM, ("one", "session")).user == "7"
    join(presence, "one", "b", "7")
    presence.tick(NOW + 10 * GRACE)
    assert presence.present(ROOM)["total"] == 1
    assert (presence.changed(), left(presence)) == ([], [])


def test_who_does_not_come_back_has_left(presence):
    join(presence, "one", "a", "7")
    presence.changed()
    presence.disconnect("a", NOW)
    presence.tick(NOW + GRACE)
    assert presence.member(ROOM, ("one", "session")) is None
    assert presence.changed() == [ROOM]
    assert left(presence) == [(ROOM, "7", "unsubscribe")]
    assert left(presence) == []


def test_who_said_goodbye_has_left_sooner(presence):
    join(presence, "one", "a", "7")
    join(presence, "two", "b", "8")
    presence.disconnect("a", NOW)
    presence.disconnect("b", NOW, said_goodbye=True)
    presence.tick(NOW + LEFT)
    assert left(presence) == [(ROOM, "8", "unsubscribe")]


def test_who_unsubscribes_has_left_at_once(presence):
    join(presence, "one", "a", "7")
    presence.leave(ROOM, "a")
    presence.leave(ROOM, "a")
    assert left(presence) == [(ROOM, "7", "unsubscribe")]
    presence.disconnect("a", NOW)
    presence.tick(NOW + GRACE)
    assert left(presence) == []


def test_a_page_that_is_back_before_its_first_connection_is_known_to_be_lost(presence):
    join(presence, "one", "a", "7")
    join(presence, "one", "b", "7")
    presence.disconnect("a", NOW)
    presence.tick(NOW + GRACE)
    assert presence.present(ROOM)["total"] == 1
    assert left(presence) == []


def test_the_tab_of_another_session_is_another(presence):
    join(presence, "one", "a", "7")
    presence.join(ROOM, ("one", "other"), "b", member("8"))
    assert presence.present(ROOM)["total"] == 2


def test_one_connection_in_several_channels(presence):
    join(presence, "one", "a", "7")
    join(presence, "one", "a", "7", channel="quiet")
    assert presence.changed() == [ROOM], "the other does not tell"
    presence.disconnect("a", NOW)
    presence.tick(NOW + GRACE)
    assert sorted(left(presence)) == [("quiet", "7", "unsubscribe"), (ROOM, "7", "unsubscribe")]
    assert presence.dump() == []


def test_one_that_was_told_of_and_never_came_is_told_to_have_left(presence):
    presence.part(ROOM, ("one", "session"), member("7", "ada"))
    assert left(presence) == [(ROOM, "7", "unsubscribe")]
    assert presence.present(ROOM)["total"] == 0


def test_where_nobody_listens_no_job_is_made():
    presence = Presence(tells=lambda channel: True, listens=lambda: False)
    join(presence, "one", "a")
    presence.leave(ROOM, "a")
    assert presence.next_job() is None


class TestWhoIsPresentIsWorkedOutOnce:
    def test_until_it_is_another(self, presence):
        join(presence, "one", "a", "7")
        before = presence.present(ROOM)
        presence.disconnect("a", NOW)
        join(presence, "one", "b", "7")
        join(presence, "two", "c", "8", channel="another")
        assert presence.present(ROOM) is before

    def test_not_where_nobody_is(self, presence):
        assert presence.present("another") is not presence.present("another")

    def test_it_is_right_after_each_change(self, presence):
        def total():
            return presence.present(ROOM)["total"]

        join(presence, "one", "a", "7")
        assert total() == 1
        join(presence, "two", "b", "8")
        assert total() == 2
        presence.leave(ROOM, "b")
        assert total() == 1
        dump = presence.dump()
        presence.disconnect("a", NOW)
        presence.tick(NOW + GRACE)
        assert total() == 0
        join(presence, "three", "c")
        assert total() == 1
        presence.load(dump, NOW)
        assert total() == 2


def test_so_many_are_named(presence):
    for number in range(300):
        join(presence, f"tab {number}", str(number), str(number))
    present = presence.present(ROOM)
    assert (len(present["users"]), present["total"]) == (200, 300)


class TestOrder:
    """Of one page in one channel the project hears one after the other."""

    PLACE = (ROOM, ("one", "session"))

    def come(self, presence):
        """Gets in line, as who subscribes; what is appended says that it is its turn."""
        turns = []
        presence.order.enter(self.PLACE, "coming", lambda: turns.append("coming"))
        return turns

    def test_who_comes_waits_until_its_leaving_was_told(self, presence):
        join(presence, "one", "a", "7")
        presence.leave(ROOM, "a")
        turns = self.come(presence)
        move, _ = presence.next_job()
        assert turns == []
        presence.told(move)
        assert turns == ["coming"]

    def test_others_do_not_wait_for_it(self, presence):
        join(presence, "one", "a")
        join(presence, "two", "b")
        join(presence, "one", "a", channel="quiet")
        presence.leave(ROOM, "b")
        presence.leave("quiet", "a")
        assert self.come(presence) == ["coming"]

    def test_who_is_told_to_come_leaves_after_that(self, presence):
        self.come(presence)
        presence.part(*self.PLACE, member("7"))
        assert left(presence) == []
        presence.order.leave(self.PLACE, "coming")
        assert left(presence) == [(ROOM, "7", "unsubscribe")]

    def test_who_is_coming_back_has_not_left(self, presence):
        join(presence, "one", "a", "7")
        presence.disconnect("a", NOW)
        self.come(presence)
        presence.tick(NOW + GRACE)
        assert presence.member(*self.PLACE) is not None
        presence.order.leave(self.PLACE, "coming")
        presence.tick(NOW + GRACE)
        assert left(presence) == [(ROOM, "7", "unsubscribe")]


class TestRestart:
    def test_who_left_untold_is_told_to_have_left(self, presence):
        for tab, id, user in (("one", "a", "7"), ("two", "b", "8"), ("three", "c", "9")):
            join(presence, tab, id, user)
            presence.leave(ROOM, id)
        first, _ = presence.next_job()
        presence.told(first)
        presence.next_job()
        presence.stop()
        assert presence.next_job() is None, "it would be told twice"
        dump = json.loads(json.dumps(presence.dump_untold()))
        assert "secret" not in str(dump)
        after = Presence(tells=lambda channel: True, listens=lambda: True)
        after.load_untold(dump)
        assert left(after) == [(ROOM, "8", "unsubscribe"), (ROOM, "9", "unsubscribe")]
        assert after.dump_untold() == []

    def test_who_was_there_is_expected_back(self, presence):
        join(presence, "one", "a", "7")
        join(presence, "two", "b", "8")
        dump = json.loads(json.dumps(presence.dump()))
        assert "secret" not in str(dump)
        after = Presence(tells=lambda channel: True, listens=lambda: True)
        after.load(dump, NOW)
        assert after.changed() == []
        join(after, "one", "c", "7")
        after.tick(NOW + GRACE)
        assert after.present(ROOM)["users"] == [{"id": "7", "name": "user 7"}]
        assert left(after) == [(ROOM, "8", "unsubscribe")]

    @pytest.mark.parametrize("value", [None, [1], [["x"]], [[7, "", "", "", "", []]]])
    def test_what_is_no_dump(self, presence, value):
        with pytest.raises(BadMessage):
            presence.load(value, NOW)
        with pytest.raises(BadMessage):
            presence.load_untold(value)


def test_who_was_away_when_the_clock_was_set_back_is_not_away_for_longer(presence):
    join(presence, "one", "a", "7")
    presence.disconnect("a", NOW)
    presence.tick(NOW)
    assert presence.member(ROOM, ("one", "session")) is not None
    presence.tick(NOW - 3600)
    assert left(presence) == [(ROOM, "7", "unsubscribe")]
