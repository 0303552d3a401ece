"""Joining, leaving and the registry."""

import contextlib
import gc
import json
import sys
import threading
import time
import weakref
from typing import get_args

import pytest
import requests

from serverpush.server.transport import REASONS, Answer, Frame, Reason, loop
from tests.server.transport.test_inbound import masked


def test_the_order_of_calls(server):
    ws = server.websocket(auth={"page": "token"})
    ws.emit("one", 1)
    ws.emit("two")
    server.handlers.wait("event", 2)
    ws.ws.close()
    server.handlers.wait("disconnect")
    client = server.client()
    assert [call[0] for call in server.handlers.calls] == [
        "connect",
        "joined",
        "event",
        "event",
        "disconnect",
    ]
    assert all(call[1] is client for call in server.handlers.calls)
    assert ws.sid == client.id
    assert client.id != ws.open["sid"]


def test_a_handler_may_wait_and_others_go_on(server):
    gate = server.call(loop.Event)
    server.handlers.connect = lambda client, auth: auth and gate.wait()
    waiting = server.websocket(join=False)
    waiting.ws.send('40{"wait":1}')
    server.handlers.wait("connect")
    server.websocket()
    server.client()
    assert len(server.transport.clients) == 1
    server.call(gate.set)
    assert waiting.packet().startswith("40")


def test_pings_go_on_while_a_handler_waits(start):
    server = start(ping_interval=0.2, ping_timeout=0.2)
    gate = server.call(loop.Event)
    server.handlers.connect = lambda client, auth: gate.wait()
    ws = server.websocket(join=False)
    ws.ws.send("40")
    for _ in range(4):
        assert ws.text() == "2"
        ws.ws.send("3")
    server.call(gate.set)
    assert ws.packet().startswith("40")


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_who_leaves_while_its_handler_waits_leaves_nothing(server, kind):
    gate = server.call(loop.Event)
    server.handlers.connect = lambda client, auth: gate.wait()
    client = getattr(server, kind)(join=False)
    if kind == "websocket":
        client.ws.send("40")
        server.handlers.wait("connect")
        client.ws.sock.close()
    else:
        client.post("40")
        server.handlers.wait("connect")
        client.post("1")
    while server.transport._engine.sockets:
        server.settle()
    server.call(gate.set)
    server.settle()
    assert server.transport.clients == {}
    assert server.transport._admitted == set()
    assert [call[0] for call in server.handlers.calls] == ["connect"]


def test_closing_within_the_handler_leaves_nothing(server):
    server.handlers.connect = lambda client, auth: server.transport.close(client)
    ws = server.websocket(join=False)
    ws.ws.send("40")
    assert ws.closed()
    server.settle()
    assert server.transport.clients == {}
    assert server.transport._admitted == set()
    assert server.transport._engine.sockets == {}
    assert [call[0] for call in server.handlers.calls] == ["connect"]


def test_closing_within_on_joined_is_reported_once_after_it(server):
    def joined(client):
        server.transport.close(client)
        loop.sleep(0.01)

    server.handlers.joined = joined
    server.websocket(join=False).ws.send("40")
    server.handlers.wait("disconnect")
    server.settle()
    assert [call[0] for call in server.handlers.calls] == ["connect", "joined", "disconnect"]


def test_disconnect_comes_after_a_handler_that_waits(server):
    gate, order = server.call(loop.Event), []

    def event(client, name, args):
        gate.wait()
        order.append("event")

    server.handlers.event = event
    server.handlers.disconnect = lambda client, reason: order.append("disconnect")
    ws = server.websocket()
    ws.emit("a")
    ws.emit("b")
    server.handlers.wait("event")
    ws.ws.sock.close()
    while server.transport.clients:
        server.settle()
    server.call(gate.set)
    server.handlers.wait("disconnect")
    server.settle()
    assert order == ["event", "disconnect"]


def test_events_are_handled_in_their_order(server):
    order = []

    def event(client, name, args):
        loop.sleep(0.2 if name == "slow" else 0)
        order.append(name)

    server.handlers.event = event
    ws = server.websocket()
    names = (b"slow", b"fast", b"faster")
    ws.ws.sock.sendall(b"".join(masked(1, b'42["' + name + b'"]') for name in names))
    ws.emit("last", ack=1)
    assert ws.packet() == "431[]"
    assert order == ["slow", "fast", "faster", "last"]


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_who_was_ended_can_not_join_again(server, kind):
    client = getattr(server, kind)()
    server.call(server.transport.close, server.client())
    if kind == "websocket":
        with contextlib.suppress(ConnectionError):
            client.ws.send("40")
        assert client.closed()
    else:
        assert client.post("40").status_code == 400
    server.handlers.wait("disconnect")
    assert len(server.handlers.of("connect")) == 1


