"""The notifier port: what is refused, how, and that nothing of it is applied."""

from __future__ import annotations

import io
import json
import uuid

import pytest

from serverpush.exceptions import BadMessage
from serverpush.messages import Message
from serverpush.protocol import Change, Ending, ModelInfo, Position
from serverpush.server.bodies import Bodies
from serverpush.server.notifier import MAX_BODY, Notifier
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

MODELS = {
    "shop.book": ModelInfo("shop.book", ("shop.book",), key="integer"),
    "shop.person": ModelInfo("shop.person", ("shop.person",), key="integer"),
    "shop.device": ModelInfo("shop.device", ("shop.device",), key="text"),
    "shop.order": ModelInfo("shop.order", ("shop.order",), key="uuid"),
}
HEAD = Position(1, 1, "e")


DEEP = json.loads("[" * 201 + "]" * 201)


class Port:
    """A notifier with what it accepted."""

    def __init__(self):
        self.accepted = []
        self.messages = []
        self.gaps = []
        self.health = {"status": "ok"}
        self.endings = []
        self.notifier = Notifier(
            keys=["secret", "the one before"],
            bodies=Bodies(MODELS, "shop.person"),
            take=self.take,
            missing=lambda users: [user for user in users if user in ("404", "000")],
            health=lambda: self.health,
            present=lambda channel: {"users": [], "visitors": len(channel), "total": 0},
            most_data=800_000,
            telemetry=Telemetry(),
        )

    def take(self, reported):
        if reported.ending is None:
            self.accepted.append(list(reported.changes))
        else:
            self.endings.append(reported.ending)
        self.messages += reported.messages
        if reported.gap:
            self.gaps.append(reported.gap)
        return HEAD

    def request(self, body, **options):
        status, answer = self.call(body, **options)
        return status, json.loads(answer)

    def call(
        self,
        body,
        *,
        path="/notify",
        method="POST",
        key="secret",
        length=None,
        address="127.0.0.1",
    ):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "CONTENT_LENGTH": str(len(data) if length is None else length),
            "wsgi.input": io.BytesIO(data),
            "REMOTE_ADDR": address,
        }
        if key is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        answered = []
        body = b"".join(self.notifier(environ, lambda status, headers: answered.append(status)))
        return int(answered[0].split()[0]), body


@pytest.fixture
def port():
    return Port()


def change(**fields):
    return {"changes": [{"model": "shop.Book", "pk": 1, "action": "changed"} | fields]}


def test_changes_are_accepted(port):
    assert port.request(change()) == (202, {"accepted": 1, "position": str(HEAD)})
    assert port.accepted == [[Change("shop.book", 1, "changed")]]


def test_a_change_may_say_when_it_was_committed(port):
    port.request(change(at=12.5))
    assert port.accepted[0][0].at == 12.5


def test_the_key_before_is_accepted(port):
    assert port.request(change(), key="the one before")[0] == 202


