"""Access: which connections end, which are looked at, and which tokens are refused after."""

from __future__ import annotations

from itertools import pairwise

import pytest

from serverpush.exceptions import BadMessage
from serverpush.jobs import AccessJob
from serverpush.protocol import Ending
from serverpush.results import AccessResult
from serverpush.server.core import ended
from serverpush.server.core.access import MAX_VISITS, SWEEP_SECONDS, Access
from serverpush.server.core.actions import End, Report
from serverpush.server.core.visits import Visit

ADA = Visit("ada's key", "ada's hash", "1")
ADA_ELSEWHERE = Visit("another key", "another hash", "1")
GRACE = Visit("grace's key", "grace's hash", "2")
NOW = 1000.0
RENDERED = NOW - 10


@pytest.fixture
def access():
    access = Access(max_age=100, now=NOW)
    access.add("a", ADA, RENDERED)
    access.add("tab", ADA, RENDERED)
    access.add("public", Visit(ADA.key, ADA.session, is_bound=False), RENDERED)
    access.add("phone", ADA_ELSEWHERE, RENDERED)
    access.add("g", GRACE, RENDERED)
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


def test_a_page_that_was_rendered_after_the_change_goes_on(access):
    access.add("new", ADA, NOW - 1)
    ended = access.end(Ending(changed=("1",), at=NOW - 2), NOW)
    assert ended == [End(("a", "phone", "tab"), "access")]
    assert access.refuses(ADA, NOW - 2)
    assert not access.refuses(ADA, NOW - 1)


def test_a_time_to_come_is_now(access):
    access.end(Ending(users=("1",), at=NOW + 1000), NOW)
    assert not access.refuses(ADA, NOW + 1)


def test_an_older_report_takes_nothing_back(access):
    access.end(Ending(users=("1",), at=NOW), NOW)
    access.end(Ending(users=("1",), at=NOW - 5), NOW)
    assert access.refuses(ADA, NOW)


class TestBinding:
    """A connection of a page for everybody, which is found to be a user's."""

    def test_it_ends_with_the_user_from_then_on(self, access):
        assert access.end(Ending(users=("9",)), NOW - 20) == []
        assert access.bind("public", "9")
        assert access.visit("public") == Visit(ADA.key, ADA.session, "9")
        assert access.end(Ending(users=("9",)), NOW) == [End(("public",))]

    def test_not_where_access_has_ended_already(self, access):
        access.end(Ending(users=("9",)), NOW)
        assert not access.bind("public", "9")
        assert not access.visit("public").is_bound

    def test_nor_where_it_is_gone(self, access):
        assert not access.bind("gone", "9")

    def test_one_that_has_a_user_keeps_it(self, access):
        assert access.bind("a", "9")
        assert access.visit("a") == ADA

    def test_an_ended_sessions_visit_is_looked_at_again(self, access):
        access.tick(NOW)
        look(access)
        access.end(Ending(sessions=(GRACE.session,)), NOW)
        assert access.refuses(GRACE, NOW + 1)
        assert GRACE.name not in access._stamps


class TestDoubts:
    """A user was changed: who comes with an older page waits for a look."""

    BOB = Visit("bob's key", "bob's hash", "3")

    @pytest.fixture
    def doubted(self, access):
        access.end(Ending(doubtful=("3",), at=NOW), NOW)
        return access

    def test_an_older_page_is_in_doubt_until_somebody_has_looked(self, doubted):
        assert doubted.doubts(self.BOB, RENDERED)
        assert doubted.next_job() is None, "nobody is there, and nobody comes"
        doubted.want(self.BOB)
        look(doubted)
        assert not doubted.doubts(self.BOB, RENDERED)
        assert not doubted.refuses(self.BOB, RENDERED)
        doubted.end(Ending(doubtful=("3",), at=NOW), NOW)
        assert doubted.doubts(self.BOB, RENDERED), "this is another one"

    def test_who_has_no_access_any_more_is_refused(self, doubted):
        doubted.want(self.BOB)
        look(doubted, _3=None)
        assert doubted.refuses(self.BOB, RENDERED)

    def test_nobody_else_is_in_doubt(self, doubted):
        doubted.tick(NOW)
        look(doubted)
        assert not doubted.doubts(self.BOB, NOW + 1), "rendered after it"
        assert not doubted.doubts(GRACE, RENDERED)
        public = Visit(self.BOB.key, self.BOB.session, is_bound=False)
        assert not doubted.doubts(public, RENDERED)

    def test_a_look_that_began_before_it_settles_nothing(self, doubted):
        doubted.want(self.BOB)
        found, _ = doubted.next_job()
        doubted.end(Ending(doubtful=("3",), at=NOW), NOW)
        doubted.answer(found, AccessResult(("same",)), NOW)
        assert doubted.doubts(self.BOB, RENDERED)

    def test_a_look_that_failed_settles_nothing(self, doubted):
        doubted.want(self.BOB)
        found, _ = doubted.next_job()
        doubted.failed(found, "no result within 10 s", NOW)
        assert doubted.doubts(self.BOB, RENDERED)

    def test_it_is_remembered_as_long_as_a_token_lasts(self, doubted):
        after = Access(max_age=100, now=NOW)
        after.load(doubted.dump())
        assert after.doubts(self.BOB, NOW)
        after.end(Ending(), NOW + 101)
        assert not after.doubts(self.BOB, NOW)


