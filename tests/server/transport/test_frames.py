"""Frames: encoded once, for polling and for WebSocket."""

import json

import pytest

from serverpush.server.transport import Frame
from serverpush.server.transport.frames import ack, refusal, websocket_frame


def test_an_event_keeps_its_json_texts():
    frame = Frame.event("news", '{"a": 1}', "null")
    assert frame.payload == b'42["news",{"a": 1},null]'
    assert frame.size == len(frame.payload)


def test_an_event_without_arguments():
    assert Frame.event("serverpush:logout").payload == b'42["serverpush:logout"]'


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_of_a_websocket_frame(size, header):
    payload = b"x" * size
    assert websocket_frame(1, payload) == header + payload


def test_the_websocket_frame_is_made_once():
    frame = Frame.event("näme", "1")
    assert frame.websocket is frame.websocket
    assert frame.websocket.endswith(frame.payload)


def test_nan_is_no_json():
    with pytest.raises(ValueError, match="JSON"):
        ack(1, float("nan"))


def test_a_refusal_tells_code_and_message():
    assert json.loads(refusal("bad_token", "no").payload[2:]) == {
        "message": "no",
        "data": {"code": "bad_token", "message": "no"},
    }
