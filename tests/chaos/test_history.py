"""The history checker: a true history passes, and each kind of wrong one is named."""

from dataclasses import replace

import pytest

from tests.chaos.history import Applied, Asked, Commit, History, Known, Loaded, Row, Told
from tests.chaos.notes import Heard, Sent

CLIENT = "1 /group/a/"


def row(version, group="a"):
    return Row(version, group, 0)


def in_a(pk, row):
    return row.group == "a"


def commit(pk, version, group="a", at=0.0, **options):
    return Commit(pk, version, row(version, group), at or version, **options)


def event(number, pk, version=None, action="changed", **options):
    versions = {} if version is None else {pk: version}
    return Applied("a", f"id{number}", f"safe{number}", pk, action, versions, **options)


@pytest.fixture
def history():
    """One client that watches group a: 1 changes and moves out, 2 moves in, 3 is deleted."""
    return History(
        commits=[
            commit(1, 1),
            commit(2, 2, "b"),
            commit(3, 3),
            commit(1, 11),
            commit(2, 12),
            commit(1, 13, is_committed=False),
            commit(1, 14, "b"),
            Commit(3, 15, None, 15.0),
            commit(4, 16, "b"),
        ],
        stories={
            CLIENT: [
                Loaded({"a": in_a}, {"a": {1: 1, 3: 3}}, 5.0),
                event(1, 1, 11),
                event(2, 2, 12, "added"),
                event(3, 1, action="removed"),
                event(4, 3, action="removed"),
            ]
        },
    )


@pytest.fixture
def final():
    return {1: row(14, "b"), 2: row(12), 4: row(16, "b")}


def tell(history, *entries):
    history.stories[CLIENT].extend(entries)


def insert(history, place, entry):
    history.stories[CLIENT].insert(place, entry)


def doctor(history, place, **changed):
    story = history.stories[CLIENT]
    story[place] = replace(story[place], **changed)


def test_a_true_history_passes(history, final):
    history.check(final)


def test_states_may_be_skipped(history, final):
    del history.stories[CLIENT][1]
    history.check(final)


def test_what_the_database_holds_has_to_be_what_was_committed(history, final):
    final[2] = row(99)
    with pytest.raises(AssertionError, match="untrue, 1 times"):
        history.check(final)


@pytest.mark.parametrize("place", [2, 3, 4])
def test_an_event_that_is_lost(history, final, place):
    del history.stories[CLIENT][place]
    with pytest.raises(AssertionError, match="lost, 1 times"):
        history.check(final)


def test_a_page_that_was_told_to_refresh_and_did_not(history, final):
    del history.stories[CLIENT][2]
    tell(history, Told("gap"))
    with pytest.raises(AssertionError, match="lost, 1 times"):
        history.check(final)


def test_a_page_that_was_told_to_refresh_and_did(history, final):
    del history.stories[CLIENT][2]
    tell(history, Told("gap"), Loaded({"a": in_a}, {"a": {2: 12}}, 20.0))
    history.check(final)


def test_an_event_that_is_applied_twice(history, final):
    tell(history, event(2, 2, 12))
    with pytest.raises(AssertionError, match="twice, 1 times"):
        history.check(final)


def test_an_event_that_is_let_be_for_another_of_its_id(history, final):
    tell(history, Known("a", "id2", 2))
    history.check(final)
    tell(history, Known("a", "id2", 4))
    with pytest.raises(AssertionError, match=r"twice, 1 times.*\n.*had the id of \('a', 2\)"):
        history.check(final)


def test_a_note_that_is_not_heard(history, final):
    history.sent += [Sent(1, 7.0), Sent(2, 8.0)]
    tell(history, Heard("note1", 1))
    with pytest.raises(AssertionError, match=r"misheard, 1 times:\n.*not note 2"):
        history.check(final)
    tell(history, Heard("note2", 2))
    history.check(final)


def test_another_page_may_apply_it_again(history, final):
    tell(history, Loaded({"a": in_a}, {"a": {2: 12}}, 20.0), event(2, 2, 12))
    history.check(final)


def test_a_version_that_goes_back(history, final):
    insert(history, 1, event(0, 1, 11))
    doctor(history, 2, versions={1: 1})
    with pytest.raises(AssertionError, match="backwards, 1 times"):
        history.check(final)


