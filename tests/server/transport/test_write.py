"""The direct write, and what waits when it can't be made."""

import json
import socket

import pytest

from serverpush.server.transport import Frame
from tests.server.transport.conftest import SMALL_BUFFER

BIG = json.dumps("x" * 100_000)


def pause(server):
    """A client that reads nothing, with all buffers full and something waiting."""
    ws = server.websocket(sockopt=SMALL_BUFFER)
    client = server.client(ws)
    while client.waiting == 0:
        server.send(BIG, name="fill")
    return ws, client


def events(ws, count, skip="fill"):
    found = []
    while len(found) < count:
        name, *args = json.loads(ws.packet()[2:])
        if name != skip:
            found.append(args[0])
    return found


def test_a_websocket_is_written_before_send_returns(server):
    ws = server.websocket()
    server.client()

    def send():
        server._send_all(Frame.event("news", "1"))
        ws.ws.sock.settimeout(5)
        return ws.packet()  # blocks the loop: only what send wrote itself can come

    assert server.call(send) == '42["news",1]'


def test_what_a_client_is_told_first_goes_with_its_acknowledgement(server):
    waiting = []

    def joined(client):
        server.transport.send([client], Frame.event("news", "1"))
        waiting.append(client.waiting)

    server.handlers.joined = joined
    ws = server.websocket()
    assert ws.packet() == '42["news",1]'
    client = server.client()
    assert waiting[0] > len(f'40{{"sid":"{client.id}"}}42["news",1]')
    assert client.waiting == 0
    server.send("2")
    assert ws.packet() == '42["news",2]'


def test_what_a_client_is_told_first_may_be_more_than_may_wait(start):
    server = start(send_buffer=300_000)
    text = json.dumps("x" * 3000)

    def joined(client):
        for _ in range(200):
            server.transport.send([client], Frame.event("news", text))

    server.handlers.joined = joined
    ws = server.websocket()
    assert all(ws.packet().startswith('42["news"') for _ in range(200))


def test_who_is_turned_out_at_once_hears_why(server):
    def joined(client):
        server.transport.close_after(client, Frame.event("news", "1"))

    server.handlers.joined = joined
    ws = server.websocket()
    assert ws.packet() == '42["news",1]'
    assert ws.closed()


def test_who_joins_while_the_server_fails_is_acknowledged(server):
    def joined(client):
        raise LookupError("a mistake")

    server.handlers.joined = joined
    ws = server.websocket()
    assert ws.sid
    server.settle()
    server.send("1")
    assert ws.packet() == '42["news",1]'


def test_nothing_is_written_past_a_queue(server):
    ws, client = pause(server)
    server.send(*map(str, range(50)))
    assert client.waiting > 50 * 10
    assert events(ws, 50) == list(range(50))
    server.send("50")
    assert events(ws, 1) == [50]
    assert client.waiting == 0


def test_packets_of_the_library_keep_the_order_too(server):
    server.handlers.event = lambda client, name, args: "answer"
    ws, _ = pause(server)
    server.send("1")
    ws.emit("ask", ack=7)
    server.handlers.wait("event")
    server.settle()
    server.send("2")
    seen = []
    while len(seen) < 3:
        packet = ws.packet()
        if "fill" not in packet:
            seen.append(packet)
    assert seen == ['42["news",1]', '437["answer"]', '42["news",2]']


def test_the_writer_exists_only_while_something_waits(server):
    ws, client = pause(server)
    channel = client._channel
    assert channel._writer is not None
    assert channel.send is None
    events(ws, 0)
    server.send("0")
    events(ws, 1)
    server.settle()
    assert channel._writer is None
    assert channel._queue is None
    assert channel.send is not None


