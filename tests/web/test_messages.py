"""What a project sends: checked where it is called, sent when it is committed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from datetime import timezone as zone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from serverpush import signals
from serverpush.client import disconnect, notify, notify_all, push_route, send_update, suppress
from serverpush.exceptions import InvalidMessage
from serverpush.messages import MAX_DATA, Message
from serverpush.protocol import Change, Ending
from serverpush.server.notifier import MAX_BODY
from serverpush.tokens import tokenize
from serverpush.web import messages, waiting
from serverpush.web.messages import encode
from serverpush.web.outbox import Outbox, outbox
from tests.project.models import Author
from tests.users import saved


def other(pk):
    """A user of another kind, whose keys are not those of the users."""
    found = Author(pk=pk)
    found.is_authenticated = True
    return found


ADA, BOB = saved(7, username="ada"), saved(8, username="bob")


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr(outbox, "put", found.append)
    return found


def told(sent):
    return [(each.topics, each.event, json.loads(each.data)) for each in sent]


class TestWhereItGoes:
    def test_to_users(self, sent):
        notify({"msg": "Hi"}, users=[ADA, BOB, ADA], event="greeting")
        assert told(sent) == [(("user:7", "user:8"), "greeting", {"msg": "Hi"})]

    @pytest.mark.django_db(transaction=True)
    def test_to_keys_of_users_who_are_there(self, sent, django_assert_num_queries):
        with suppress():
            User.objects.create(pk=7)
        with django_assert_num_queries(1):
            notify("Hi", users=["7", BOB, 7])
        assert told(sent) == [(("user:7", "user:8"), "message", "Hi")]
        with pytest.raises(InvalidMessage, match="there is no user '8', '9'"):
            notify("Hi", users=[7, 8, 9])
        with suppress(), django_assert_num_queries(0):
            notify("Hi", users=[9])
        assert len(sent) == 1

    def test_to_more_than_one_message_can_have(self, sent, monkeypatch):
        monkeypatch.setattr(messages, "MAX_KEYS", 2 * len('"user:1"'))
        notify("Hi", users=[saved(number) for number in range(1, 6)])
        assert [each.topics for each in sent] == [
            ("user:1", "user:2"),
            ("user:3", "user:4"),
            ("user:5",),
        ]

    def test_as_much_as_there_can_be_fits_into_one_body(self, sent):
        users = [saved("\u00e9" * 60 + str(number)) for number in range(3000)]
        notify("x" * (MAX_DATA - 2), users=users)
        assert sum(len(each.topics) for each in sent) == 3000
        bodies = [b'{"changes":[],"messages":[' + each.to_text().encode() + b"]}" for each in sent]
        assert max(map(len, bodies)) < MAX_BODY - 200

    def test_a_text_is_no_list_of_users(self, sent):
        with pytest.raises(InvalidMessage, match="'12'"):
            notify("Hi", users="12")
        assert sent == []

    def test_to_nobody(self, sent):
        notify("Hi", users=[])
        assert sent == []

    def test_to_everybody(self, sent):
        notify_all({"msg": "Hi all!"})
        assert told(sent) == [(("all",), "message", {"msg": "Hi all!"})]

    def test_to_a_channel(self, sent):
        send_update("some_channel_id", {"type": "answer", "value": 42})
        assert told(sent) == [
            (("channel:some_channel_id",), "channel", {"type": "answer", "value": 42})
        ]

    def test_along_a_route(self, sent):
        push_route("/api/1/", {"title": "Dunes"}, type="custom")
        body = {"route": "/api/1/", "type": "custom", "body": {"title": "Dunes"}}
        assert told(sent) == [(("route:/api/1/",), "route", body)]

    def test_the_end_of_connections(self, sent):
        disconnect(ADA, 8)
        (ending,) = sent
        assert isinstance(ending, Ending)
        assert ending.users == ("7", "8")
        assert ending.at > 0


def nested(depth):
    data = []
    for _ in range(depth - 1):
        data = [data]
    return data


class TestData:
    def test_as_deep_as_may_be_and_brackets_in_texts_do_not_count(self, sent):
        notify_all([nested(messages.MAX_DEPTH - 1), "[" * 1000, '\\"[' * 1000])
        assert len(sent) == 1

    def test_a_message_of_any_characters_fits_into_a_body(self, notifier):
        text = "é" * (MAX_DATA // 2 - 10)
        box = Outbox()
        box.put(Message(("all",), "message", encode(text)))
        batch = notifier.next_batch()
        assert batch["messages"] == [{"to": "all", "event": "message", "at": 0, "data": text}]
        assert batch["size"] < 1_000_000
        assert box.flush(5)

    def test_dates_are_in_the_current_time_zone(self, sent):
        at = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
        with timezone.override(zone(timedelta(hours=2))):
            notify_all([at, date(2026, 3, 1)])
        assert told(sent)[0][2] == ["2026-03-02T01:30:00+02:00", "2026-03-01"]

    def test_what_django_can_write(self, sent):
        notify_all([Decimal("1.50"), gettext_lazy("yes"), "é", None, 2.5])
        assert told(sent)[0][2] == ["1.50", "yes", "é", None, 2.5]

    def test_by_a_serializer_of_ones_own(self, sent):
        notify("x", [ADA], serializer=None)
        notify_all({"who": ADA}, serializer=lambda user: user.username)
        assert told(sent)[1][2] == {"who": "ada"}

    def test_what_was_changed_afterwards_is_not_sent(self, sent):
        data = {"a": 1}
        notify_all(data)
        data["a"] = 2
        assert told(sent)[0][2] == {"a": 1}

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            (object(), "object"),
            (float("nan"), "Out of range"),
            ({1: {2, 3}}, "set"),
            ("\ud800", "half a character"),
            ("x" * MAX_DATA, str(MAX_DATA)),
            (nested(messages.MAX_DEPTH + 1), "within each other"),
        ],
    )
    def test_what_can_not_be_sent_is_named(self, sent, data, named):
        with pytest.raises(InvalidMessage, match="data") as caught:
            notify_all(data)
        assert named in str(caught.value)
        assert sent == []

    def test_what_no_client_may_have_waiting_is_too_much(self, sent, settings):
        settings.SERVERPUSH_SEND_BUFFER = 100_000
        notify_all("x" * 80_000)
        with pytest.raises(InvalidMessage, match="may have 83616 bytes as JSON, not 90002"):
            notify_all("x" * 90_000)
        assert len(sent) == 1

    def test_a_circle(self, sent):
        data = []
        data.append(data)
        with pytest.raises(ValueError, match="JSON"):
            notify_all(data)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: notify(1, [AnonymousUser()]), "AnonymousUser"),
        (lambda: notify(1, [User(username="new")]), "new"),
        (lambda: notify(1, [User(pk=7)]), "not saved yet"),
        (lambda: notify(1, [other(7)]), "is no auth.User"),
        (lambda: tokenize(other(7)), "is no auth.User"),
        (lambda: disconnect(other(7)), "is no auth.User"),
        (lambda: notify(1, [float("inf")]), "inf is neither"),
        (lambda: notify(1, [], event="two words"), "two words"),
        (lambda: notify_all(1, event="__disconnect_final"), "client's own"),
        (lambda: notify(1, [None]), "None"),
        (lambda: notify(1, [True]), "True"),
        (lambda: notify(1, ["ada"]), "'ada' is neither a user nor the key of one"),
        (lambda: notify(1, [""]), "neither a user"),
        (lambda: disconnect(User()), "saved"),
        (lambda: send_update("", 1), "1 to 200"),
        (lambda: send_update("x" * 201, 1), "201"),
        (lambda: send_update("a\x00b", 1), "control"),
        (lambda: send_update(7, 1), "7"),
        (lambda: push_route("", 1), "1 to 2000"),
        (lambda: push_route("/x/", 1, type=5), "5"),
        (lambda: notify_all(1, event="two words"), "two words"),
        (lambda: notify_all(1, event="connect"), "connect"),
        (lambda: notify_all(1, event="presence"), "who is in a channel"),
    ],
)
def test_who_and_what_there_is_not_is_named(sent, call, named):
    with pytest.raises(ValueError, match=named):
        call()
    assert sent == []


@pytest.mark.django_db
@pytest.mark.parametrize("key", [2**63, 10**30, -(10**30), str(10**30)])
def test_a_number_that_no_database_has_is_nobodys(sent, key):
    with pytest.raises(InvalidMessage, match=f"there is no user '{key}'"):
        notify(1, [key])
    assert sent == []


@pytest.mark.parametrize("edge", [datetime.max, datetime.min])
@pytest.mark.parametrize("name", ["Pacific/Auckland", "America/Lima"])
def test_a_date_at_the_edge_of_time(edge, name):
    with timezone.override(ZoneInfo(name)):
        assert json.loads(encode(edge.replace(tzinfo=UTC)))[:4] == str(edge)[:4]


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_it_waits_for_the_commit(self, sent):
        with transaction.atomic():
            notify_all(1)
            disconnect(ADA)
            assert sent == []
        assert len(sent) == 2

    def test_not_after_a_rollback(self, sent):
        with transaction.atomic():
            send_update("news", 1)
            transaction.set_rollback(True)
        assert sent == []


def test_nothing_is_sent_where_nothing_is_reported(sent):
    # Such as in a rendering, which is to read only, and comes again.
    with suppress():
        notify_all(1)
        send_update("news", 1)
        disconnect(ADA)
    assert sent == []


class TestSignals:
    @pytest.fixture
    def heard(self):
        heard = []
        receivers = []
        for name in ("pre_send_update", "post_send_update"):
            signal = getattr(signals, name)

            def receive(sender, channel_id, data, name=name, **kwargs):
                heard.append((name, channel_id, data))

            signal.connect(receive, weak=False)
            receivers.append((signal, receive))
        yield heard
        for signal, receive in receivers:
            signal.disconnect(receive)

    def test_before_and_after(self, sent, heard):
        send_update("news", 1)
        assert heard == [("pre_send_update", "news", 1), ("post_send_update", "news", 1)]

    @pytest.mark.parametrize(
        "arguments", [("x" * 201, 1), ("news", {1, 2}), ("news", 1, "an event")]
    )
    def test_not_for_one_that_can_not_be_sent(self, sent, heard, arguments):
        with pytest.raises(InvalidMessage):
            send_update(*arguments)
        assert heard == []

    def test_not_for_one_that_is_not_sent(self, sent, heard):
        with suppress():
            send_update("news", 1)
        assert heard == []

    def test_what_a_receiver_adds_is_sent(self, sent, heard):
        def sign(data, **kwargs):
            data["by"] = "ada"

        signals.pre_send_update.connect(sign)
        try:
            send_update("news", {"a": 1})
        finally:
            signals.pre_send_update.disconnect(sign)
        assert told(sent)[0][2] == {"a": 1, "by": "ada"}

    def test_a_receiver_before_it_that_raises_is_heard_where_it_was_called(self, sent, heard):
        def refuse(**kwargs):
            raise RuntimeError("not today")

        signals.pre_send_update.connect(refuse)
        try:
            with pytest.raises(RuntimeError, match="not today"):
                send_update("news", 1)
        finally:
            signals.pre_send_update.disconnect(refuse)
        assert sent == []

    def test_one_after_it_does_not_fail_the_sender(self, sent, heard, caplog):
        def fail(**kwargs):
            raise RuntimeError("too late")

        signals.post_send_update.connect(fail)
        try:
            send_update("news", 1)
        finally:
            signals.post_send_update.disconnect(fail)
        assert len(sent) == 1
        assert "too late" in caplog.text


def test_messages_and_changes_go_out_in_one_batch_in_their_order(notifier):
    notifier.released.clear()
    box = Outbox()
    box.put(Change("shop.book", 1))
    notifier.next_batch()
    for number in range(3):
        box.put(Message(("all",), "message", str(number), 1.5))
        box.put(Change("shop.book", number))
    notifier.released.set()
    batch = notifier.next_batch()
    assert batch["path"] == "/notify"
    assert [each["pk"] for each in batch["changes"]] == [0, 1, 2]
    assert batch["messages"] == [
        {"to": "all", "event": "message", "data": number, "at": 1.5} for number in range(3)
    ]
    assert box.flush(5)


def test_a_message_that_was_dropped_is_a_gap(notifier, monkeypatch):
    monkeypatch.setattr(waiting, "MAX_SIZE", 15)
    notifier.released.clear()
    box = Outbox()
    box.put(Message(("all",), "message", '"x"'))
    notifier.next_batch()
    for number in range(3):
        box.put(Message(("all",), "message", f'"{"y" * 8}{number}"'))
    notifier.released.set()
    batch = notifier.next_batch()
    assert [each["data"][-1] for each in batch["messages"]] == ["1", "2"]
    assert "waited" in batch["gap"]
    assert box.flush(5)
