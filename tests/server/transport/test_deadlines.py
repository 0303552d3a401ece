"""Pings, and ends that come by themselves."""

import contextlib
import time

import pytest
import websocket

from serverpush.server.transport import Frame, http
from tests.server.transport import conftest
from tests.server.transport.conftest import SMALL_BUFFER

QUICK = {"ping_interval": 0.2, "ping_timeout": 0.2}
SLACK = 5


def test_pings_keep_a_client(start):
    server = start(**QUICK)
    ws = server.websocket()
    for _ in range(4):
        assert ws.text() == "2"
        ws.ws.send("3")
    server.send("1")
    assert ws.packet() == '42["news",1]'
    assert server.handlers.of("disconnect") == []


def test_a_client_that_answers_no_ping_is_closed(start):
    server = start(**QUICK)
    ws = server.websocket()
    client = server.client()
    begun = time.monotonic()
    assert ws.closed()
    assert time.monotonic() - begun < 0.4 + SLACK
    assert server.handlers.wait("disconnect")[0][1:] == (client, "ping timeout")


def test_a_poller_that_is_gone_is_closed(start):
    server = start(**QUICK)
    poller = server.polling()
    client = server.client()
    assert server.handlers.wait("disconnect")[0][1:] == (client, "ping timeout")
    assert poller.get().status_code == 400


def test_pings_of_a_poller(start):
    server = start(**QUICK)
    poller = server.polling()
    for _ in range(3):
        assert poller.poll() == ["2"]
        assert poller.post("3").status_code == 200
    assert server.handlers.of("disconnect") == []


def test_pongs_that_nobody_asked_for_do_not_put_off_the_ping(start):
    server = start(ping_interval=1.2, ping_timeout=0.4)
    ws = server.websocket()
    ws.ws.settimeout(0.1)
    until = time.monotonic() + conftest.WAIT
    while time.monotonic() < until:
        ws.ws.send("3")
        with contextlib.suppress(websocket.WebSocketTimeoutException):
            assert ws.text() == "2"
            return
    pytest.fail("no ping came")


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_who_never_joins_is_closed(start, kind):
    server = start(join_timeout=0.3)
    client = getattr(server, kind)(join=False)
    (socket,) = server.transport._engine.sockets.values()
    if kind == "websocket":
        assert client.closed()
    else:
        assert client.poll() == ["1"]
    assert socket.closed
    assert server.transport._engine.sockets == {}
    assert server.handlers.calls == []


def test_joining_ends_the_deadline(start):
    server = start(join_timeout=0.2)
    ws = server.websocket()
    # Three times the deadline: were it not ended, the client would be closed by now.
    time.sleep(0.6)
    server.send("1")
    assert ws.packet() == '42["news",1]'


def test_who_is_refused_is_closed_even_when_it_stays(start, refused, monkeypatch):
    from serverpush.server.transport import connection

    monkeypatch.setattr(connection, "REFUSED_GRACE", 0.2)
    server = start()

    def refuse(client, auth):
        raise refused("bad_token", "no")

    server.handlers.connect = refuse
    ws = server.websocket(join=False)
    ws.ws.send("40")
    assert ws.packet().startswith("44")
    assert ws.closed()
    assert server.transport._engine.sockets == {}


def test_an_upgrade_that_is_stuck_is_closed(start):
    server = start(join_timeout=0.3)
    poller = server.polling()
    server.client()
    ws = server.websocket(query="&sid=" + poller.params["sid"])
    ws.ws.send("2probe")
    assert ws.text() == "3probe"
    assert ws.closed()
    server.send("1")
    assert poller.poll() == ['42["news",1]']


def test_an_idle_websocket_outlives_the_time_outs_of_http(start, monkeypatch):
    monkeypatch.setattr(http, "SOCKET_SECONDS", 0.2)
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.2)
    server = start()
    ws = server.websocket()
    # Over three times the time-outs: did they hold here, it would be closed by now.
    time.sleep(0.7)
    server.send("1")
    assert ws.packet() == '42["news",1]'


