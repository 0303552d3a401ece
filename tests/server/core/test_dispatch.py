"""Who is affected, what is rendered, and who gets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Change, Condition, Gap, ModelInfo, Position, Serializer, Visitor
from serverpush.results import MatchResult, RenderResult
from serverpush.server.core import owing
from serverpush.server.core.actions import Ready, Refresh, Report, Send
from serverpush.server.core.dispatch import Dispatch

from .world import EVERY, FIELDS, World, asking, where

ANY = Condition("shop.book")
VIEW = Serializer("view", "shop.views:books", reads_object=False)


@pytest.fixture
def world():
    world = World()
    world.save(1, title="one", shelf=1)
    world.save(2, title="two", shelf=2)
    return world


@pytest.mark.parametrize("condition", [where(pk=1), where(shelf=1), asking(shelf=1), ANY])
def test_a_change_reaches_who_depends_on_it(world, condition):
    world.connect("a", world.page(condition))
    world.save(1, title="uno")
    world.work()
    assert world.events("a") == [("changed", 1, {"pk": 1, "title": "uno", "shelf": 1})]


@pytest.mark.parametrize("condition", [where(pk=2), where(shelf=2), asking(shelf=2)])
def test_a_change_does_not_reach_others(world, condition):
    world.connect("a", world.page(condition))
    world.save(1, title="uno")
    world.work()
    assert world.events("a") == []


def test_a_key_is_matched_without_asking_the_database(world):
    world.connect("a", world.page(where(pk=1)))
    world.save(1, title="uno")
    world.work()
    assert world.count(MatchJob) == 0


def test_one_question_decides_all_conditions(world):
    for shelf in range(20):
        world.connect(f"value {shelf}", world.page(where(shelf=shelf)))
        world.connect(f"query {shelf}", world.page(asking(shelf=shelf)))
    world.save(1, title="uno")
    world.work()
    assert world.count(MatchJob) == 1
    assert {id for id in world.sent if world.events(id)} == {"value 1", "query 1"}


@pytest.mark.parametrize("condition", [where(shelf=2), asking(shelf=2)])
def test_moving_in_and_out(world, condition):
    world.connect("a", world.page(condition))
    world.save(1, shelf=2)
    world.work()
    world.save(1, title="uno")
    world.work()
    world.save(1, shelf=1)
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [
        ("added", 1),
        ("changed", 1),
        ("removed", 1),
    ]


@pytest.mark.parametrize("condition", [where(shelf=3), asking(shelf=3), ANY])
def test_creation_and_deletion(world, condition):
    world.connect("a", world.page(condition))
    world.save(3, shelf=3)
    world.work()
    world.delete(3)
    world.work()
    assert world.events("a") == [("added", 3, {"pk": 3, "shelf": 3}), ("removed", 3, {"pk": 3})]


def test_created_and_deleted_before_anything_was_sent(world):
    world.connect("a", world.page(where(shelf=3)))
    world.save(3, shelf=3)
    world.delete(3)
    world.work()
    assert world.events("a") == []


@pytest.mark.parametrize("says_when", [True, False])
def test_a_creation_reported_late_does_not_hide_the_deletion(world, says_when):
    world.rows[3] = {"pk": 3}
    committed = world.now
    world.connect("a", world.page(ANY))
    world.report(3, "created", at=committed if says_when else 0)
    world.delete(3)
    world.work()
    assert world.events("a") == [("removed", 3, {"pk": 3})]


def test_added_and_changed_before_anything_was_sent_is_added(world):
    world.connect("a", world.page(ANY))
    world.save(3, shelf=3)
    world.save(3, title="three")
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("added", 3)]


def test_only_the_actions_asked_for_are_pushed(world):
    world.connect("a", world.page(where(shelf=2), on=("added",)))
    world.save(2, title="due")
    world.save(1, shelf=2)
    world.work()
    world.delete(2)
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("added", 1)]


def test_where_the_members_are_not_listed_the_changes_own_action_is_told(world):
    page = world.page(where(shelf=1))
    (only,) = page.dependencies
    world.connect("a", replace(page, dependencies=(replace(only, keys=None),)))
    world.save(1, title="uno")
    world.work()
    world.save(5, shelf=1)
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("changed", 1), ("added", 5)]


def test_a_change_of_a_child_reaches_who_depends_on_the_parent():
    family = ("shop.book", "shop.novel")
    models = {label: ModelInfo(label, family, "integer") for label in family}
    world = World(rows={1: {"pk": 1}})
    world.dispatch = Dispatch(world.log, models, margin=0)
    world.connect("a", world.page(where(pk=1)))
    world.dispatch.changed(Change("shop.novel", 1, "changed"), world.now)
    world.work()
    assert world.events("a") == [("changed", 1, {"pk": 1})]


# Coalescing


def test_changes_fold_while_they_wait(world):
    world.connect("a", world.page(where(pk=1)))
    for number in range(100):
        world.save(1, title=str(number))
    world.work()
    assert world.count(RenderJob) == 1
    assert world.events("a") == [("changed", 1, {"pk": 1, "title": "99", "shelf": 1})]


def test_changes_while_a_rendering_runs_make_it_run_once_more(world):
    world.connect("a", world.page(where(pk=1)))
    world.save(1, title="first")
    ticket, job = world.dispatch.next_job()
    result = world.execute(job)
    world.save(1, title="second")
    world.save(1, title="third")
    assert world.dispatch.next_job() is None, "the same rendering must not run twice at once"
    world.do(world.dispatch.answer(ticket, result))
    world.work()
    assert [payload["title"] for _, _, payload in world.events("a")] == ["first", "third"]


def test_a_view_that_takes_no_object_runs_once_for_many_instances(world):
    world.connect("a", world.page(ANY, serializer=VIEW))
    for pk in range(10, 60):
        world.save(pk, shelf=1)
    world.work()
    assert world.count(RenderJob) == 1
    assert len(world.events("a")) == 1


# Sharing


def test_a_rendering_that_reads_no_request_is_shared(world):
    for number in range(50):
        visitor = Visitor(cookie=f"sessionid={number}")
        world.connect(str(number), world.page(where(pk=1)), visitor=visitor)
    world.save(1, title="uno")
    world.work()
    assert world.count(RenderJob) == 1
    assert len(world.sent) == 50


def test_pages_that_are_bound_to_sessions_are_checked_one_by_one(world):
    for number in (1, 2, 2):
        page = replace(world.page(where(pk=1)), session=f"hash {number}", user=str(number))
        world.connect(f"{len(world.dispatch.registry)}", page)
    world.save(1, title="uno")
    world.work()
    assert world.count(RenderJob) == 2
    assert len(world.sent) == 3


def test_visitors_with_other_cookies_do_not_share_what_may_read_them(world):
    serializer = Serializer("function", "shop.views:serialize")
    for cookie in ("sessionid=1", "sessionid=2", "sessionid=2"):
        id = f"{len(world.sent)} {cookie}"
        world.sent[id] = []
        page = world.page(where(pk=1), serializer=serializer)
        world.connect(id, page, visitor=Visitor(cookie=cookie))
    world.save(1, title="uno")
    world.work()
    assert world.count(RenderJob) == 2
    assert all(len(each) == 1 for each in world.sent.values())


def test_equal_vary_shares_and_another_language_does_not(world):
    serializer = Serializer("function", "shop.views:serialize")
    for number, language in enumerate(["en", "en", "sv"]):
        page = world.page(where(pk=1), serializer=serializer, vary='"staff"')
        visitor = Visitor(cookie=f"sessionid={number}")
        world.connect(str(number), replace(page, language=language), visitor=visitor)
    world.save(1, title="uno")
    world.work()
    assert world.count(RenderJob) == 2


# Results


def test_an_instance_that_is_gone_when_rendered_is_removed(world):
    world.connect("a", world.page(where(pk=1)))
    world.save(1, title="uno")
    del world.rows[1]
    world.work()
    assert world.events("a") == [("removed", 1, {"pk": 1})]


def test_a_failed_rendering_is_reported_and_the_next_change_tries_again(world):
    world.connect("a", world.page(where(pk=1)))
    world.renders["book"] = RenderResult("failed", error="it broke")
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    told = [Report("it broke"), Refresh(("a",), "error")]
    assert world.dispatch.answer(ticket, world.execute(job)) == told
    del world.renders["book"]
    world.save(1, title="due")
    world.work()
    assert [payload["title"] for _, _, payload in world.events("a")] == ["due"]


def test_a_refused_visitor_is_told_to_refresh(world):
    world.connect("a", world.page(where(pk=1)))
    world.renders["book"] = RenderResult("refused")
    world.save(1, title="uno")
    world.work()
    assert world.events("a") == []
    assert world.refreshes("a") == ["access"]


def test_one_refused_of_those_who_share_does_not_cost_the_others(world):
    serializer = Serializer("function", "shop.views:serialize")
    for id in ("a", "b", "c"):
        world.connect(id, world.page(where(pk=1), serializer=serializer, vary="[]"))
    world.renders["book"] = RenderResult("refused")
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    del world.renders["book"]
    world.work()
    assert (world.refreshes("a"), world.events("a")) == (["access"], [])
    assert len(world.events("b")) == len(world.events("c")) == 1


def test_where_matching_fails_everybody_who_may_be_affected_refreshes(world):
    world.connect("a", world.page(where(shelf=1)))
    world.connect("b", world.page(asking(shelf=2)))
    world.connect("c", world.page(where(pk=2)))
    world.save(1, title="uno")
    ticket, _ = world.dispatch.next_job()
    world.do(world.dispatch.failed(ticket, "the renderer died"))
    assert (world.refreshes("a"), world.refreshes("b")) == (["error"], ["error"])
    assert world.refreshes("c") == []


def test_an_error_of_the_database_is_not_taken_for_a_row_that_is_gone(world):
    world.connect("a", world.page(where(shelf=1)))
    world.save(1, title="uno")
    ticket, _ = world.dispatch.next_job()
    world.do(world.dispatch.answer(ticket, MatchResult(None, error="it is away")))
    assert world.events("a") == []
    assert world.refreshes("a") == ["error"]


def test_a_condition_that_can_not_be_decided_refreshes_who_has_it(world):
    world.connect("a", world.page(asking(shelf=1)))
    world.connect("b", world.page(asking(shelf=2)))
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    undecided = frozenset({job.conditions[0][0]})
    world.do(world.dispatch.answer(ticket, replace(world.execute(job), unknown=undecided)))
    assert (world.refreshes("a"), world.refreshes("b")) == (["error"], [])


def test_a_closed_connection_gets_nothing_and_keeps_nothing(world):
    world.connect("a", world.page(where(pk=1), asking(shelf=1)))
    world.save(1, title="uno")
    world.dispatch.disconnect("a")
    world.work()
    assert world.events("a") == []
    assert len(world.dispatch.index) == len(world.dispatch.registry) == 0


def test_a_view_that_runs_again_follows_its_new_dependencies(world):
    page = world.page(where(shelf=1), serializer=VIEW, name="list")
    world.connect("a", page)
    wider = world.page(where(shelf=1), where(pk=2), serializer=VIEW, name="list")
    world.renders["list"] = RenderResult("done", '"<p>"', page=wider)
    world.save(1, title="uno")
    world.work()
    (send,) = world.sent["a"]
    assert send.page.dependencies == wider.dependencies
    world.save(2, title="due")
    world.work()
    assert len(world.events("a")) == 2


@pytest.mark.parametrize("condition", [where(shelf=1), asking(shelf=1)])
@pytest.mark.parametrize("on", [EVERY, ("changed",)])
def test_a_list_of_which_a_change_was_lost_is_not_what_pages_loaded_anew_go_by(
    world, condition, on
):
    world.tick(10)
    world.connect("told", world.page(condition))
    world.tick(10)
    world.rows[2]["shelf"] = 1
    world.do(world.dispatch.gap(Gap("overflow"), world.now))
    world.tick()
    assert world.connect("anew", world.page(condition, on=on))
    world.tick(10)
    world.save(2, title="due")
    world.work()
    assert [each[:2] for each in world.events("anew")] == [("changed", 2)]
    world.save(2, shelf=2)
    world.work()
    removed = [("removed", 2)] if "removed" in on else []
    assert [each[:2] for each in world.events("anew")[1:]] == removed


def test_pages_loaded_after_a_gap_are_listed_again(world):
    world.connect("told", world.page(where(shelf=1)))
    world.do(world.dispatch.gap(Gap("overflow"), world.now))
    for id in ("anew", "another"):
        world.tick(10)
        world.connect(id, world.page(where(shelf=1)))
    world.dispatch.disconnect("told")
    world.tick(10)
    # Of what none of them shows, none is told.
    world.save(2, title="due")
    world.work()
    assert world.events("anew") == world.events("another") == []
    for id in ("anew", "another"):
        world.dispatch.disconnect(id)
    assert len(world.dispatch.index) == 0


def test_a_page_from_before_a_gap_that_did_not_refresh_brings_no_list(world):
    page = world.page(where(shelf=1))
    world.connect("told", page)
    world.rows[2]["shelf"] = 1
    world.tick(10)
    world.do(world.dispatch.gap(Gap("overflow"), world.now))
    world.dispatch.disconnect("told")
    world.tick()
    world.connect("told", page, since=world.log.head)
    world.tick()
    world.connect("anew", world.page(where(shelf=1)))
    world.tick(10)
    world.save(2, shelf=2)
    world.work()
    assert [each[:2] for each in world.events("anew")] == [("removed", 2)]


def test_what_could_not_be_decided_once_removes_nothing_and_is_asked_for_others(world):
    condition = asking(shelf=1)
    world.tick(10)
    world.connect("told", world.page(condition))
    world.tick(10)
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    undecided = frozenset({job.conditions[0][0]})
    answer = replace(world.execute(job), met=frozenset(), unknown=undecided)
    world.do(world.dispatch.answer(ticket, answer))
    world.work()
    assert (world.refreshes("told"), world.events("told")) == (["error"], [])
    world.tick(10)
    world.connect("anew", world.page(condition))
    world.dispatch.disconnect("told")
    world.tick(10)
    world.save(1, shelf=2)
    world.work()
    assert [each[:2] for each in world.events("anew")] == [("removed", 1)]


def test_a_page_that_can_not_be_brought_over_what_it_missed_waits_for_nothing(world):
    page = world.page(asking(shelf=1))
    world.save(1, title="uno")
    assert not world.connect("late", page)
    ticket, job = world.dispatch.next_job()
    undecided = frozenset({job.conditions[0][0]})
    world.do(world.dispatch.answer(ticket, replace(world.execute(job), unknown=undecided)))
    assert world.refreshes("late") == ["error"]
    assert not world.dispatch.registry.get("late").owed


def board(world, user, own):
    """A page whose view is shared by `vary`, and that has an update of the user's own."""
    shared = world.page(where(pk=1), serializer=VIEW, name="board", vary="[]")
    (private,) = world.page(where(pk=own), name="own").dependencies
    return replace(shared, user=user, dependencies=(*shared.dependencies, private))