class TestAway:
    """A session may expire, and nobody tell, while none of its pages is here."""

    @pytest.fixture
    def swept(self, access):
        access.tick(NOW)
        look(access)
        access.discard("g")
        for number in range(1, 4):
            access.tick(NOW + number * SWEEP_SECONDS)
            look(access)
        return access

    def test_who_comes_with_an_older_page_is_unseen_until_somebody_has_looked(self, swept):
        now = NOW + 3 * SWEEP_SECONDS
        swept.add("g", GRACE, RENDERED)
        assert swept.is_unseen("g")
        assert not swept.is_unseen("a"), "she has been here all the time"
        swept.tick(now + 1)
        assert look(swept, now + 1) == []
        assert not swept.is_unseen("g")

    def test_its_session_may_have_ended(self, swept):
        now = NOW + 3 * SWEEP_SECONDS
        swept.add("g", GRACE, RENDERED)
        swept.tick(now + 1)
        assert look(swept, now + 1, _2=None) == [End(("g",))]
        assert swept.refuses(GRACE, RENDERED)

    def test_for_one_for_which_somebody_waits_it_is_looked_at_once(self, swept):
        swept.add("g", GRACE, RENDERED)
        swept.want(GRACE)
        look(swept)
        assert not swept.is_unseen("g")

    def test_a_page_for_everybody_has_nothing_to_be_looked_at(self, swept):
        swept.add("g", Visit(GRACE.key, GRACE.session, is_bound=False), RENDERED)
        assert not swept.is_unseen("g")

    def test_of_a_token_alone_no_look_says_whose_it_is(self, swept):
        swept.add("device", Visit(bearer="hash of a token"), RENDERED)
        assert not swept.is_unseen("device")

    def test_one_that_was_rendered_just_now_is_looked_at_soon(self, swept):
        now = NOW + 3 * SWEEP_SECONDS
        swept.add("g", GRACE, now)
        assert not swept.is_unseen("g")
        swept.tick(now + 1)
        assert look(swept, now + 1, _2=None) == [End(("g",))]

    def test_a_restart_lets_those_come_back_who_were_here(self, swept):
        now = NOW + 3 * SWEEP_SECONDS
        after = Access(max_age=100, now=now + 5)
        after.load(swept.dump())
        assert not comes_unseen(after, ADA)
        assert comes_unseen(after, GRACE)
        long_after = Access(max_age=1000, now=now + 2 * SWEEP_SECONDS)
        long_after.load(swept.dump())
        assert comes_unseen(long_after, ADA)


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
    monkeypatch.setattr(ended, "MAX_REMEMBERED", 2)
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
    access.add("g again", GRACE, RENDERED)
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
    access.add("a", Visit(user="1"), RENDERED)
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
    access.add("s", Visit("s key", "s hash"), RENDERED)
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


def test_a_look_that_fails_ends_nobody_and_its_halves_are_made_again(access):
    access.tick(NOW)
    found, job = access.next_job()
    (report,) = access.failed(found, "no result within 10 s", NOW)
    assert report == Report("sessions could not be looked at: no result within 10 s")
    assert access.next_job() is None, "not at once"
    access.tick(NOW + 1)
    assert [each.visits for each in looked_at(access)] == [job.visits[:2], job.visits[2:]]


def test_an_error_fails_a_look_as_no_result_does(access):
    access.tick(NOW)
    found, _ = access.next_job()
    assert access.answer(found, AccessResult((), "the database is down"), NOW) == [
        Report("sessions could not be looked at: the database is down")
    ]
    assert access.next_job() is None
    access.tick(NOW + 1)
    assert access.next_job() is not None


