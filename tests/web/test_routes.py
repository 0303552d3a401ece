"""Saves and deletes of models with a REST URL."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import transaction

from serverpush.client import suppress
from serverpush.messages import Message
from serverpush.protocol import Change
from serverpush.web import routes
from serverpush.web.outbox import outbox
from tests.project.models import Article, Book, Comment, Report, Review

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr(outbox, "put", found.append)
    return found


def told(sent):
    messages = [each for each in sent if isinstance(each, Message)]
    assert all(each.at and each.event == "route" for each in messages)
    data = [json.loads(each.data) for each in messages]
    assert [each.topics for each in messages] == [(f"route:{one['route']}",) for one in data]
    sent.clear()
    return [(each.pop("type"), each.pop("route"), each) for each in data]


def test_a_creation_goes_to_the_list_the_rest_to_its_own(sent):
    article = Article.objects.create(title="one")
    pk = article.pk
    assert told(sent) == [("create", "/api/articles/", {})]
    article.save()
    assert told(sent) == [("update", f"/api/articles/{pk}/", {})]
    article.delete()
    assert told(sent) == [("delete", f"/api/articles/{pk}/", {})]


def test_where_there_is_no_list_a_creation_goes_to_its_own(sent):
    comment = Comment.objects.create(text="hi")
    assert told(sent) == [("create", f"/api/comments/{comment.pk}/", {})]


def test_of_a_child_and_its_parents_once(sent):
    for delete in (
        lambda report: report.delete(),
        lambda report: Report.objects.filter(pk=report.pk).delete(),
        lambda report: Article.objects.get(pk=report.pk).delete(),
        lambda report: Article.objects.filter(pk=report.pk).delete(),
    ):
        for report in (Report.objects.create(title="one"), Report(pk=9, title="again")):
            report.save()
            sent.clear()
            pk = report.pk
            delete(report)
            assert told(sent) == [("delete", f"/api/articles/{pk}/", {})]


def test_a_parent_that_stays_is_told_of_when_it_goes(sent):
    report = Report.objects.create(title="one")
    pk = report.pk
    sent.clear()
    report.delete(keep_parents=True)
    Article.objects.get(pk=pk).delete()
    assert told(sent) == [("delete", f"/api/articles/{pk}/", {})] * 2


def test_of_a_child_with_another_route_its_parent_s_too(sent):
    review = Review.objects.create(title="one")
    pk = review.pk
    assert told(sent) == [("create", "/api/reviews/", {}), ("create", "/api/articles/", {})]
    review.save()
    routes = [f"/api/reviews/{pk}/", f"/api/articles/{pk}/"]
    assert told(sent) == [("update", each, {}) for each in routes]
    review.delete()
    assert told(sent) == [("delete", each, {}) for each in routes]


def test_beside_its_change(sent):
    Article.objects.create(title="one")
    assert [type(each) for each in sent] == [Change, Message]


def test_models_without_a_url(sent):
    Book.objects.create(title="one")
    assert told(sent) == []


def test_after_the_commit_and_not_after_a_rollback(sent):
    with transaction.atomic():
        Article.objects.create(title="one")
        assert sent == []
    assert len(told(sent)) == 1
    with transaction.atomic():
        Article.objects.create(title="two")
        transaction.set_rollback(True)
    assert told(sent) == []


def test_not_where_nothing_is_reported(sent, settings):
    with suppress():
        Article.objects.create(title="one")
    settings.SERVERPUSH_MODELS = ["project.Book"]
    Article.objects.create(title="two")
    assert sent == []


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Article.objects.create(title="lost").save(), "there is no such URL"),
        (lambda: Comment.objects.create(text="nowhere"), "1 to 2000 characters, not 0"),
    ],
)
def test_a_url_that_can_not_be_had_fails_no_save_and_is_logged_once(
    sent, caplog, monkeypatch, make, named
):
    monkeypatch.setattr(routes, "_logged", set())
    for _ in range(2):
        make()
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(lines) == 1
    assert named in lines[0]
