"""Messages: who gets them, once and in their order."""

from __future__ import annotations

import json

import pytest

from serverpush.exceptions import BadMessage
from serverpush.jobs import IdentifyJob
from serverpush.messages import Message
from serverpush.protocol import Ending, Gap, Page, Position, Visitor
from serverpush.results import IdentifyResult
from serverpush.server.core import messaging as module
from serverpush.server.core import owing
from serverpush.server.core.actions import End, Refresh, Report, Send
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.people import FORGET_SECONDS
from serverpush.server.core.strangers import Whose
from tests.server.core.world import World, where

NEWS = "channel:news"


class Post:
    """A world with messaging, and what each client got."""

    def __init__(self, **options):
        self.world = World(**options)
        self.log = self.world.log
        self.dispatch = self.world.dispatch
        self.bound = []
        self.without_access = set()
        self.messaging = Messaging(
            self.log, self.dispatch.registry, self.dispatch.unsettled, self.bind, 10_000
        )
        self.got = {}
        self.metas = {}
        self.reports = []

    def do(self, actions):
        for action in actions:
            if isinstance(action, Report):
                self.reports.append(action.text)
                continue
            for id in action.connections:
                if isinstance(action, Send):
                    self.got.setdefault(id, []).append(json.loads(action.payload))
                    self.metas.setdefault(id, []).append(action.meta)
                elif isinstance(action, End):
                    self.got.setdefault(id, []).append("end")
                elif isinstance(action, Refresh):
                    self.got.setdefault(id, []).append(("refresh", action.reason, action.place))

    def bind(self, id, user):
        self.bound.append((id, user))
        return user not in self.without_access

    def connect(self, id, since=None, page=None, is_unseen=False, **whose):
        since = self.log.head if since is None else since
        page = page or Page("/", time=self.world.clock)
        self.dispatch.connect(id, page, Visitor(), since)
        self.do(self.messaging.connect(id, since, Whose(**whose), is_unseen=is_unseen))

    def see(self, id):
        self.do(self.messaging.seen(id))

    def leave(self, id):
        self.messaging.disconnect(id)
        self.dispatch.disconnect(id)

    def follow(self, id, topic=NEWS, since=None):
        self.do(self.messaging.follow(id, topic, self.log.head if since is None else since))

    def send(self, data, *topics):
        message = Message(topics or ("all",), "message", json.dumps(data), self.world.now)
        position, actions = self.messaging.published(message, self.world.now)
        self.do(actions)
        return position

    def identify(self, **users):
        """Answer the next job: the user of each session, ``_key="7"``."""
        asked, job = self.messaging.next_job()
        result = IdentifyResult(tuple(users[f"_{key}"] for key in job.keys))
        self.do(self.messaging.answer(asked, result, self.world.now))
        return job


@pytest.fixture
def post():
    return Post()


def test_everybody_gets_what_is_for_everybody(post):
    post.connect("a")
    post.connect("b", user="7")
    post.send("hi")
    assert post.got == {"a": ["hi"], "b": ["hi"]}


def test_a_user_gets_it_once_on_each_connection(post):
    for id, user in (("tab", "7"), ("phone", "7"), ("other", "8"), ("nobody", "")):
        post.connect(id, user=user)
    post.send("hi", "user:7", "user:9")
    assert post.got == {"tab": ["hi"], "phone": ["hi"]}


def test_who_follows_a_channel(post):
    for id in ("a", "b", "c"):
        post.connect(id)
    post.follow("a")
    post.follow("b")
    post.follow("c", "channel:other")
    post.send(1, NEWS)
    assert post.messaging.leave("a", NEWS)
    assert not post.messaging.leave("a", NEWS)
    post.send(2, NEWS)
    post.leave("b")
    post.send(3, NEWS)
    assert post.got == {"a": [1], "b": [1, 2]}


def test_a_page_that_has_to_refresh_gets_messages_until_it_does(post, monkeypatch):
    monkeypatch.setattr(owing, "LEAST_OWED", 2)
    monkeypatch.setattr(owing, "MAX_OWED", 2)
    post.connect("a", page=post.world.page(where()), user="7")
    for pk in range(1, 5):
        post.world.save(pk)
    post.do(post.dispatch.tick())
    post.send("hi", "user:7")
    assert post.got == {"a": [("refresh", "history", {}), "hi"]}


def test_nobody_is_kept_who_left(post):
    post.connect("a", key="k", session="s")
    post.follow("a")
    post.leave("a")
    assert post.messaging._followers == post.messaging._followed == {}
    assert post.messaging._people.strangers() == []


