"""Connections by tokens that only the project's own tokenizer understands."""

from __future__ import annotations

import pytest

from serverpush.jobs import UsersJob
from serverpush.protocol import Ending, Position
from serverpush.results import UsersResult
from serverpush.server.core.questions import LONGEST_PAUSE, Questions
from tests.server.core.test_messaging import Post

TOKENS = {"7": "seven's", "8": "eight's"}


class Bank(Post):
    """A post whose renderer knows the tokens of users."""

    def look_up(self, **changed):
        """Answer the next job: the tokens of its users, ``_7=None`` for one who is not there."""
        asked, job = self.messaging.next_job()
        assert job.tokens
        known = {**TOKENS, **{user[1:]: token for user, token in changed.items()}}
        result = UsersResult(tuple(known[user] for user in job.users))
        self.do(self.messaging.answer(asked, result, self.world.now))
        return job

    def safe(self, id):
        """The safe position that the connection would be told."""
        return self.dispatch.registry.get(id).safe(self.dispatch.unsettled())


@pytest.fixture
def bank():
    return Bank()


def test_who_bears_a_users_token_gets_what_is_for_the_user(bank):
    for id, bearer in (("seven", "seven's"), ("eight", "eight's"), ("crook", "made up")):
        bank.connect(id, bearer=bearer)
    bank.send(1, "user:7")
    assert bank.got == {}
    assert bank.look_up() == UsersJob(("7",), tokens=True)
    assert bank.got == {"seven": [1]}
    assert bank.bound == [("seven", "7")]
    bank.send(2, "user:7")
    assert bank.got == {"seven": [1, 2]}, "at once, from here on"


def test_everybody_hears_what_is_for_everybody(bank):
    bank.connect("crook", bearer="made up")
    bank.send("hi")
    assert bank.got == {"crook": ["hi"]}
    assert bank.messaging.next_job() is None


def test_nobody_is_asked_where_nobody_bears_a_token(bank):
    bank.connect("a", user="7", bearer="seven's")
    bank.send(1, "user:7", "user:8")
    assert bank.messaging.next_job() is None
    assert bank.got == {"a": [1]}, "whose page it is says so already"


def test_what_was_missed_comes_when_it_is_known_whose_it_is(bank):
    since = bank.log.head
    bank.send(1, "user:7")
    bank.send(2, "user:8")
    bank.send(3, "user:7")
    bank.connect("seven", since, bearer="seven's")
    assert set(bank.look_up().users) == {"7", "8"}
    assert bank.got == {"seven": [1, 3]}


def test_what_is_older_than_a_page_is_no_news_to_its_bearer(bank):
    bank.log.share(Position(1000, 0, "shared"))
    bank.connect("seven", Position(5000, 0, "shared"), bearer="seven's")
    bank.log.place(Position(3000, 0, "shared"))
    bank.send("old", "user:7")
    bank.look_up()
    bank.log.place(Position(6000, 0, "shared"))
    bank.send("news", "user:7")
    assert bank.got == {"seven": ["news"]}


def test_what_came_before_is_not_asked_for(bank):
    bank.send(1, "user:7")
    bank.connect("seven", bearer="seven's")
    assert bank.messaging.next_job() is None


def test_the_safe_position_waits_for_the_answer(bank):
    bank.connect("seven", bearer="seven's")
    bank.connect("eight", bearer="eight's")
    before = bank.log.head
    bank.send(1, "user:7")
    assert (bank.safe("seven"), bank.safe("eight")) == (before, before)
    bank.look_up()
    assert (bank.safe("seven"), bank.safe("eight")) == (bank.log.head, bank.log.head)


def test_what_is_sent_while_a_job_is_under_way_waits_for_the_next(bank):
    for id, bearer in (("seven", "seven's"), ("eight", "eight's")):
        bank.connect(id, bearer=bearer)
    bank.send(1, "user:7")
    asked, _ = bank.messaging.next_job()
    before = bank.log.head
    bank.send(2, "user:8")
    assert bank.messaging.next_job() is None, "one at a time"
    bank.do(bank.messaging.answer(asked, UsersResult(("seven's",)), bank.world.now))
    assert bank.got == {"seven": [1]}
    assert bank.safe("eight") <= before
    bank.look_up()
    assert bank.got == {"seven": [1], "eight": [2]}
    assert bank.safe("eight") == bank.log.head