class TestDependenciesOfThoseWhoShareByVary:
    @pytest.fixture
    def world(self, world):
        world.save(3, title="three")
        world.save(4, title="four")
        world.tick(10)
        for user, own in (("ada", 2), ("bob", 3)):
            visitor = Visitor(cookie=f"sessionid={user}")
            world.connect(user, board(world, user, own), visitor=visitor)
        world.tick(10)
        return world

    def run(self, world, own):
        """The rendering that both share, as ada's request gives it."""
        world.renders["board"] = RenderResult("done", '"<p>"', page=board(world, "ada", own))
        world.save(1, title="uno")
        world.work()

    def test_each_keeps_their_own(self, world):
        self.run(world, 2)
        world.save(2, title="ada's")
        world.save(3, title="bob's")
        world.work()
        assert [each[:2] for each in world.events("ada")] == [("changed", 1), ("changed", 2)]
        assert [each[:2] for each in world.events("bob")] == [("changed", 1), ("changed", 3)]
        assert world.refreshes("bob") == []

    def test_where_they_are_new_for_one_the_others_refresh(self, world):
        self.run(world, 4)
        assert (world.refreshes("ada"), world.refreshes("bob")) == ([], ["history"])
        world.save(4, title="ada's")
        world.work()
        assert world.events("ada")[-1][:2] == ("changed", 4)
        assert [each[:2] for each in world.events("bob")] == [("changed", 1)]