@pytest.mark.parametrize("key", [None, "", "wrong", "sécret"])
def test_without_the_key_nothing_is_applied(port, key):
    status, answer = port.request(change(), key=key)
    assert status == 401
    assert "serverpush_key" in answer["error"]
    assert port.accepted == []


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        ([], 400, "object"),
        ({"changes": 1}, 400, "changes"),
        ({}, 400, "changes"),
        ({"changes": [], "more": 1}, 400, "with changes, and perhaps messages, batch"),
        ({"changes": {"secret": 1}}, 400, "changes is a list"),
        (change(pk="x" * 10_000), 400, "xxx...xxx"),
        ({"changes": [1]}, 400, "changes[0]"),
        ({"changes": [], "batch": 1}, 400, "batch"),
        ({"changes": [], "batch": "x" * 65}, 400, "batch may have 64 characters"),
        ({"changes": [], "gap": "x" * 501}, 400, "gap 500"),
        (change(pk=None), 400, "pk"),
        (change(pk=True), 400, "pk"),
        (change(pk=1.5), 400, "pk"),
        (change(pk="abc"), 400, "'abc'"),
        (change(model="shop.order", pk="abc"), 400, "pk of shop.order is a UUID, not 'abc'"),
        (change(model="shop.order", pk=7), 400, "pk of shop.order is a UUID, not 7"),
        (change(model=5), 400, "model"),
        (change(action="exploded"), 400, "'exploded'"),
        (change(at="noon"), 400, "at"),
        (change(extra=1), 400, "extra"),
        (change(model="shop.Boot"), 404, "'shop.boot'"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_applied(port, caplog, body, status, named):
    got, answer = port.request(body)
    assert (got, port.accepted) == (status, [])
    assert named in answer["error"]
    assert len(caplog.records) == 1


def test_one_wrong_change_spoils_its_batch(port):
    body = {"changes": [*change()["changes"], {"model": "shop.boot", "pk": 1}]}
    status, answer = port.request(body)
    assert (status, port.accepted) == (404, [])
    assert "changes[1]" in answer["error"]


def test_too_large_a_body_is_refused_unread(port):
    status, answer = port.request(b"", length=MAX_BODY + 1)
    assert (status, port.accepted) == (413, [])
    assert str(MAX_BODY) in answer["error"]


def test_a_batch_that_comes_again_is_not_applied_again(port):
    body = {**change(), "batch": "one"}
    assert port.request(body) == port.request(body)
    assert len(port.accepted) == 1


def test_a_batch_that_comes_again_while_it_is_applied_waits_for_its_answer(port, monkeypatch):
    def slowly(reported):
        applied.append(reported)
        number = len(applied)
        loop.sleep(0.05)
        return Position(1, number, "e")

    applied = []
    monkeypatch.setattr(port.notifier, "_take", slowly)
    batch = {"changes": [{"model": "shop.book", "pk": 1}], "batch": "b"}
    answers = []
    posts = [
        loop.spawn(lambda body=body: answers.append(port.request(body)))
        for body in (batch, batch, {**batch, "batch": "another"}, batch)
    ]
    for post in posts:
        post.join()
    assert len(applied) == 2
    assert len({answer["position"] for _, answer in answers}) == 2


def test_a_batch_that_failed_is_applied_when_it_comes_again(port, monkeypatch):
    batch = {"changes": [{"model": "shop.book", "pk": 1}], "batch": "b"}
    with monkeypatch.context() as patch:
        patch.setattr(port.notifier, "_take", lambda reported: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            port.request(batch)
    assert port.request(batch)[0] == 202
    assert len(port.accepted) == 1


def test_a_gap_is_passed_on(port):
    port.request({**change(), "gap": "overflow"})
    assert port.gaps == ["overflow"]


def test_keys_are_written_as_the_model_has_them(port):
    port.request({"changes": [{"model": "shop.book", "pk": "7"}]})
    port.request({"changes": [{"model": "shop.device", "pk": 7}]})
    assert [each[0].pk for each in port.accepted] == [7, "7"]


@pytest.mark.parametrize("spelled", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_a_uuid_has_one_spelling(port, spelled):
    key = uuid.UUID(int=0xABC)
    for text in (str(key), str(key).upper(), key.hex):
        port.request({"changes": [{"model": "shop.order", "pk": spelled.format(text)}]})
    assert [each[0].pk for each in port.accepted] == [str(key)] * 3


def test_an_ending_is_passed_on(port):
    body = {"users": [1, "007", "7"], "sessions": ["h"], "changed": [3], "doubtful": ["2"]}
    status, answer = port.request(body, path="/disconnect")
    assert (status, answer) == (202, {"accepted": 5, "position": str(HEAD)})
    assert port.endings == [Ending(("1", "7"), ("h",), ("3",), ("2",))]


def test_an_ending_is_applied_once_and_may_tell_of_a_gap(port):
    body = {"users": [1], "batch": "one", "gap": "overflow"}
    assert port.request(body, path="/disconnect") == port.request(body, path="/disconnect")
    assert (len(port.endings), port.gaps) == (1, ["overflow"])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"users": 1}, "users is a list"),
        ({"users": [None]}, "users holds numbers and texts, not None"),
        ({"users": [True]}, "True"),
        ({"users": ["b"]}, "the key of a user is a number, not all of ['b']"),
        ({"users": [""]}, "users holds an empty text"),
        ({"sessions": [""]}, "sessions holds an empty text"),
        ({"users": [1], "at": "noon"}, "at is a number"),
        ({"user": [1]}, "users, sessions, changed, doubtful and at"),
        ({"changes": []}, "users, sessions, changed, doubtful and at"),
    ],
)
def test_a_wrong_ending_is_named_and_not_applied(port, body, named):
    status, answer = port.request(body, path="/disconnect")
    assert (status, port.endings, port.accepted) == (400, [], [])
    assert named in answer["error"]