def test_a_refusal(server, refused):
    def refuse(client, auth):
        raise refused("token_expired", "this page is too old")

    server.handlers.connect = refuse
    ws = server.websocket(join=False)
    ws.ws.send("40")
    assert json.loads(ws.packet()[2:]) == {
        "message": "this page is too old",
        "data": {"code": "token_expired", "message": "this page is too old"},
    }
    assert server.transport.clients == {}
    assert server.transport._admitted == set()
    assert server.handlers.of("disconnect") == []


def test_a_handler_that_fails_harms_nobody_else(server):
    other = server.websocket()

    def fail(*args):
        raise RuntimeError("broken")

    server.handlers.connect = fail
    ws = server.websocket(join=False)
    ws.ws.send("40")
    assert json.loads(ws.packet()[2:])["data"]["code"] == "server_error"
    server.handlers.event = fail
    other.emit("ask", ack=1)
    assert other.packet() == '431[{"error":"the server failed","code":"server_error"}]'
    server.handlers.event = lambda client, name, args: 1
    other.emit("ask", ack=2)
    assert other.packet() == "432[1]"


def test_events_are_acknowledged(server, refused):
    def event(client, name, args):
        if name == "no":
            raise refused("bad_token", "not yours")
        return args

    server.handlers.event = event
    ws = server.websocket()
    ws.emit("yes", 1, {"a": None}, ack=10)
    assert ws.packet() == '4310[[1,{"a":null}]]'
    ws.emit("no", ack=11)
    assert ws.packet() == '4311[{"error":"not yours","code":"bad_token"}]'


def test_what_is_to_follow_an_acknowledgement_does(server):
    def event(client, name, args):
        send = lambda: server.transport.send([client], Frame.event("next", "1"))  # noqa: E731
        return Answer("first", send)

    server.handlers.event = event
    ws = server.websocket()
    ws.emit("ask", ack=1)
    assert [ws.packet(), ws.packet()] == ['431["first"]', '42["next",1]']
    ws.emit("ask")
    assert ws.packet() == '42["next",1]', "whoever wants no acknowledgement"


def test_no_more_than_may_join(start):
    server = start(max_connections=2)
    first = server.websocket()
    server.polling()
    server.handlers.wait("joined", 2)
    ws = server.websocket(join=False)
    ws.ws.send("40")
    assert json.loads(ws.packet()[2:])["data"]["code"] == "too_many_connections"
    ((_, _, code),) = server.handlers.wait("refused")
    assert code == "too_many_connections"
    first.ws.close()
    server.handlers.wait("disconnect")
    server.websocket()
    server.handlers.wait("joined", 3)
    assert len(server.transport.clients) == 2


def test_those_who_join_just_now_are_counted(start):
    server = start(max_connections=1)
    gate = server.call(loop.Event)
    server.handlers.connect = lambda client, auth: gate.wait()
    first, second = server.websocket(join=False), server.websocket(join=False)
    first.ws.send("40")
    server.handlers.wait("connect")
    second.ws.send("40")
    assert json.loads(second.packet()[2:])["data"]["code"] == "too_many_connections"
    server.call(gate.set)
    assert first.packet().startswith("40")


def test_transports_that_do_not_join_are_counted(start):
    server = start(max_connections=1)
    for _ in range(server.limits.max_transports):
        server.websocket(join=False)
    answer = requests.get(server.url, params={"EIO": "4", "transport": "polling"}, timeout=10)
    assert answer.status_code == 503


def test_disconnecting_one_of_many_is_no_walk(server):
    """20,000 others in the registry: the cost of one disconnect must not grow with them."""
    transport = server.transport

    def measure():
        environ = {"REMOTE_ADDR": "127.0.0.1"}
        from serverpush.server.transport.sockets import EngineSocket

        def fill(count):
            for _ in range(count):
                sid = transport._engine.generate_id()
                socket = transport._engine.sockets[sid] = EngineSocket(
                    transport._engine, sid, environ
                )
                transport._admitted.add(socket)
                transport._clients[socket.client.id] = socket.client
                socket.client._joined = True

        def steps():
            """Lines of Python that one close takes: exact, whatever the machine does."""
            count = [0]

            def trace(frame, event, argument):
                count[0] += event == "line"
                return trace

            client = next(iter(transport.clients.values()))
            gc.disable()  # its callbacks would be counted
            sys.settrace(trace)
            try:
                transport.close(client)
            finally:
                sys.settrace(None)
                gc.enable()
            return count[0]

        def cost():
            client = next(iter(transport.clients.values()))
            begun = time.thread_time()
            transport.close(client)
            return time.thread_time() - begun

        fill(10)
        few = steps()
        fill(20_000)
        return few, steps(), min(cost() for _ in range(50))

    few, many, seconds = server.call(measure)
    assert few > 10
    assert many == few
    assert seconds < 0.002  # socketio's own walk over its rooms takes 4.6 ms