def test_an_event_keeps_its_id_when_its_page_gets_other_updates_beside_it(world):
    def page(*conditions):
        view, *others = (
            world.page(each, serializer=VIEW if not place else FIELDS, name=f"u{each.key}")
            for place, each in enumerate(conditions)
        )
        return replace(view, dependencies=sum((each.dependencies for each in (view, *others)), ()))

    world.connect("a", page(where(pk=1), where(pk=2)))
    world.tick(10)
    world.save(1, title="uno")
    ticket, _ = world.dispatch.next_job()
    # While the view runs; its result has another update before the one that this is about.
    world.save(2, title="due")
    wider = page(where(pk=1), ANY, where(pk=2))
    world.do(world.dispatch.answer(ticket, RenderResult("done", '"<p>"', page=wider)))
    world.renders["u1"] = RenderResult("done", '"<p>"')
    world.work()
    sent = [each for each in world.sent["a"] if isinstance(each, Send)]
    ids = {each.meta["id"]: (each.name, each.meta["pk"]) for each in sent}
    assert len(ids) == len(sent) == 3


def test_pages_of_several_hosts_share_no_rendering(world):
    for host in ("a.example", "b.example"):
        page = replace(world.page(where(pk=1)), host=host)
        world.connect(host, page)
    world.tick(10)
    world.save(1, title="uno")
    world.work()
    assert world.count(RenderJob) == 2