def test_looks_that_fail_are_rarer_each_time_until_one_succeeds():
    access = many(64)
    access.tick(NOW)
    times = [NOW + second for second in range(200) if fails_at(access, NOW + second)]
    assert [after - before for before, after in pairwise(times)][:8] == [1, 2, 4, 8, 16, 30, 30, 30]
    now = times[-1] + 30
    access.tick(now)
    look(access, now)
    assert fails_at(access, now)
    assert not fails_at(access, now)
    assert fails_at(access, now + 1)


def test_one_whose_look_hangs_leaves_the_others_their_sweep():
    access = many(MAX_VISITS)
    access.tick(NOW)
    looked, alone, seconds = sweep_with_one_that_hangs(access, NOW)
    assert looked == set(range(MAX_VISITS)) - {77}
    assert alone == 1
    assert seconds < 20
    assert access.next_job() is None, "not before the next sweep"

    access.tick(NOW + SWEEP_SECONDS)
    looked, alone, seconds = sweep_with_one_that_hangs(access, NOW + SWEEP_SECONDS)
    assert looked == set(range(MAX_VISITS)) - {77}
    assert (alone, seconds) == (1, 1), "it is known, and asked about alone"

    access.tick(NOW + 2 * SWEEP_SECONDS)
    assert sum(len(each.visits) for each in looked_at(access)) == MAX_VISITS
    access.tick(NOW + 3 * SWEEP_SECONDS)
    assert len(access.next_job()[1].visits) == MAX_VISITS, "it is one of all again"


def test_one_that_left_before_its_half_was_looked_at_is_looked_at_when_it_is_back():
    access = Access(max_age=100, now=NOW)
    for visit in (ADA, GRACE):
        access.add(visit.user, visit, RENDERED)
    access.tick(NOW)
    found, _ = access.next_job()
    access.failed(found, "no result within 10 s", NOW)
    access.discard("2")
    access.tick(NOW + 1)
    look(access, NOW + 1)
    assert access.next_job() is None
    access.add("2", GRACE, RENDERED)
    access.tick(NOW + 2)
    assert access.next_job()[1] == AccessJob(((GRACE.key, "2"),))


def test_who_hung_alone_is_not_looked_at_with_halves_of_others():
    access = many(1)
    access.tick(NOW)
    assert fails_at(access, NOW)
    for number in range(1, 4):
        access.add(str(number), Visit(f"key {number}", f"hash {number}"), RENDERED)
    assert fails_at(access, NOW + 1)
    access.tick(NOW + SWEEP_SECONDS)
    assert [len(each.visits) for each in looked_at(access)] == [2, 1, 1]


def test_who_hangs_does_not_ask_for_another_look_by_coming_back():
    access = many(1)
    access.tick(NOW)
    assert fails_at(access, NOW)
    access.add("again", Visit("key 0", "hash 0"), RENDERED)
    access.tick(NOW + 10)
    assert access.next_job() is None


def test_whose_look_failed_and_who_left_is_forgotten():
    access = many(2)
    access.tick(NOW)
    assert fails_at(access, NOW)
    access.discard("0")
    access.discard("1")
    access.tick(NOW + SWEEP_SECONDS)
    access.add("0", Visit("key 0", "hash 0"), RENDERED)
    access.add("1", Visit("key 1", "hash 1"), RENDERED)
    access.tick(NOW + SWEEP_SECONDS + 1)
    assert len(access.next_job()[1].visits) == 2


def test_one_look_is_under_way_at_a_time(access):
    access.tick(NOW)
    found, job = access.next_job()
    access.end(Ending(doubtful=("1",)), NOW)
    assert access.next_job() is None
    access.answer(found, AccessResult(("same",) * len(job.visits)), NOW)
    assert access.next_job() is not None


def test_a_doubt_does_not_keep_what_failed_waiting(access):
    access.tick(NOW)
    fails_at(access, NOW)
    access.tick(NOW + 1)
    access.add("new", Visit("new key", "new hash", "7"), RENDERED)
    for _ in range(4):
        access.end(Ending(doubtful=("7",)), NOW + 1)
        look(access)
    access.end(Ending(doubtful=("7",)), NOW + 1)
    assert [len(each.visits) for each in looked_at(access)] == [1], "only the doubt is left"


def test_what_could_not_be_found_out_is_left_as_it_is(access):
    access.tick(NOW)
    look(access)
    access.tick(NOW + SWEEP_SECONDS)
    found, _ = access.next_job()
    unknown = AccessResult(("", "same", "same"), "ConnectionError: it is down", frozenset({0}))
    assert access.answer(found, unknown, NOW) == [
        Report("1 of 3 sessions could not be looked at: ConnectionError: it is down")
    ]
    assert access.next_job() is None
    access.tick(NOW + 2 * SWEEP_SECONDS)
    assert look(access, _1="fewer") == [End(("a", "phone", "tab"), "access")], (
        "compared with what was known before"
    )