def test_a_client_that_reads_nothing_is_closed_and_others_are_not(start):
    server = start(send_buffer=300_000)
    reader = server.websocket()
    reader_client = server.client(reader)
    _, slow = pause(server)
    most = 0
    for _ in range(20):
        server.send(BIG, name="fill")
        if slow.closed:
            break
        most = max(most, slow.waiting)
        json.loads(reader.packet()[2:])
    assert server.handlers.wait("disconnect")[0][1:] == (slow, "slow")
    assert most <= 300_000
    assert slow.waiting == 0
    assert reader_client.id in server.transport.clients
    assert slow.id not in server.transport.clients


def test_a_poller_that_does_not_poll_is_closed(start):
    server = start(send_buffer=1000)
    server.polling()
    client = server.client()
    server.send('"' + "x" * 600 + '"')
    assert client.waiting > 600
    server.send('"' + "x" * 600 + '"')
    assert server.handlers.wait("disconnect")[0][1:] == (client, "slow")


def test_one_poll_takes_all_that_waits_in_order(server):
    poller = server.polling()
    client = server.client()
    server.send("1", "2", "3")
    assert poller.poll() == [f'42["news",{n}]' for n in (1, 2, 3)]
    assert client.waiting == 0


def test_send_reaches_no_one_who_has_not_joined(server):
    ws = server.websocket(join=False)

    def connect(client, auth):
        server.transport.send([client], Frame.event("early", "1"))

    server.handlers.connect = connect
    ws.join()
    server.client()
    server.send("2")
    assert ws.packet() == '42["news",2]'


def test_send_goes_on_when_clients_are_gone(server):
    sockets = [server.websocket() for _ in range(5)]
    server.handlers.wait("joined", 5)
    clients = server.transport.clients
    last = server.client(sockets[4])

    def send():
        for client in clients.values():
            if client is not last:
                client._channel._sock.shutdown(socket.SHUT_RDWR)
        server.transport.send(clients.values(), Frame.event("news", "1"))

    server.call(send)
    assert sockets[4].packet() == '42["news",1]'
    server.handlers.wait("disconnect", 4)
    assert len(server.transport.clients) == 1


@pytest.mark.parametrize("when", ["before", "probing", "upgrading", "after"])
def test_an_upgrade_loses_and_reorders_nothing(server, when):
    poller = server.polling()
    server.client()
    server.send("1")
    if when == "before":
        server.send("2")
    ws = server.websocket(query="&sid=" + poller.params["sid"])
    if when == "probing":
        server.send("2")
    ws.ws.send("2probe")
    assert ws.text() == "3probe"
    assert poller.poll() == ["6"]
    if when == "upgrading":
        server.send("2")
    ws.ws.send("5")
    if when == "after":
        ws.emit("sync")
        server.handlers.wait("event")
        server.send("2")
    server.send("3")
    assert [ws.packet() for _ in range(3)] == [f'42["news",{n}]' for n in (1, 2, 3)]
    assert poller.get().status_code == 400


def test_a_waiting_poll_ends_when_the_upgrade_begins(server):
    poller = server.polling()
    client = server.client()
    raw = server.raw()
    path = f"/socket.io/?EIO=4&transport=polling&sid={poller.params['sid']}"
    raw.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    while client._socket._ready is None:
        server.settle()
    ws = server.websocket(query="&sid=" + poller.params["sid"])
    ws.ws.send("2probe")
    assert ws.text() == "3probe"
    answer = b""
    while not answer.endswith(b"\r\n\r\n6"):
        answer += raw.recv(4096)
    ws.ws.send("5")
    server.send("1")
    assert ws.packet() == '42["news",1]'


def test_an_upgrade_that_fails_leaves_the_client_polling(server):
    poller = server.polling()
    server.client()
    ws = server.websocket(query="&sid=" + poller.params["sid"])
    ws.ws.send("2probe")
    assert ws.text() == "3probe"
    server.send("1")
    ws.ws.send("4nonsense")
    assert ws.closed()
    server.send("2")
    assert poller.poll() == ['42["news",1]', '42["news",2]']