def test_an_ending_needs_the_key(port):
    assert port.request({"users": [1]}, path="/disconnect", key=None)[0] == 401
    assert port.endings == []


def test_metrics_need_the_key_but_on_loopback(port):
    def asked(**options):
        return port.call(b"", path="/metrics", method="GET", **options)

    status, text = asked(key=None)
    assert (status, b"serverpush_deliveries_total 0.0" in text) == (200, True)
    assert asked(key=None, address="10.0.0.7")[0] == 401
    assert asked(address="10.0.0.7")[0] == 200


def test_health_needs_no_key_and_tells_trouble_by_its_status(port):
    assert port.request(b"", path="/health", method="GET", key=None)[0] == 200
    port.health = {"status": "renderers down"}
    assert port.request(b"", path="/health", method="GET", key=None)[0] == 503


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nothing", "POST", 404), ("/notify", "GET", 405)]
)
def test_other_paths_and_methods(port, path, method, status):
    assert port.request(b"", path=path, method=method)[0] == status


class TestMessages:
    def publish(self, port, body):
        return port.request(body, path="/publish")

    @pytest.mark.parametrize(
        ("to", "topics", "event"),
        [
            ("all", ("all",), "message"),
            ({"users": [1, "2", 1]}, ("user:1", "user:2"), "message"),
            ({"channel": "news"}, ("channel:news",), "channel"),
            ({"route": "/api/1/"}, ("route:/api/1/",), "route"),
        ],
    )
    def test_one_is_published(self, port, to, topics, event):
        status, answer = self.publish(port, {"to": to, "data": {"a": [1, None]}})
        assert (status, answer) == (202, {"accepted": 1, "position": str(HEAD)})
        assert port.messages == [Message(topics, event, '{"a":[1,null]}')]

    def test_with_an_event_of_its_own(self, port):
        self.publish(port, {"to": "all", "event": "weather", "data": "rain"})
        assert port.messages[0].event == "weather"

    def test_once_for_each_batch(self, port):
        for _ in range(2):
            self.publish(port, {"to": "all", "data": 1, "batch": "b"})
        assert len(port.messages) == 1

    def test_a_batch_that_comes_again_after_a_crash_has_the_same_messages(self, port):
        body = {
            "changes": [],
            "messages": [{"to": "all", "data": 1}, {"to": "all", "data": 1}],
            "batch": "b",
        }
        after = Port()
        for each in (port, after):
            assert each.request(body)[0] == 202
        names = [each.name for each in port.messages]
        assert names == [each.name for each in after.messages]
        assert len({*names, ""}) == 3, "each has one of its own"
        after.request({"changes": [], "messages": [{"to": "all", "data": 2}], "batch": "c"})
        assert after.messages[-1].name not in names
        self.publish(after, {"to": "all", "data": 1})
        assert after.messages[-1].name == ""

    def test_beside_changes(self, port):
        change = {"model": "shop.book", "pk": 1}
        message = {"to": "all", "data": 1}
        status, answer = port.request({"changes": [change], "messages": [message, message]})
        assert (status, answer["accepted"]) == (202, 3)
        assert len(port.messages) == 2

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({}, "to and data"),
            ({"to": "all"}, "to and data"),
            ({"to": "everyone", "data": 1}, "'everyone'"),
            ({"to": {"users": 5}, "data": 1}, "int"),
            ({"to": {"users": [True]}, "data": 1}, "True"),
            ({"to": {"users": ["ada"]}, "data": 1}, "a number"),
            ({"to": {"users": [1], "channel": "x"}, "data": 1}, "to is"),
            ({"to": {"channel": ""}, "data": 1}, "1 to 200 characters"),
            ({"to": {"channel": "x" * 201}, "data": 1}, "not 201"),
            ({"to": {"channel": "a\nb"}, "data": 1}, "control characters"),
            ({"to": {"channel": 7}, "data": 1}, "7"),
            ({"to": "all", "event": "two words", "data": 1}, "'two words'"),
            ({"to": "all", "event": "disconnect", "data": 1}, "'disconnect'"),
            ({"to": "all", "data": "x" * 800_000}, "may have 800000 bytes as JSON, not 800002"),
            ({"to": "all", "data": float("nan")}, "NaN"),
            ({"to": "all", "data": 1, "at": "now"}, "'now'"),
            ({"to": "all", "data": 1, "extra": 1}, "extra"),
            ({"to": "all", "data": DEEP}, "200 lists and objects within each other"),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_sent(self, port, body, named):
        status, answer = self.publish(port, body)
        assert status == 400
        assert named in answer["error"]
        assert port.accepted == []

    def test_a_wrong_one_among_others_is_named_by_its_place(self, port):
        messages = [{"to": "all", "data": 1}, {"to": "nobody", "data": 1}]
        status, answer = port.request({"changes": [], "messages": messages})
        assert status == 400
        assert answer["error"].startswith("messages[1]: ")
        assert port.messages == []

    def test_without_the_key(self, port):
        status, _ = port.request({"to": "all", "data": 1}, path="/publish", key="")
        assert (status, port.messages) == (401, [])


