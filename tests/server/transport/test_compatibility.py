"""python-socketio's own client."""

import pytest
import socketio


def test_websocket(server):
    server.handlers.event = lambda client, name, args: {"name": name, "args": args}
    with socketio.SimpleClient() as client:
        client.connect(f"http://127.0.0.1:{server.port}", auth={"a": 1}, transports=["websocket"])
        assert server.handlers.wait("connect")[0][2] == {"a": 1}
        assert client.sid == server.client().id
        server.send('{"x":1}')
        assert client.receive(timeout=5) == ["news", {"x": 1}]
        assert client.call("ask", {"q": 2}, timeout=5) == {"name": "ask", "args": [{"q": 2}]}
    assert server.handlers.wait("disconnect")[0][2] in ("client disconnect", "transport close")


def received(client, count):
    """What came; in no order, for this client has a thread for each event."""
    return sorted(client.receive(timeout=5)[1] for _ in range(count))


def test_polling_with_upgrade(server):
    with socketio.SimpleClient() as client:
        client.connect(f"http://127.0.0.1:{server.port}")
        server.client()
        server.send("1", "2", "3")
        assert received(client, 3) == [1, 2, 3]
        assert client.client.transport() == "websocket"


def test_polling_only(server):
    with socketio.SimpleClient() as client:
        client.connect(f"http://127.0.0.1:{server.port}", transports=["polling"])
        server.client()
        server.send("1", "2", "3")
        assert received(client, 3) == [1, 2, 3]
        assert client.call("ask", timeout=5) is None


def test_refusal(server, refused):
    def refuse(client, auth):
        raise refused("bad_token", "this token is bad")

    server.handlers.connect = refuse
    client = socketio.Client()
    errors = []
    client.on("connect_error", errors.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(f"http://127.0.0.1:{server.port}", retry=False)
    assert errors == [
        {
            "message": "this token is bad",
            "data": {"code": "bad_token", "message": "this token is bad"},
        }
    ]
    assert server.handlers.of("joined") == []