def test_the_request_is_let_go_after_the_upgrade(start):
    """No environ, no read buffer, no HTTP handler, no green thread for an idle WebSocket."""
    environs = []

    def remember(environ):
        class Mark:
            pass

        environ["mark"] = mark = Mark()
        environs.append(weakref.ref(mark))
        environs.append(weakref.ref(environ["wsgi.input"]))
        return True

    server = start()
    server.handlers.origin = remember
    ws = server.websocket()
    server.client()
    server.settle()
    gc.collect()
    assert [reference() for reference in environs] == [None, None]
    server.send("1")
    assert ws.packet() == '42["news",1]'


def test_an_idle_websocket_has_no_green_thread(server):
    from greenlet import greenlet

    def count():
        gc.collect()
        return sum(1 for o in gc.get_objects() if issubclass(type(o), greenlet) and not o.dead)

    before = server.call(count)
    for _ in range(20):
        server.websocket()
    server.handlers.wait("joined", 20)
    server.settle()
    assert server.call(count) <= before + 1


def test_stop_closes_all_and_ends_every_green_thread(start):
    from greenlet import greenlet

    def green():
        gc.collect()
        return {
            id(o) for o in gc.get_objects() if issubclass(type(o), greenlet) and o and not o.dead
        }

    server = start()
    before = server.call(green)
    gate = server.call(loop.Event)
    clients = [server.websocket(), server.websocket(join=False)]
    poller = server.polling()
    server.handlers.wait("joined", 2)
    server.handlers.event = lambda client, name, args: gate.wait()
    clients[0].emit("hang")
    server.handlers.wait("event")
    server.call(server.transport.stop)
    assert all(ws.closed() for ws in clients)
    assert server.transport.clients == {}
    assert server.transport._engine.sockets == {}
    assert [call[2] for call in server.handlers.of("disconnect")] == ["server shutdown"] * 2
    poller.http.close()
    query = {"EIO": "4", "transport": "polling"}
    assert requests.get(server.url, params=query, timeout=10).status_code == 503
    assert server.transport._tasks == set()
    assert server.transport.wheel._task is None
    for _ in range(500):  # those of the HTTP connections end when the clients' close comes
        if len(server.call(green)) <= len(before):
            break
    else:
        pytest.fail("green threads are left")


def test_stop_waits_for_on_disconnect(start):
    server = start()
    seen = threading.Event()

    def disconnect(client, reason):
        loop.sleep(0.05)
        seen.set()

    server.handlers.disconnect = disconnect
    server.websocket()
    server.client()
    server.call(server.transport.stop)
    assert seen.is_set()


def test_two_transports_do_not_know_each_other(start):
    one, two = start(), start()
    first, second = one.websocket(), two.websocket()
    one.client()
    two.client()
    one.send("1")
    two.send("2")
    assert first.packet() == '42["news",1]'
    assert second.packet() == '42["news",2]'


def test_leaving_by_a_disconnect_packet(server):
    ws = server.websocket()
    ws.ws.send("41")
    assert ws.closed()
    assert server.handlers.wait("disconnect")[0][2] == "client disconnect"


def test_the_libraries_are_quiet(server, capfd, caplog):
    with caplog.at_level(1):
        ws = server.websocket(auth={"user": "s3cret"})
        ws.emit("event", "s3cret")
        server.handlers.wait("event")
        server.send('"s3cret"')
        ws.packet()
        requests.get(server.url, params={"EIO": "3"}, timeout=10)
        requests.get(server.url, params={"EIO": "4", "sid": "none"}, timeout=10)
        requests.put(server.url, timeout=10)
    names = {record.name for record in caplog.records}
    assert not {name for name in names if name.startswith(("engineio", "socketio"))}
    assert "s3cret" not in server.log.text
    assert capfd.readouterr() == ("", "")


def test_the_reasons_are_a_closed_set():
    assert set(REASONS) == set(get_args(Reason))