def test_a_job_that_fails_is_made_again(bank):
    bank.connect("seven", bearer="seven's")
    before = bank.log.head
    bank.send(1, "user:7")
    asked, _ = bank.messaging.next_job()
    bank.do(bank.messaging.failed(asked, "the database is down", bank.world.now))
    assert "the database is down" in bank.reports[0]
    assert bank.messaging.next_job() is None, "not at once"
    assert bank.safe("seven") == before
    bank.world.now += 1.1
    bank.messaging.tick(bank.world.now)
    bank.look_up()
    assert bank.got == {"seven": [1]}


def test_an_answer_to_another_question_counts_as_none(bank):
    bank.connect("seven", bearer="seven's")
    bank.send(1, "user:7", "user:8")
    asked, _ = bank.messaging.next_job()
    bank.do(bank.messaging.answer(asked, UsersResult((), "no such table"), bank.world.now))
    assert "no such table" in bank.reports[0]
    bank.world.now += 1.1
    bank.messaging.tick(bank.world.now)
    bank.look_up()
    assert bank.got == {"seven": [1]}


def test_of_whom_nothing_is_known_is_asked_again(bank):
    bank.connect("seven", bearer="seven's")
    before = bank.log.head
    bank.send(1, "user:7")
    asked, _ = bank.messaging.next_job()
    unknown = UsersResult(("",), "redis is away", frozenset({0}))
    bank.do(bank.messaging.answer(asked, unknown, bank.world.now))
    assert "redis is away" in bank.reports[0]
    assert bank.safe("seven") == before, "what may be for it is not lost"
    bank.world.now += LONGEST_PAUSE
    bank.messaging.tick(bank.world.now)
    bank.look_up()
    assert bank.got == {"seven": [1]}
    assert bank.safe("seven") == bank.log.head


def test_users_without_a_token_are_nobody(bank):
    bank.connect("crook", bearer="made up")
    bank.send(1, "user:7", "user:8")
    bank.look_up(_7=None, _8="")
    assert bank.got == {}
    assert bank.safe("crook") == bank.log.head


def test_where_nothing_is_known_any_more_it_is_told_to_refresh(bank):
    since = bank.log.head
    bank.send(1, "user:7")
    bank.world.now += 10_000
    for _ in range(3):
        bank.messaging.tick(bank.world.now)
    bank.connect("seven", since, bearer="seven's")
    assert bank.got == {"seven": [("refresh", "history", {})]}


def test_who_has_left_is_asked_about_no_more(bank):
    bank.connect("seven", bearer="seven's")
    bank.send(1, "user:7")
    bank.leave("seven")
    assert bank.messaging.next_job() is None
    assert not bank.messaging._bearers._tokens


def test_an_ended_user_is_looked_for_among_them(bank):
    for id, bearer in (("seven", "seven's"), ("eight", "eight's")):
        bank.connect(id, bearer=bearer)
    bank.without_access.add("7")
    bank.messaging.ended(Ending(users=("7",)))
    assert bank.look_up().users == ("7",)
    assert bank.got == {"seven": ["end"]}


def test_many_users_are_asked_about_in_parts(bank, monkeypatch):
    bank.connect("seven", bearer="seven's")
    monkeypatch.setattr(bank.messaging._bearers, "_questions", Questions(2))
    for user in ("7", "8", "9"):
        bank.send(int(user), f"user:{user}")
    assert bank.look_up().users == ("7", "8")
    assert bank.got == {"seven": [7]}
    assert bank.messaging.next_job() is None, "nobody is left to be known"


def test_what_is_replayed_to_everybody_is_not_safe_before_it_is_known_whose_it_is(bank):
    since = bank.log.head
    bank.send(1, "user:7")
    bank.send(2)
    bank.connect("seven", since, bearer="seven's")
    assert bank.got == {"seven": [2]}
    assert bank.metas["seven"][0]["safe"] == str(since)
    bank.look_up()
    assert bank.got == {"seven": [2, 1]}
