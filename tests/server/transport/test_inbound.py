"""The parser of clients' WebSocket frames."""

import contextlib
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serverpush.server.transport.inbound import Inbound, unmask
from serverpush.server.transport.protocol_error import ProtocolError


def masked(opcode, payload, final=True, mask=b"\x01\x02\x03\x04", rsv=0):
    first = (0x80 if final else 0) | rsv | opcode
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, 0xFE, size)
    else:
        header = struct.pack("!BBQ", first, 0xFF, size)
    return header + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def texts(inbound):
    found = []
    while (incoming := inbound.next()) is not None:
        if incoming.text is not None:
            found.append(incoming.text)
    return found


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_unmask(data, mask):
    assert unmask(data, mask) == bytes(b ^ mask[i % 4] for i, b in enumerate(data))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=5), st.data())
def test_messages_survive_any_cut(messages, data):
    wire = b""
    for message in messages:
        payload = message.encode()
        parts = data.draw(st.integers(1, 3))
        step = len(payload) // parts + 1
        pieces = [payload[i : i + step] for i in range(0, max(len(payload), 1), step)]
        for number, piece in enumerate(pieces):
            wire += masked(0 if number else 1, piece, number == len(pieces) - 1)
            wire += masked(9, b"in between")
    inbound, found = Inbound(100_000), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        inbound.feed(wire[:cut])
        found += texts(inbound)
        wire = wire[cut:]
    assert found == messages


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for(data):
    inbound = Inbound(50)
    inbound.feed(data)
    with contextlib.suppress(ProtocolError):
        texts(inbound)


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (masked(1, b"x" * 101), 1009),
        (masked(1, b"x" * 60, False) + masked(0, b"x" * 60), 1009),
        (struct.pack("!BBQ", 0x81, 0xFF, 1 << 62), 1009),
        (masked(2, b"x"), 1003),
        (masked(1, b"\xff"), 1007),
        (masked(1, b"x", rsv=0x40), 1002),
        (masked(0, b"x"), 1002),
        (masked(1, b"x", False) + masked(1, b"x"), 1002),
        (masked(3, b"x"), 1002),
        (masked(11, b"x"), 1002),
        (masked(9, b"x", False), 1002),
        (masked(9, b"x" * 126), 1002),
        (b"\x81\x01x", 1002),
    ],
    ids=[
        "too big",
        "fragments too big",
        "huge",
        "binary",
        "not UTF-8",
        "compressed",
        "continuation of nothing",
        "text within fragments",
        "unknown opcode",
        "unknown control",
        "fragmented control",
        "long control",
        "unmasked",
    ],
)
def test_refused(wire, code):
    inbound = Inbound(100)
    inbound.feed(wire)
    with pytest.raises(ProtocolError) as caught:
        texts(inbound)
    assert caught.value.code == code


def test_a_header_that_announces_too_much_is_refused_before_the_body():
    inbound = Inbound(100)
    inbound.feed(masked(1, b"x" * 101)[:8])
    with pytest.raises(ProtocolError):
        inbound.next()


def test_empty_fragments_are_not_kept():
    inbound = Inbound(100)
    inbound.feed(masked(1, b"", False) + masked(0, b"", False) * 1000)
    assert texts(inbound) == []
    assert inbound._fragments == []


def test_nothing_is_held_when_idle():
    inbound = Inbound(100)
    inbound.feed(masked(1, os.urandom(20).hex().encode()))
    texts(inbound)
    assert inbound._buffer is None
    assert inbound._fragments is None
