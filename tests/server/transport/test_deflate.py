"""Compressed messages: offered, made once for all, taken with limits."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverpush.server.transport import Frame
from serverpush.server.transport.deflate import FROM, TAIL, deflated, inflated, is_offered
from serverpush.server.transport.inbound import Inbound
from serverpush.server.transport.protocol_error import ProtocolError
from tests.server.transport.test_inbound import masked, texts

OFFER = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]
LONG = "x" * 5000


def compressed(payload):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


@pytest.mark.parametrize(
    ("header", "is_it"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; client_max_window_bits=9", True),
        ('permessage-deflate;server_max_window_bits="15";server_no_context_takeover', True),
        ("x-other, permessage-deflate; client_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits", False),
        ("permessage-deflate; client_max_window_bits=99", False),
        ("permessage-deflate; client_max_window_bits=\u00b2", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; unknown", False),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", False),
        ("x-webkit-deflate-frame", False),
        ("", False),
    ],
)
def test_what_is_taken_up(header, is_it):
    assert is_offered(header) is is_it


@given(st.binary(max_size=3000))
def test_there_and_back(payload):
    assert inflated(compressed(payload), 3000) == payload
    data = deflated(payload)
    assert data is None or (len(data) < len(payload) and inflated(data, 3000) == payload)


def test_only_where_it_pays():
    assert deflated(b"x" * (FROM - 1)) is None
    assert deflated(b"x" * FROM) is not None
    frame = Frame("4" + "x" * 10)
    assert frame.deflated is frame.websocket
    frame = Frame("4" + LONG)
    assert len(frame.deflated) < 100
    assert frame.deflated is frame.deflated


def test_a_bomb_is_refused_without_being_unpacked():
    bomb = compressed(b"\0" * 100_000_000)
    with pytest.raises(ProtocolError, match="too big"):
        inflated(bomb, 16_384)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x07"])
def test_what_is_not_compressed_is_refused(payload):
    with pytest.raises(ProtocolError, match="decompressed"):
        inflated(payload, 100)


def test_messages_in_pieces():
    inbound = Inbound(10_000, deflates=True)
    data = compressed(LONG.encode())
    inbound.feed(masked(1, data[:7], final=False, rsv=0x40) + masked(0, data[7:]))
    inbound.feed(masked(1, b"plain"))
    inbound.feed(masked(1, compressed(b"again"), rsv=0x40))
    assert texts(inbound) == [LONG, "plain", "again"]


@pytest.mark.parametrize("wire", [masked(0, b"x", rsv=0x40), masked(9, b"x", rsv=0x40)])
def test_only_a_message_says_that_it_is_compressed(wire):
    inbound = Inbound(100, deflates=True)
    inbound.feed(masked(1, b"x", final=False) + wire)
    with pytest.raises(ProtocolError, match="reserved"):
        texts(inbound)


def frame_of(ws):
    """The first byte and the payload of a short frame, as they come: the library takes no bits."""
    sock = ws.ws.sock
    first, size = sock.recv(2)
    assert size < 126
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return first, data


class TestConnections:
    def test_long_messages_are_compressed_for_who_offers_it(self, server):
        ws, plain = server.websocket(header=OFFER), server.websocket()
        answer = ws.ws.headers["sec-websocket-extensions"]
        assert answer == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        )
        server.client(ws), server.client(plain)
        server.send('"' + LONG + '"')
        first, data = frame_of(ws)
        assert first == 0x80 | 0x40 | 1
        text = f'42["news","{LONG}"]'
        assert inflated(data, 10_000).decode() == text
        assert plain.packet() == text
        server.send('"short"')
        assert frame_of(ws) == (0x80 | 1, b'42["news","short"]')

    def test_a_client_may_compress(self, server):
        ws = server.websocket(header=OFFER)
        server.client()
        ws.ws.sock.sendall(masked(1, compressed(b'42["a",1]'), rsv=0x40))
        (call,) = server.handlers.wait("event")
        assert call[2:] == ("a", [1])

    def test_a_client_may_not_send_a_bomb(self, start):
        server = start(max_message=1000)
        ws = server.websocket(header=OFFER)
        client = server.client()
        ws.ws.sock.sendall(masked(1, compressed(b"4" + b"x" * 100_000), rsv=0x40))
        assert server.handlers.wait("disconnect")[0][1:] == (client, "bad packet")