def test_close_after_sends_and_closes(server):
    ws = server.websocket()
    client = server.client()
    server.call(server.transport.close_after, client, Frame.event("bye", "{}"))
    assert ws.packet() == '42["bye",{}]'
    assert ws.closed()
    assert server.handlers.wait("disconnect")[0][1:] == (client, "server disconnect")


def test_close_after_for_one_who_reads_nothing(server):
    server.websocket(sockopt=SMALL_BUFFER)
    client = server.client()
    while client.waiting == 0:
        server.send('"' + "x" * 100_000 + '"')
    begun = time.monotonic()
    server.call(server.transport.close_after, client, Frame.event("bye", "{}"))
    assert server.handlers.wait("disconnect")[0][1] is client
    assert time.monotonic() - begun < 1 + SLACK
    assert server.transport.clients == {}


@pytest.mark.parametrize("polls", [True, False])
def test_close_after_for_a_poller(server, polls):
    poller = server.polling()
    client = server.client()
    server.call(server.transport.close_after, client, Frame.event("bye", "{}"))
    if polls:
        assert poller.poll() == ['42["bye",{}]']
        assert poller.poll() == ["1"]
    server.handlers.wait("disconnect")
    assert poller.get().status_code == 400


def test_nothing_goes_in_or_out_after_close_after(server):
    ws = server.websocket()
    client = server.client()

    def end():
        server.transport.close_after(client, Frame.event("bye", "{}"))
        server.transport.send([client], Frame.event("late", "1"))
        server.transport.close_after(client, Frame.event("again", "1"))

    server.call(end)
    ws.emit("ask")
    assert ws.packet() == '42["bye",{}]'
    assert ws.closed()
    server.handlers.wait("disconnect")
    assert server.handlers.of("event") == []


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_close_is_done_when_it_returns(server, kind):
    transport_client = getattr(server, kind)()
    client = server.client()

    def close():
        begun = time.perf_counter()
        server.transport.close(client)
        return time.perf_counter() - begun, client.closed, dict(server.transport.clients)

    took, closed, left = server.call(close)
    assert (closed, left) == (True, {})
    assert took < 1
    assert server.handlers.wait("disconnect")[0][1:] == (client, "server disconnect")
    if kind == "websocket":
        assert transport_client.closed()
    else:
        assert transport_client.get().status_code == 400
        assert transport_client.post("40").status_code == 400


def test_close_drops_a_stuck_queue(server):
    ws = server.websocket(sockopt=SMALL_BUFFER)
    client = server.client()
    while client.waiting == 0:
        server.send('"' + "x" * 100_000 + '"')

    def close():
        begun = time.perf_counter()
        server.transport.close(client)
        return time.perf_counter() - begun

    assert server.call(close) < 1
    assert client.waiting == 0
    assert ws.closed()


def test_a_waiting_poll_ends_with_the_client(server):
    poller = server.polling()
    client = server.client()
    raw = server.raw()
    path = f"/socket.io/?EIO=4&transport=polling&sid={poller.params['sid']}"
    raw.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    while client._socket._ready is None:
        server.settle()
    server.call(server.transport.close, client)
    answer = b""
    while not answer.endswith(b"\r\n\r\n1"):
        answer += raw.recv(4096)


def test_closing_cuts_an_answer_that_nobody_reads(start):
    server = start(send_buffer=50_000_000)
    poller = server.polling()
    client = server.client()
    server.send('"' + "x" * 8_000_000 + '"')
    raw = server.raw(4096)
    path = f"/socket.io/?EIO=4&transport=polling&sid={poller.params['sid']}"
    raw.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    while client._socket._answering is None:
        server.settle()
    server.call(server.transport.close, client)
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := raw.recv(1 << 20):
            received += part
    assert len(received) < 8_000_000