# Positions


def test_events_of_several_updates_have_ids_of_their_own(world):
    world.connect("a", world.page(where(pk=1), where(shelf=1)))
    world.save(1, title="uno")
    world.work()
    ids = [each.meta["id"].partition(".") for each in world.sent["a"]]
    assert {position for position, _, _ in ids} == {str(world.log.head)}
    assert len({mark for _, _, mark in ids}) == 2


def test_the_safe_position_waits_for_what_is_still_to_come(world):
    world.connect("a", world.page(where(pk=1), where(pk=2)))
    before = world.log.head
    world.save(2, title="due")
    world.save(1, title="uno")
    first, job = world.dispatch.next_job()
    second, other = world.dispatch.next_job()
    # The later change is rendered first: its event must not claim the earlier one.
    world.do(world.dispatch.answer(second, world.execute(other)))
    world.do(world.dispatch.answer(first, world.execute(job)))
    assert [each.meta["safe"] for each in world.sent["a"]] == [str(before), str(world.log.head)]


def test_the_safe_position_waits_for_changes_that_nobody_has_matched_yet(world):
    world.connect("a", world.page(where(pk=1)))
    world.connect("b", world.page(asking(shelf=2)))
    before = world.log.head
    world.save(2, title="due")
    world.dispatch.next_job()
    world.save(1, title="uno")
    found = [world.dispatch.next_job() for _ in range(2)]
    (ticket, job) = next(each for each in found if isinstance(each[1], RenderJob))
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    assert world.sent["a"][0].meta["safe"] == str(before)