def test_a_page_that_is_older_than_what_was_shown(history, final):
    insert(history, 2, Loaded({"a": in_a}, {"a": {1: 1, 3: 3}}, 12.0))
    insert(history, 2, Asked())
    with pytest.raises(AssertionError, match="backwards, 1 times"):
        history.check(final)


def test_a_page_may_be_older_than_what_came_while_it_was_loaded(history, final):
    insert(history, 2, Loaded({"a": in_a}, {"a": {1: 1, 3: 3}}, 12.0))
    insert(history, 1, Asked())
    history.check(final)


def test_a_safe_position_that_goes_back(history, final):
    doctor(history, 3, safe="safe1")
    with pytest.raises(AssertionError, match=r"backwards, 1 times.*\n.*safe was safe2"):
        history.check(final)


def test_a_version_that_was_rolled_back(history, final):
    insert(history, 2, event("x", 1, 13))
    doctor(history, 2, safe="safe1")
    with pytest.raises(AssertionError, match=r"strangers.*\n.*version 13 of 1 was never committed"):
        history.check(final)


def test_an_instance_that_never_belonged_there(history, final):
    tell(history, event(5, 4, 16), Loaded({"a": in_a}, {"a": {2: 12}}, 20.0))
    with pytest.raises(AssertionError, match=r"strangers, 1 times:\n.*it never belonged there"):
        history.check(final)


def test_an_instance_of_after_it_was_gone(history, final):
    tell(history, event(5, 1, 14), event(6, 1, action="removed"))
    with pytest.raises(AssertionError, match=r"strangers"):
        history.check(final)


def test_the_removal_of_what_never_belonged_there(history, final):
    tell(history, event(5, 4, action="removed"))
    with pytest.raises(AssertionError, match=r"strangers, 1 times:\n.*it never belonged there"):
        history.check(final)


def test_a_removal_may_be_told_of_what_was_written_before_the_page(history, final):
    history.commits.append(commit(5, 4, "b"))
    final[5] = row(4, "b")
    tell(history, event(5, 5, action="removed"))
    history.check(final)


def test_an_update_that_the_page_does_not_have(history, final):
    insert(history, 1, event(0, 4, 16))
    doctor(history, 1, name="b")
    history.stories[CLIENT] = history.stories[CLIENT][:2]
    with pytest.raises(AssertionError):
        history.check(final)


def test_a_list_that_holds_a_stranger(history, final):
    tell(history, replace(event(5, 2), versions={2: 12, 4: 16}, is_whole=True))
    tell(history, replace(event(6, 2), versions={2: 12}, is_whole=True))
    with pytest.raises(AssertionError, match=r"strangers, 1 times:\n.*4 does not belong there"):
        history.check(final)


def test_a_list_may_name_what_has_left_it(history, final):
    history.commits += [commit(1, 20, "b"), commit(1, 21, "b")]
    final[1] = row(21, "b")
    tell(history, replace(event(5, 1), versions={2: 12}, is_whole=True))
    history.check(final)


def test_a_list_names_nothing_that_was_never_in_it(history, final):
    tell(history, replace(event(5, 4), versions={2: 12}, is_whole=True))
    with pytest.raises(AssertionError, match=r"strangers, 1 times:\n.*it never belonged there"):
        history.check(final)


def test_a_list_is_what_is_shown(history, final):
    tell(history, replace(event(5, 2), versions={}, is_whole=True))
    with pytest.raises(AssertionError, match="lost, 1 times"):
        history.check(final)


def test_an_instance_that_comes_back_after_its_removal_was_told_twice(history, final):
    history.commits += [commit(1, 20), commit(1, 30, "b")]
    history.stories[CLIENT] += [
        event(5, 1, action="removed"),
        event(6, 1, 20, "added"),
        event(7, 1, action="removed"),
    ]
    history.check(final | {1: row(30, "b")})


def test_an_instance_that_comes_back_after_its_last_state_there_was_told_too_late(history, final):
    """It changed and had left when that was rendered, and left again before it came back."""
    doctor(history, 1, versions={1: 14})
    history.commits += [commit(1, 20), commit(1, 21), commit(1, 30, "b")]
    tell(history, event(5, 1, 20), event(6, 1, 21), event(7, 1, action="removed"))
    history.check(final | {1: row(30, "b")})
