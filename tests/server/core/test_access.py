"""Access: which connections end, which are looked at, and which tokens are refused after."""

from __future__ import annotations

import pytest

from serverpush.exceptions import BadMessage
from serverpush.jobs import AccessJob, AccessResult
from serverpush.protocol import Ending
from serverpush.server.core import access as module
from serverpush.server.core.access import MAX_VISITS, SWEEP_SECONDS, Access, Visit
from serverpush.server.core.actions import End, Report

ADA = Visit("ada's key", "ada's hash", "1")
ADA_ELSEWHERE = Visit("another key", "another hash", "1")
GRACE = Visit("grace's key", "grace's hash", "2")
NOW = 1000.0


@pytest.fixture
def access():
    access = Access(max_age=100, now=NOW)
    access.add("a", ADA)
    access.add("tab", ADA)
    access.add("public", Visit(ADA.key, ADA.session, is_bound=False))
    access.add("phone", ADA_ELSEWHERE)
    access.add("g", GRACE)
    return access


def look(access, now=NOW, **stamps):
    """Answer one job, by user: ``_1="x"``; others have the stamp "same"."""
    found, job = access.next_job()
    told = tuple(stamps.get(f"_{user}", "same") for _, user in job.visits)
    return access.answer(found, AccessResult(told), now)


def test_a_session_that_ends_ends_its_connections_bound_or_not(access):
    assert access.end(Ending(sessions=(ADA.session,)), NOW) == [End(("a", "public", "tab"))]
    assert access.refuses(ADA, NOW + 1)
    assert not access.refuses(ADA_ELSEWHERE, NOW - 1)


def test_a_user_who_ends_ends_all_of_theirs(access):
    assert access.end(Ending(users=("1",)), NOW) == [End(("a", "phone", "tab"))]
    assert access.refuses(ADA, NOW)
    assert access.refuses(ADA_ELSEWHERE, NOW - 1)
    assert not access.refuses(ADA, NOW + 0.1), "a page that was rendered later"
    assert not access.refuses(GRACE, NOW)


def test_a_page_for_everybody_is_not_refused(access):
    access.end(Ending(sessions=(ADA.session,)), NOW)
    assert not access.refuses(Visit(ADA.key, ADA.session, is_bound=False), NOW)


def test_a_user_whose_permissions_changed_needs_other_pages(access):
    assert access.end(Ending(changed=("1",)), NOW) == [End(("a", "phone", "tab"), "access")]
    assert access.refuses(ADA, NOW), "a token that was kept"
    assert not access.refuses(ADA, NOW + 0.1)


def test_the_change_is_not_found_again_by_the_sweep(access):
    access.tick(NOW)
    look(access)
    access.end(Ending(changed=("1",)), NOW)
    access.tick(NOW + SWEEP_SECONDS)
    assert look(access, _1="fewer") == []


def test_nobodys_pages_are_not_a_users(access):
    access.end(Ending(users=("1",)), NOW)
    assert not access.refuses(Visit(is_bound=False), 0)


def test_who_is_not_there_ends_nothing(access):
    assert access.end(Ending(users=("7",), sessions=("x",)), NOW) == []


def test_who_left_is_not_ended(access):
    for id in ("a", "tab", "public"):
        access.discard(id)
        access.discard(id)
    assert access.end(Ending(sessions=(ADA.session,)), NOW) == []


def test_an_end_is_remembered_as_long_as_a_token_lasts(access):
    access.end(Ending(sessions=(ADA.session,), users=("1",)), NOW)
    access.tick(NOW + 99)
    assert access.refuses(ADA, NOW)
    access.tick(NOW + 99 + SWEEP_SECONDS)
    assert not access.refuses(ADA, NOW)