# Replay


@pytest.mark.parametrize("condition", [where(pk=1), where(shelf=1), asking(shelf=1), ANY])
def test_a_change_between_rendering_and_connecting_arrives(world, condition):
    page = world.page(condition)
    world.save(1, title="uno")
    world.work()
    assert not world.connect("a", page)
    world.work()
    assert world.events("a") == [("changed", 1, {"pk": 1, "title": "uno", "shelf": 1})]


def test_nothing_missed_is_live_at_once(world):
    page = world.page(where(pk=1), asking(shelf=1))
    assert world.connect("a", page)
    assert world.dispatch.next_job() is None


def test_what_was_missed_is_told_as_the_page_sees_it(world):
    page = world.page(asking(shelf=1))
    world.save(1, shelf=2)
    world.save(2, shelf=1)
    world.connect("a", page)
    world.work()
    assert sorted((action, pk) for action, pk, _ in world.events("a")) == [
        ("added", 2),
        ("removed", 1),
    ]


def test_a_client_that_comes_back_gets_what_it_missed_with_the_same_ids(world):
    page = world.page(where(shelf=1))
    world.connect("a", page)
    world.connect("witness", page)
    world.save(1, title="uno")
    world.work()
    world.dispatch.disconnect("a")
    safe = world.sent["a"][0].meta["safe"]
    world.save(1, title="due")
    world.work()
    world.connect("a", page, since=Position.parse(safe))
    world.work()
    ids = [[each.meta["id"] for each in world.sent[id]] for id in ("a", "witness")]
    assert ids[0] == ids[1]
    assert [payload["title"] for _, _, payload in world.events("a")] == ["uno", "due"]