def test_the_meta(post):
    post.connect("a")
    post.follow("a")
    post.follow("a", "route:/x/")
    places = [{}, {"channel": "news"}, {"route": "/x/"}]
    for topic, place in zip(("all", NEWS, "route:/x/"), places, strict=True):
        position = str(post.send(1, topic))
        assert post.metas["a"][-1] == {"id": position, "safe": position, **place}


def test_what_was_missed_comes_in_order_and_no_more(post):
    post.send("early")
    since = post.log.head
    post.send(1)
    post.send(2, "user:7")
    post.send("another's", "user:8")
    post.send(3)
    post.connect("a", since, user="7")
    assert post.got == {"a": [1, 2, 3]}
    ids = [meta["id"] for meta in post.metas["a"]]
    assert ids == sorted(ids)
    assert [meta["safe"] for meta in post.metas["a"]] == ids, "none is ahead of what is to come"


def test_a_channels_missed_messages(post):
    since = post.log.head
    post.send(1, NEWS)
    post.connect("a")
    post.send(2, NEWS)
    post.follow("a", since=since)
    post.send(3, NEWS)
    assert post.got == {"a": [1, 2, 3]}


def test_one_that_is_older_than_the_history_is_a_refresh(post):
    since = post.log.head
    for number in range(post.log.size + 1):
        post.send(number, NEWS)
    post.connect("a")
    post.follow("a", since=since)
    assert post.got == {"a": [("refresh", "history", {"channel": "news"})]}
    post.send("goes on", NEWS)
    assert post.got["a"][1:] == ["goes on"]


def test_more_than_can_be_sent_at_once_is_a_refresh(post):
    since = post.log.head
    for _ in range(3):
        post.send("x" * 4000, NEWS)
    post.connect("a")
    post.follow("a", since=since)
    assert post.got == {"a": [("refresh", "history", {"channel": "news"})]}


def test_a_gap_is_a_refresh(post):
    since = post.log.head
    post.send(1, NEWS)
    post.log.append(Gap("overflow"), post.world.now)
    post.connect("a", since)
    post.follow("a", since=since)
    place = {"channel": "news"}
    assert post.got == {"a": [("refresh", "history", {}), ("refresh", "history", place)]}


def test_the_safe_position_waits_for_updates_that_are_coming(post):
    post.world.rows[1] = {"pk": 1}
    page = post.world.page(where(pk=1))
    post.connect("a", page.time and post.dispatch.at(page.time), page=page)
    before = post.log.head
    post.world.save(1, title="uno")
    position = post.send("hi")
    assert post.metas["a"] == [{"id": str(position), "safe": str(before)}]