def test_what_was_never_found_out_is_looked_at_by_the_sweep(access):
    access.tick(NOW)
    found, job = access.next_job()
    unknown = AccessResult(("same", "same", ""), "it is down", frozenset({2}))
    access.answer(found, unknown, NOW)
    access.tick(NOW + SWEEP_SECONDS)
    assert access.next_job()[1] == job


def test_an_answer_of_another_length_is_none(access):
    access.tick(NOW)
    found, _ = access.next_job()
    assert access.answer(found, AccessResult((None,)), NOW) == [
        Report("sessions could not be looked at: not all were answered")
    ]
    access.tick(NOW + 1)
    assert access.next_job() is not None


def test_many_are_looked_at_in_several_jobs():
    access = many(MAX_VISITS + 1)
    access.tick(NOW)
    assert [len(each.visits) for each in looked_at(access)] == [MAX_VISITS, 1]


def many(count):
    access = Access(max_age=100, now=NOW)
    for number in range(count):
        access.add(str(number), Visit(f"key {number}", f"hash {number}"), RENDERED)
    return access


def comes_unseen(access, visit):
    access.add("new", visit, RENDERED)
    return access.is_unseen("new")


def looked_at(access):
    """Answer all that is due now; the jobs."""
    jobs = []
    while found := access.next_job():
        access.answer(found[0], AccessResult(("same",) * len(found[1].visits)), NOW)
        jobs.append(found[1])
    return jobs


def fails_at(access, now):
    """Is there a look at that time? It fails."""
    access.tick(now)
    found = access.next_job()
    if found is not None:
        access.failed(found[0], "it hangs", now)
    return found is not None


def sweep_with_one_that_hangs(access, begin):
    """Who was looked at, how often who hangs was alone, and the seconds of pauses.

    A look that hangs takes no time here.
    """
    looked, alone, now = set(), 0, begin
    while (found := access.next_job()) or now == begin or access._again:
        if found is None:
            now += 1
            access.tick(now)
            continue
        names = {int(key.removeprefix("key ")) for key, _ in found[1].visits}
        if 77 in names:
            alone += len(names) == 1
            access.failed(found[0], "it hangs", now)
        else:
            looked |= names
            access.answer(found[0], AccessResult(("same",) * len(names)), now)
    return looked, alone, now - begin


def test_what_is_remembered_goes_on(access):
    access.tick(NOW)
    look(access, _2=None)
    access.end(Ending(users=("1",)), NOW)
    after = Access(max_age=100, now=NOW)
    after.load(access.dump())
    assert after.refuses(ADA, NOW)
    assert after.refuses(GRACE, NOW + 1)
    after.add("a", ADA, RENDERED)
    after.tick(NOW)
    assert after.next_job() is None, "its stamp is known"


def test_it_remembers_what_was_rendered_since_it_began(access):
    assert access.remembers(NOW)
    assert not access.remembers(NOW - 0.1)


def test_what_goes_on_remembers_since_it_first_began(access):
    after = Access(max_age=100, now=NOW + 50)
    assert not after.remembers(NOW)
    after.load(access.dump())
    assert after.remembers(NOW)
    assert not after.remembers(NOW - 0.1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"began": 1, "sessions": 1},
        {"began": 1, "sessions": {}, "users": {"1": "x"}, "doubts": {}, "stamps": []},
        {"sessions": {}, "users": {}, "stamps": []},
        {"began": "x", "sessions": {}, "users": {}, "doubts": {}, "stamps": []},
    ],
)
def test_what_is_damaged_is_not_loaded(value):
    with pytest.raises(BadMessage):
        Access(max_age=100, now=NOW).load(value)


def test_the_sweep_does_not_wait_for_a_clock_that_was_set_back(access):
    access.tick(NOW + SWEEP_SECONDS)
    look(access)
    access.tick(NOW - 3600)
    assert access.next_job() is not None


def test_a_look_that_failed_does_not_wait_for_it_either(access):
    access.tick(NOW)
    found, _ = access.next_job()
    access.failed(found, "no", NOW)
    assert access.next_job() is None
    access.tick(NOW - 3600)
    assert access.next_job() is not None


def test_what_was_rendered_before_the_clock_was_set_back_ends(access):
    back = RENDERED - 3600
    access.know_since(back, back)
    assert access.end(Ending(users=("1",)), back + 1) == [End(("a", "phone", "tab"))]