def test_a_change_that_the_client_was_told_of_is_not_replayed(world):
    page = world.page(asking(shelf=1))
    world.save(1, title="uno")
    since = world.log.head
    world.connect("a", page, since=since)
    world.work()
    assert world.events("a") == []


@pytest.mark.parametrize("condition", [where(shelf=2), asking(shelf=2)])
def test_what_came_to_match_before_a_reconnect_is_a_member_after_it(world, condition):
    page = world.page(condition)
    world.save(1, shelf=2)
    told = world.log.head
    world.connect("a", page, since=told)
    world.work()
    world.save(1, title="uno")
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("changed", 1)]


def test_what_changed_again_while_away_goes_by_the_changes_own_action(world):
    page = world.page(asking(shelf=2))
    world.save(1, shelf=2)
    told = world.log.head
    world.save(1, title="uno")
    world.connect("a", page, since=told)
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("changed", 1)]


def test_an_answer_says_nothing_of_conditions_that_are_newer(world):
    world.connect("a", world.page(asking(shelf=3)))
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    answer = world.execute(job)
    world.connect("b", world.page(asking(shelf=1)))
    world.do(world.dispatch.answer(ticket, answer))
    world.work()
    assert world.events("b") == []


def test_a_row_deleted_while_its_page_was_rendered_is_removed(world):
    """The view still read it; when the page's instances were listed, it was gone."""
    committed = world.now
    row = world.rows.pop(1)
    page = world.page(asking(shelf=row["shelf"]))
    world.connect("a", page)
    world.report(1, "deleted", at=committed)
    world.work()
    assert world.events("a") == [("removed", 1, {"pk": 1})]


def test_history_that_is_gone_is_a_refresh():
    world = World(size=3)
    page = world.page(where(pk=1))
    for pk in range(10):
        world.save(pk, shelf=1)
    assert not world.connect("a", page)
    assert world.refreshes("a") == ["history"]


def test_a_time_is_to_come_if_clocks_can_not_differ_by_so_much(world):
    assert world.dispatch.is_to_come(1000.5, 1000)
    assert not world.dispatch.is_to_come(1000, 1000)


def test_another_epoch_is_a_refresh(world):
    page = world.page(where(pk=1))
    world.connect("a", page, since=replace(world.log.head, epoch="other"))
    assert world.refreshes("a") == ["history"]


def test_a_gap_refreshes_everybody_and_who_comes_back_over_it(world):
    page = world.page(where(pk=1))
    world.connect("a", page)
    world.do(world.dispatch.gap(Gap("overflow"), world.now))
    world.connect("b", page)
    assert world.refreshes("a") == world.refreshes("b") == ["gap"]


def test_after_a_refresh_the_connection_goes_on(world):
    page = world.page(where(pk=1))
    world.connect("a", page, since=replace(world.log.head, epoch="other"))
    world.save(1, title="uno")
    world.work()
    assert len(world.events("a")) == 1


def test_a_send_is_one_for_all_who_get_the_same(world):
    for id in "abc":
        world.connect(id, world.page(where(pk=1)))
    world.save(1, title="uno")
    ticket, job = world.dispatch.next_job()
    (send,) = world.dispatch.answer(ticket, world.execute(job))
    assert isinstance(send, Send)
    assert send.connections == ("a", "b", "c")
    assert job.serializer is FIELDS or job.serializer == FIELDS