class TestStopping:
    BATCH = {"changes": [{"model": "shop.book", "pk": 1}], "batch": "b"}

    def test_what_is_being_applied_is_applied_and_nothing_else(self, port, monkeypatch):
        def slowly(reported):
            loop.sleep(0.05)
            return port.take(reported)

        monkeypatch.setattr(port.notifier, "_take", slowly)
        post = loop.spawn(port.request, self.BATCH)
        loop.sleep()
        port.notifier.stop(5)
        assert len(port.accepted) == 1
        status, answer = port.request({**self.BATCH, "batch": "c"})
        assert (status, "stopping" in answer["error"]) == (503, True)
        post.join()
        assert len(port.accepted) == 1

    def test_the_next_start_knows_what_was_applied(self, port):
        first = port.request(self.BATCH)
        after = Port()
        after.notifier.load(json.loads(json.dumps(port.notifier.dump())))
        assert after.request(self.BATCH) == first
        assert after.accepted == []

    @pytest.mark.parametrize("value", [None, [1], [["b", 1]]])
    def test_what_is_no_dump(self, port, value):
        with pytest.raises(BadMessage):
            port.notifier.load(value)


def test_two_spellings_of_one_user_are_one(port):
    port.request({"to": {"users": [1, "01", "1"]}, "data": 1}, path="/publish")
    assert port.messages[0].topics == ("user:1",)


def test_a_message_to_users_who_do_not_exist(port):
    status, answer = port.request({"to": {"users": [7, 404, 8]}, "data": 1}, path="/publish")
    assert (status, answer) == (400, {"error": "there is no user '404'"})
    assert port.messages == []
