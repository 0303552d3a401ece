"""What clients send and the transport does not take: one line, closed, never a traceback."""

import json
import logging
import struct

import pytest
import requests

from tests.server.transport.test_inbound import masked

SECRET = "s3cret"

PACKETS = {
    "empty": "",
    "unknown type": "9",
    "letter": "x" + SECRET,
    "ping of version 3": "2",
    "upgrade out of place": "5",
    "base64 binary": "bAAAA",
    "message without a packet": "4",
    "bad socket.io type": "4x",
    "type 7": "47",
    "connect error": "44",
    "binary event": '451-["news",{"_placeholder":true,"num":0}]',
    "binary ack": "461-[]",
    "ack": '430["' + SECRET + '"]',
    "attachments on an event": '421-["news"]',
    "too many attachments": '4299999999999-["news"]',
    "json that ends": '42["' + SECRET,
    "json that is no list": '42{"a":1}',
    "empty list": "42[]",
    "no name": "42[1]",
    "deep lists": "42" + "[" * 8000,
    "deep message": "4" + "[" * 8000,
    "deep objects": '42["a",' + '{"a":' * 2500,
    "long id": "42" + "1" * 200 + '["a"]',
    "strange digits": '42²["a"]',
    "unknown namespace": '42/admin,["news"]',
    "second connect": "40",
    "big number": '42["a",' + "1" * 5000 + "]",
}


def end_of(server, client, ws):
    assert server.handlers.wait("disconnect")[0][1] is client
    assert ws.closed()
    assert server.transport.clients == {}
    assert server.transport._engine.sockets == {}


def check_log(server):
    lines = server.log.text.splitlines()
    assert len(lines) == 1, server.log.text
    assert lines[0].startswith("WARNING closed a client for what it sent: ")
    assert SECRET not in lines[0]
    assert server.log.records[0].exc_info in (None, False)


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS.keys())
def test_bad_packets_on_a_websocket(server, packet, capfd):
    ws = server.websocket()
    client = server.client()
    ws.ws.send(packet)
    end_of(server, client, ws)
    check_log(server)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS.keys())
def test_bad_packets_by_polling(server, packet, capfd):
    poller = server.polling()
    client = server.client()
    poller.post(packet)
    assert server.handlers.wait("disconnect")[0][1] is client
    check_log(server)
    assert poller.post("42[1]").status_code == 400
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "wire",
    [
        masked(2, b"binary"),
        masked(1, b"\xff\xfe"),
        masked(1, b'42["a"]', rsv=0x40),
        masked(1, b"4" * 20_000),
        masked(1, b"4" * 10_000, False) + masked(0, b"4" * 10_000, False),
        struct.pack("!BBQ", 0x81, 0xFF, 1 << 40),
        b"\x81\x01x",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["binary", "utf-8", "compressed", "big", "fragments", "huge", "unmasked", "http"],
)
def test_bad_frames(server, wire, capfd):
    ws = server.websocket()
    client = server.client()
    ws.ws.sock.sendall(wire)
    end_of(server, client, ws)
    check_log(server)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 20000\r\n\r\n" + "4" * 20_000,
        "Content-Length: 99999999999\r\n\r\n",
        "\r\n",
        "Content-Length: 3\r\nContent-Type: text/plain\r\n\r\n\xff\xfe\xff",
    ],
    ids=["big", "huge", "no length", "not UTF-8"],
)
def test_bad_bodies(server, head):
    poller = server.polling()
    client = server.client()
    raw = server.raw()
    path = f"/socket.io/?EIO=4&transport=polling&sid={poller.params['sid']}"
    raw.sendall(f"POST {path} HTTP/1.1\r\n{head}".encode("latin-1"))
    assert raw.recv(4096).split(b" ")[1] == b"400"
    assert server.handlers.wait("disconnect")[0][1] is client
    check_log(server)


def test_a_chunked_body_is_not_read(server):
    poller = server.polling()
    client = server.client()
    assert poller.post(iter([b"42"] * 10)).status_code == 411
    server.send("1")
    assert poller.poll() == ['42["news",1]']
    assert not client.closed


def test_a_poll_beside_a_poll_is_refused(server):
    poller = server.polling()
    client = server.client()
    path = f"/socket.io/?EIO=4&transport=polling&sid={poller.params['sid']}"
    raw = server.raw()
    raw.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    while client._socket._ready is None:
        server.settle()
    assert poller.get().status_code == 400
    assert server.handlers.wait("disconnect")[0][1] is client


