"""Records: signed by who has the secret, and read by nobody else's word."""

from __future__ import annotations

import json

import pytest

from serverpush import records
from serverpush.exceptions import BadMessage, BadToken
from serverpush.messages import Message
from serverpush.protocol import Change, Ending
from serverpush.records import Record


def as_redis_gives(fields):
    return {name.encode(): value for name, value in fields.items()}


@pytest.mark.parametrize(
    "record",
    [
        records.notice("b", [Change("shop.book", 1)], [Message(("all",), "m", '{"a": 1}')], "lost"),
        records.ending("b", Ending(users=("1",))),
        records.beat("s", 1.5),
        records.present("s", [["a b", "tab", "", "", "", []]], [["c d", "tab", ""]]),
        records.lost("s", "t"),
    ],
    ids=lambda record: record.call,
)
class TestRecord:
    def test_it_is_read_as_it_was_written(self, record):
        assert Record.read(as_redis_gives(record.fields())) == record
        assert Record.unseal(record.seal()) == record

    @pytest.mark.parametrize("name", [b"call", b"body", b"signature"])
    def test_a_change_of_any_part_is_noticed(self, record, name):
        fields = as_redis_gives(record.fields())
        with pytest.raises(BadToken):
            Record.read({**fields, name: fields[name] + b" "})
        del fields[name]
        with pytest.raises(BadToken):
            Record.read(fields)

    def test_another_secret(self, record, settings):
        fields = as_redis_gives(record.fields())
        settings.SECRET_KEY, old = "another", settings.SECRET_KEY
        with pytest.raises(BadToken):
            Record.read(fields)
        settings.SECRET_KEY_FALLBACKS = [old]
        assert Record.read(fields) == record


def test_what_is_sealed_is_not_unsealed_in_part():
    sealed = records.beat("s", 1.5).seal()
    for value in (b"", b"   ", sealed[:-1], sealed.partition(b" ")[2]):
        with pytest.raises(BadToken):
            Record.unseal(value)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"[" * 100_000])
def test_a_body_that_is_no_object(body):
    with pytest.raises(BadMessage):
        Record("/notify", body).value()


def test_the_data_of_a_message_stays_as_it_is():
    data = '{"b":  1.50, "a": "ß"}'
    record = records.notice("b", messages=[Message(("channel:x",), "channel", data, at=5)])
    assert data.encode() in record.body
    assert json.loads(record.body)["messages"][0]["to"] == {"channel": "x"}