def test_so_many_topics_and_no_more(post, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOPICS", 2)
    post.connect("a", user="7")
    post.follow("a", "channel:1")
    post.follow("a", "channel:2")
    post.follow("a", "channel:2")
    with pytest.raises(BadMessage, match="2 channels"):
        post.follow("a", "channel:3")


def test_one_with_a_name_is_known_by_it_after_a_restart_too(post):
    post.connect("a")
    before = post.log.head
    message = Message(("all",), "message", "1", post.world.now, "its name")
    _, actions = post.messaging.published(message, post.world.now)
    post.do(actions)
    post.log.load(list(post.log.dump()))
    post.connect("again", before)
    assert [post.metas[id][0]["id"] for id in ("a", "again")] == ["its name"] * 2


class TestStrangers:
    """Connections by a session's cookie, of which nobody knows whose it is."""

    def test_nobody_is_asked_while_there_is_nothing_for_users(self, post):
        post.connect("a", key="k", session="s")
        post.send("hi")
        assert post.messaging.next_job() is None

    def test_who_is_found_to_be_the_user_gets_it(self, post):
        post.connect("a", key="ada's", session="s1")
        post.connect("tab", key="ada's", session="s1")
        post.connect("b", key="bob's", session="s2")
        post.connect("c", key="nobody's", session="s3")
        post.send("hi", "user:7")
        assert post.got == {}
        job = post.identify(**{"_ada's": "7", "_bob's": "8", "_nobody's": ""})
        assert job == IdentifyJob(("ada's", "bob's", "nobody's")), "each once"
        assert post.got == {"a": ["hi"], "tab": ["hi"]}
        post.send("again", "user:7")
        assert post.got["a"] == ["hi", "again"]
        assert post.messaging.next_job() is None

    def test_until_then_its_safe_position_stays(self, post):
        post.connect("a", key="k", session="s")
        before = post.log.head
        post.send("secret", "user:7")
        post.send("all")
        assert post.metas["a"][0]["safe"] == str(before)
        post.identify(_k="7")
        assert post.got["a"] == ["all", "secret"]
        post.send("more")
        assert post.metas["a"][-1]["safe"] == str(post.log.head)

    def test_what_was_missed_is_asked_for_at_once(self, post):
        since = post.log.head
        post.send("missed", "user:7")
        post.connect("a", since, key="k", session="s")
        post.identify(_k="7")
        assert post.got == {"a": ["missed"]}

    def test_one_that_has_been_quiet_for_long_is_not_told_to_refresh(self, post):
        post.connect("a", key="k", session="s")
        post.send("x", NEWS)
        post.world.tick(10 * post.log.seconds)
        post.messaging.tick(post.world.now)
        assert post.log.topics.floor > post.log.at(0)
        post.send("hi", "user:7")
        post.identify(_k="7")
        assert post.got == {"a": ["hi"]}

    def test_who_is_known_is_not_asked_about_again(self, post):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        post.identify(_k="7")
        post.connect("again", key="k", session="s")
        post.send("more", "user:7")
        assert post.got["again"] == ["more"]
        assert post.messaging.next_job() is None

    def test_who_is_found_is_tied_to_the_access_of_the_user(self, post):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        post.identify(_k="7")
        post.connect("again", key="k", session="s")
        assert post.bound == [("a", "7"), ("again", "7")]

    def test_whose_access_has_ended_gets_nothing_and_is_ended(self, post):
        post.without_access.add("7")
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        post.identify(_k="7")
        post.connect("again", key="k", session="s")
        post.send("more", "user:7")
        assert post.got == {"a": ["end"], "again": ["end"]}

    def test_whoever_is_not_known_may_be_the_one_who_is_ended(self, post):
        post.connect("a", key="k", session="s")
        post.connect("b", key="l", session="t")
        post.without_access.add("7")
        post.messaging.ended(Ending(users=("7",)))
        post.identify(_k="7", _l="8")
        assert post.got == {"a": ["end"]}
        post.send("hi", "user:8")
        assert post.got["b"] == ["hi"]

    @pytest.mark.parametrize(
        "ending", [Ending(sessions=("s",)), Ending(users=("7",)), Ending(doubtful=("7",))]
    )
    def test_after_an_end_it_is_asked_again(self, post, ending):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        post.identify(_k="7")
        post.messaging.ended(ending)
        post.connect("again", key="k", session="s")
        post.send("more", "user:7")
        post.identify(_k="")
        assert "again" not in post.got

    def test_who_was_away_may_have_no_session_any_more(self, post):
        post.connect("a", key="k", session="s")
        post.connect("here", key="l", session="t")
        post.send("hi", "user:7")
        post.identify(_k="7", _l="7")
        post.messaging.tick(post.world.now)
        post.leave("a")
        post.messaging.tick(post.world.now + FORGET_SECONDS)
        since = post.log.head
        post.send("secret", "user:7")
        post.connect("again", since=since, key="k", session="s")
        post.connect("tab", since=since, key="l", session="t")
        assert post.got == {"a": ["hi"], "here": ["hi", "secret"], "tab": ["secret"]}
        post.identify(_k="")
        assert "again" not in post.got

    @pytest.mark.parametrize("whose", [{"user": "7"}, {"user": "7", "key": "k", "session": "s"}])
    def test_what_is_for_a_user_waits_until_somebody_has_looked(self, post, whose):
        since = post.log.head
        post.send("missed", "user:7")
        post.connect("a", since, is_unseen=True, **whose)
        post.send("secret", "user:7")
        post.send("all")
        post.follow("a")
        post.send("news", NEWS)
        assert post.got == {"a": ["news"]}
        assert post.metas["a"][0]["safe"] == str(since)
        assert post.messaging.next_job() is None
        post.see("a")
        assert post.got["a"] == ["news", "missed", "secret", "all"], "in order"
        post.send("more", "user:7")
        assert post.got["a"][-1] == "more"
        post.see("a")
        assert len(post.got["a"]) == 5

    def test_who_missed_too_much_is_told_before_anybody_has_looked(self, post):
        since = post.log.head
        post.send("lost")
        post.world.tick(10 * post.log.seconds)
        post.messaging.tick(post.world.now)
        post.connect("a", since, is_unseen=True, user="7")
        assert post.got == {"a": [("refresh", "history", {})]}
        post.send("hi", "user:7")
        post.see("a")
        assert post.got["a"][1:] == ["hi"]

    def test_who_was_not_seen_when_its_user_was_ended_is_asked_about(self, post):
        post.without_access.add("7")
        post.connect("a", is_unseen=True, key="k", session="s")
        post.messaging.ended(Ending(users=("7",)))
        post.see("a")
        post.identify(_k="7")
        assert post.got == {"a": ["end"]}

    def test_who_was_never_seen_hears_of_nothing(self, post):
        since = post.log.head
        post.connect("a", since, is_unseen=True, user="7")
        post.send("secret", "user:7")
        assert post.messaging.unseen == ["a"]
        post.leave("a")
        post.see("a")
        assert (post.got, post.messaging.unseen) == ({}, [])

    def test_a_stranger_is_asked_about_after_the_look(self, post):
        post.connect("a", is_unseen=True, key="k", session="s")
        post.send("hi", "user:7")
        assert post.messaging.next_job() is None
        post.see("a")
        post.identify(_k="7")
        assert post.got == {"a": ["hi"]}

    def test_who_left_is_not_asked_about(self, post):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        post.leave("a")
        assert post.messaging.next_job() is None

    def test_who_left_meanwhile_gets_nothing(self, post):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        asked, _ = post.messaging.next_job()
        post.leave("a")
        post.do(post.messaging.answer(asked, IdentifyResult(("7",)), post.world.now))
        assert post.got == {}

    @pytest.mark.parametrize("result", [None, IdentifyResult((), "the database is down")])
    def test_a_job_that_fails_is_made_again_later(self, post, result):
        post.connect("a", key="k", session="s")
        post.send("hi", "user:7")
        asked, _ = post.messaging.next_job()
        now = post.world.now
        if result is None:
            post.do(post.messaging.failed(asked, "no result within 10 s", now))
        else:
            post.do(post.messaging.answer(asked, result, now))
        assert len(post.reports) == 1
        assert post.messaging.next_job() is None
        post.messaging.tick(now + 1)
        post.identify(_k="7")
        assert post.got == {"a": ["hi"]}

    def test_one_whose_user_the_projects_code_can_not_give_is_asked_about_later(self, post):
        post.connect("a", key="k", session="s")
        post.connect("b", key="l", session="t")
        post.send("hi", "user:7")
        asked, _ = post.messaging.next_job()
        result = IdentifyResult((None, "7"), "RuntimeError: no")
        post.do(post.messaging.answer(asked, result, post.world.now))
        assert post.got == {"b": ["hi"]}
        assert len(post.reports) == 1
        post.messaging.tick(post.world.now + 60)
        assert post.identify(_k="7").keys == ("k",)
        assert post.got["a"] == ["hi"]


@pytest.mark.parametrize("whose", [{"user": "7"}, {"key": "k", "session": "s"}])
def test_what_is_older_than_a_page_is_no_news_to_its_user(post, whose):
    """The page is newer than what this server has read of a log that others read, too."""
    post.log.share(Position(1000, 0, "shared"))
    post.connect("newer", Position(5000, 0, "shared"), **whose)
    post.log.place(Position(3000, 0, "shared"))
    post.send("old", "user:7")
    if "session" in whose:
        post.identify(_k="7")
    post.log.place(Position(6000, 0, "shared"))
    post.send("news", "user:7")
    assert post.got == {"newer": ["news"]}


def test_who_is_known_without_a_message_hears_only_what_is_newer_than_the_page(post):
    post.log.share(Position(1000, 0, "shared"))
    post.connect("there", key="k", session="s")
    post.log.place(Position(2000, 0, "shared"))
    post.send("first", "user:7")
    # It is asked whose session it is, for the other.
    post.connect("newer", Position(5000, 0, "shared"), key="k", session="s")
    post.identify(_k="7")
    post.log.place(Position(3000, 0, "shared"))
    post.send("old", "user:7")
    assert post.got == {"there": ["first", "old"]}


def test_what_is_older_than_a_page_is_no_news_when_it_is_seen(post):
    post.log.share(Position(1000, 0, "shared"))
    post.connect("newer", Position(5000, 0, "shared"), is_unseen=True, user="7")
    post.log.place(Position(3000, 0, "shared"))
    post.send("old")
    post.send("old", "user:7")
    post.see("newer")
    post.log.place(Position(6000, 0, "shared"))
    post.send("news")
    assert post.got == {"newer": ["news"]}