class TestQuietPages:
    """A page for which nothing comes must not be left behind by the log."""

    def test_it_is_told_where_it_stands_before_the_log_forgets(self, world):
        world.connect("quiet", world.page(where(pk=1)))
        assert world.dispatch.tick() == []
        for _ in range(world.size // 4 + 1):
            world.save(2)
        assert world.dispatch.tick() == [Ready(("quiet",), world.log.head)]
        assert world.dispatch.tick() == []

    def test_by_age_as_well(self, world):
        world.connect("quiet", world.page(where(pk=1)))
        world.tick(world.log.seconds / 4 + 1)
        world.save(2)
        assert world.dispatch.tick() == [Ready(("quiet",), world.log.head)]

    def test_and_comes_back_to_it_when_its_first_place_is_long_gone(self, world):
        page = world.page(where(pk=1))
        world.connect("quiet", page)
        told = None
        for _ in range(3 * world.size):
            world.save(2)
            for action in world.dispatch.tick():
                told = action.position
        world.dispatch.disconnect("quiet")
        assert world.connect("quiet", page, since=told)
        assert world.refreshes("quiet") == []

    def test_not_while_something_is_coming(self, world):
        world.connect("a", world.page(where(pk=1)))
        world.save(1)
        for _ in range(world.size // 4 + 1):
            world.save(2)
        assert world.dispatch.tick() == []

    def test_not_beyond_a_change_of_which_nobody_knows_whom_it_affects(self, world):
        world.connect("quiet", world.page(where(pk=1)))
        world.connect("asks", world.page(asking(title="x")))
        for _ in range(world.size // 4 + 1):
            world.save(2)
        before = world.log.head
        (told,) = [each for each in world.dispatch.tick() if "quiet" in each.connections]
        assert told.position < before


class TestTooMuch:
    """A page that has too much coming is cheaper to load again, and memory has an end."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr(owing, "MAX_OWED", 10)
        monkeypatch.setattr(owing, "LEAST_OWED", 5)

    def test_it_is_told_to_refresh_and_the_others_are_not(self, world):
        world.connect("all", world.page(where()))
        world.connect("one", world.page(where(pk=3)))
        for pk in range(1, 8):
            world.save(pk)
        assert world.dispatch.tick() == [Refresh(("all",), "history")]
        assert world.dispatch.tick() == []
        world.work()
        assert world.events("all") == []
        assert world.events("one") == [("added", 3, {"pk": 3})]
        world.save(1)
        assert world.dispatch.next_job() is None
        assert world.dispatch.tick() == [Refresh(("all",), "history")]
        assert not world.dispatch.registry.get("all").owed

    def test_when_that_is_gone_it_is_followed_again(self, world):
        world.connect("all", world.page(where()))
        for pk in range(1, 14):
            world.save(pk)
        world.do(world.dispatch.tick())
        world.save(20)
        world.work()
        world.do(world.dispatch.tick())
        assert world.refreshes("all") == ["history", "history"], "it has not heard of the last"
        assert world.dispatch.tick() == []
        world.save(20, title="more")
        world.work()
        assert world.events("all") == [("changed", 20, {"pk": 20, "title": "more"})]

    def test_until_it_is_told_nothing_says_that_it_has_had_all(self, world):
        world.connect("all", world.page(where()))
        before = world.log.head
        for pk in range(1, 14):
            world.save(pk)
        world.work()
        connection = world.dispatch.registry.get("all")
        assert connection.safe(world.dispatch.unsettled()) == before
        world.do(world.dispatch.tick())
        assert connection.safe(world.dispatch.unsettled()) == world.log.head

    def test_one_that_has_left_is_not(self, world):
        world.connect("all", world.page(where()))
        for pk in range(1, 14):
            world.save(pk)
        world.do(world.dispatch.tick())
        world.dispatch.disconnect("all")
        world.work()
        assert world.dispatch.tick() == []

    def test_what_one_instance_has_coming_is_one_thing_however_often_it_changes(self, world):
        world.connect("all", world.page(where()))
        for _ in range(50):
            world.save(1)
        assert world.dispatch.tick() == []

    def test_what_was_sent_counts_no_longer(self, world):
        world.connect("all", world.page(where()))
        for pk in range(1, 50):
            world.save(pk)
            world.work()
        assert world.dispatch.tick() == []
        assert len(world.events("all")) == 49

    def test_one_that_comes_back_to_too_much(self, world):
        page = world.page(where())
        world.connect("all", page)
        world.dispatch.disconnect("all")
        for pk in range(1, 20):
            world.save(pk)
        assert not world.connect("all", page)
        assert world.refreshes("all") == ["history"]
        world.work()
        assert world.events("all") == []


def test_a_stand_in_with_a_key_that_its_model_can_not_have_ends_there(world):
    world.rows = {1: {"pk": 1}}
    world.connect("a", world.page(where(pk=1)))
    world.renders["book"] = RenderResult("gone")
    world.delete(1)
    world.work()
    assert world.refreshes("a") == ["error"]