def test_the_log_is_not_flooded(server, capfd):
    for _ in range(30):
        ws = server.websocket()
        ws.ws.send("4x" + SECRET)
        assert ws.closed()
    assert len(server.log.records) < 5
    assert capfd.readouterr() == ("", "")


def test_jsonp_is_refused(server):
    for query in ("&j=0", "&j=1&x", "&%6a=0"):
        answer = requests.get(server.url + "?EIO=4&transport=polling" + query, timeout=10)
        assert answer.status_code == 400
    poller = server.polling()
    assert (
        requests.get(server.url, params={**poller.params, "j": "0"}, timeout=10).status_code == 400
    )
    server.client()
    poller.post("d=" + '42["news"]')
    assert server.handlers.of("event") == []


def test_a_polling_answer_is_not_compressed(server):
    poller = server.polling()
    server.client()
    server.send('"' + "x" * 5000 + '"')
    answer = poller.get(headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": None, "Sec-WebSocket-Key1": "1 2", "Sec-WebSocket-Key2": "3 4"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Connection": "keep-alive"},
    ],
    ids=["none", "8", "76", "no key", "bad key", "no upgrade"],
)
def test_other_handshakes_are_refused(server, changes):
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **changes,
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    raw = server.raw()
    head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"
    raw.sendall("\r\n".join([head, *lines, "", ""]).encode())
    assert raw.recv(4096).split(b" ")[1] == b"400"
    assert server.transport._engine.sockets == {}


def test_an_unknown_namespace_is_told(server):
    ws = server.websocket()
    ws.ws.send("40/admin,")
    assert ws.packet() == '44/admin,{"message":"Invalid namespace"}'
    ws.emit("still", ack=1)
    assert ws.packet() == "431[]"


def test_events_before_joining_are_refused(server):
    ws = server.websocket(join=False)
    ws.emit("early")
    assert ws.closed()
    assert server.handlers.calls == []


@pytest.mark.parametrize("auth", ["[1]", '"text"', "-1", "true"])
def test_auth_has_to_be_an_object(server, auth):
    ws = server.websocket(join=False)
    ws.ws.send("40" + auth)
    answer = ws.packet()
    assert answer.startswith("44")
    assert json.loads(answer[2:])["data"]["code"] == "bad_token"
    ((_, _, code),) = server.handlers.wait("refused")
    assert code == "bad_token"


def test_an_acknowledgement_that_is_no_json(server):
    server.handlers.event = lambda client, name, args: float(name)
    ws = server.websocket()
    ws.emit("nan", ack=1)
    assert ws.packet() == '431[{"error":"the server failed","code":"server_error"}]'
    ws.emit("2", ack=2)
    assert ws.packet() == "432[2.0]"
    assert server.log.text == "ERROR on_event failed"


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_a_mistake_of_our_own_is_logged_and_closes(server, kind, monkeypatch, capfd):
    client = getattr(server, kind)()

    def fail(*args):
        raise KeyError("broken")

    monkeypatch.setattr(server.transport, "socket_event", fail)
    if kind == "websocket":
        client.emit("ask", SECRET)
    else:
        assert client.post('42["ask"]').status_code == 200
    assert server.handlers.wait("disconnect")[0][2] == "bad packet"
    assert server.log.text == "ERROR taking packets failed"
    assert capfd.readouterr() == ("", "")


def test_no_line_tells_what_was_sent(server, capfd):
    """Neither tokens nor cookies, paths' queries, payloads or names of events."""

    def fail(*args):
        raise RuntimeError("broken")

    options = {"header": [f"Cookie: sessionid={SECRET}"], "origin": f"http://{SECRET}"}
    ws = server.websocket(auth={"page": SECRET}, **options)
    server.handlers.event = fail
    ws.emit(SECRET, {"a": SECRET}, ack=1)
    ws.packet()
    ws.ws.send(f'42["{SECRET}')
    assert ws.closed()
    server.handlers.connect = fail
    ws = server.websocket(join=False, **options)
    ws.ws.send(f'40{{"page":"{SECRET}"}}')
    ws.packet()
    server.handlers.origin = fail
    query = {"EIO": "4", "transport": "polling", "sid": SECRET}
    assert requests.get(server.url, params=query, timeout=10).status_code == 403
    told = "".join(map(logging.Formatter().format, server.log.records))
    for kind in ("on_event", "closed a client", "on_connect", "origin_allowed"):
        assert kind in told
    assert SECRET not in told
    assert capfd.readouterr() == ("", "")
