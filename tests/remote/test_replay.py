"""Where a client that is no browser goes on after its connection was lost."""

from __future__ import annotations

from serverpush.remote.replay import REMEMBERED, Replay, Subscription


def test_the_first_connection_asks_for_what_its_caller_said():
    assert Replay("1790000000.5").connect() == "1790000000.5"
    assert Replay(None).connect() is None


def test_it_goes_on_from_the_last_safe_position():
    replay = Replay("1")
    replay.connect()
    replay.ready("3", live=False)
    replay.advance("2")
    assert replay.connect() == "2"
    # Nor is it forgotten where nothing has come since, or no connection was made.
    assert replay.connect() == "2"


def test_a_ready_that_is_live_is_safe():
    replay = Replay("1")
    replay.connect()
    replay.ready("3", live=True)
    replay.advance("2")
    assert replay.connect() == "3"


def test_without_a_safe_position_it_asks_for_the_same_again():
    replay = Replay("1")
    replay.connect()
    replay.ready("3", live=False)
    assert replay.connect() == "1"


def test_one_that_began_from_now_goes_on_where_it_began():
    replay = Replay(None)
    replay.connect()
    replay.ready("3", live=False)
    assert replay.connect() == "3"


def test_a_record_begins_by_itself_where_its_page_was_rendered():
    replay = Replay(None, is_recorded=True)
    replay.connect()
    replay.ready("3", live=False)
    assert replay.connect() is None


def test_after_a_refresh_it_goes_on_where_its_connection_began():
    replay = Replay(None, is_recorded=True)
    replay.connect()
    replay.ready("3", live=False)
    replay.go_on()
    # Of what was owed to it before, and came all the same.
    replay.advance("2")
    assert replay.connect() == "3"


def test_after_a_refresh_it_does_not_go_back_behind_a_safe_position():
    replay = Replay(None)
    replay.connect()
    replay.ready("3", live=True)
    replay.ready("5", live=True)
    replay.go_on()
    assert replay.connect() == "5"


def test_positions_of_another_life_of_the_server_are_not_compared():
    replay = Replay("9-old")
    replay.connect()
    replay.ready("9-old", live=True)
    replay.connect()
    # The clock was set back.
    replay.ready("3-new", live=False)
    replay.go_on()
    assert replay.connect() == "3-new"


def test_an_event_is_new_once():
    replay = Replay(None)
    assert [replay.is_new(id) for id in ("a", "b", "a")] == [True, True, False]


def test_as_many_events_are_remembered_as_the_server_keeps():
    replay = Replay(None)
    for number in range(REMEMBERED + 1):
        replay.is_new(str(number))
    assert not replay.is_new("1")
    assert replay.is_new("0")


def test_a_subscription_goes_on_from_a_safe_position_only_if_it_followed_the_answer():
    subscription = Subscription("token", "1")
    subscription.taken({"position": "3"})
    subscription.begin("2")
    assert subscription.since == "1"
    subscription.taken({"position": "3"})
    subscription.begin("4")
    assert subscription.since == "4"


def test_a_subscription_without_a_place_begins_where_it_was_taken():
    subscription = Subscription("token", None)
    subscription.taken({"position": "3"})
    assert subscription.since == "3"


def test_what_a_subscription_is_of_its_answer_says():
    subscription = Subscription("token", None)
    subscription.taken({"position": "3", "channel": "news"})
    assert subscription.place == ("news", None)


def test_after_a_refresh_a_subscription_goes_on_where_it_was_taken():
    subscription = Subscription("token", "1")
    subscription.go_on()
    assert subscription.since == "1"
    subscription.taken({"position": "3"})
    subscription.go_on()
    assert subscription.since == "3"