def test_memory_is_bounded(access, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    for session in ("one", "two", "three"):
        access.end(Ending(sessions=(session,)), NOW)
    found = [access.refuses(Visit("", each), NOW) for each in ("one", "two", "three")]
    assert found == [False, True, True]


def test_each_visit_is_looked_at_once_soon_and_at_each_sweep(access):
    assert access.next_job() is None, "not while they connect"
    access.tick(NOW + 1)
    found, job = access.next_job()
    assert job == AccessJob(((ADA.key, "1"), (ADA_ELSEWHERE.key, "1"), (GRACE.key, "2"))), (
        "one for two tabs, none for a public page"
    )
    assert access.answer(found, AccessResult(("x", "x", "y")), NOW) == []
    access.tick(NOW + 2)
    assert access.next_job() is None
    access.tick(NOW + SWEEP_SECONDS)
    assert access.next_job()[1] == job


def test_who_comes_back_is_not_looked_at_again(access):
    access.tick(NOW)
    look(access)
    access.discard("g")
    access.add("g again", GRACE)
    access.tick(NOW + 1)
    assert access.next_job() is None


def test_who_left_is_not_looked_at(access):
    access.tick(NOW)
    access.discard("g")
    assert ("grace's key", "2") not in access.next_job()[1].visits


def test_a_session_that_is_gone_ends(access):
    access.tick(NOW)
    assert look(access, _2=None) == [End(("g",))]
    assert access.refuses(GRACE, NOW + 1)


def test_a_user_without_a_session_ends_alone():
    access = Access(max_age=100, now=NOW)
    access.add("a", Visit(user="1"))
    access.tick(NOW)
    assert look(access, _1=None) == [End(("a",))]
    assert access.refuses(Visit(user="1"), NOW)
    assert not access.refuses(Visit(), NOW)


def test_other_permissions_need_another_page(access):
    access.tick(NOW)
    look(access)
    access.tick(NOW + SWEEP_SECONDS)
    assert look(access, NOW + 31, _1="fewer") == [End(("a", "phone", "tab"), "access")]
    assert access.refuses(ADA, NOW + 31)
    assert not access.refuses(ADA, NOW + 32)


def test_the_session_of_a_page_that_asked_no_user_may_change_users(access):
    access.add("s", Visit("s key", "s hash"))
    access.tick(NOW)
    look(access)
    access.tick(NOW + SWEEP_SECONDS)
    assert look(access, **{"_": "another"}) == []
    assert not access.refuses(Visit("s key", "s hash"), NOW)


def test_a_user_in_doubt_is_looked_at_at_once(access):
    access.tick(NOW)
    look(access)
    assert access.end(Ending(doubtful=("1", "7")), NOW) == []
    assert access.next_job()[1] == AccessJob(((ADA.key, "1"), (ADA_ELSEWHERE.key, "1")))


def test_a_doubt_while_a_look_is_under_way_needs_another_look(access):
    access.tick(NOW)
    found, job = access.next_job()
    access.end(Ending(doubtful=("2",)), NOW)
    access.answer(found, AccessResult(("same",) * len(job.visits)), NOW)
    assert access.next_job()[1] == AccessJob(((GRACE.key, "2"),))


def test_a_look_that_fails_ends_nobody_and_is_made_again(access):
    access.tick(NOW)
    found, job = access.next_job()
    (report,) = access.failed(found, "the database is down")
    assert report == Report("sessions could not be looked at: the database is down")
    assert access.next_job() is None, "not at once"
    access.tick(NOW + 1)
    assert access.next_job()[1] == job


def test_many_are_looked_at_in_several_jobs():
    access = Access(max_age=100, now=NOW)
    for number in range(MAX_VISITS + 1):
        access.add(str(number), Visit(f"key {number}", f"hash {number}"))
    access.tick(NOW)
    sizes = [len(access.next_job()[1].visits) for _ in range(2)]
    assert sizes == [MAX_VISITS, 1]
    assert access.next_job() is None


def test_what_is_remembered_goes_on(access):
    access.tick(NOW)
    look(access, _2=None)
    access.end(Ending(users=("1",)), NOW)
    after = Access(max_age=100, now=NOW)
    after.load(access.dump())
    assert after.refuses(ADA, NOW)
    assert after.refuses(GRACE, NOW + 1)
    after.add("a", ADA)
    after.tick(NOW)
    assert after.next_job() is None, "its stamp is known"


@pytest.mark.parametrize(
    "value", [None, [], {}, {"sessions": 1}, {"sessions": {}, "users": {"1": "x"}, "stamps": []}]
)
def test_what_is_damaged_is_not_loaded(value):
    with pytest.raises(BadMessage):
        Access(max_age=100, now=NOW).load(value)
