"""The HTTP server under the transport and the notifier."""

import socket
import time

import pytest
import requests

from serverpush.server.transport import http, loop
from tests.server.transport import conftest


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode(), b" ", body]


def read_all(sock):
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ConnectionError:
        pass
    return data


def test_the_fallback_gets_the_rest(start):
    server = start(echo)
    root = f"http://127.0.0.1:{server.port}"
    with requests.Session() as session:
        assert session.get(f"{root}/a").text == "/a "
        assert session.post(f"{root}/b", data="body").text == "/b body"


def test_without_a_fallback_404(server):
    assert requests.get(f"http://127.0.0.1:{server.port}/").status_code == 404


def test_an_application_that_raises_is_one_record_and_a_bare_500(start):
    def fail(environ, start_response):
        raise ValueError("secret of the application")

    server = start(fail)
    answer = requests.get(f"http://127.0.0.1:{server.port}/x?token=secret")
    assert (answer.status_code, answer.text) == (500, "")
    (record,) = server.log.records
    assert record.getMessage() == "GET '/x' failed"
    assert record.exc_info[0] is ValueError


def is_cut(sock, drop):
    """Send a drop every tenth of a second until the server closes."""
    sock.settimeout(0.1)
    until = time.monotonic() + conftest.WAIT
    while time.monotonic() < until:
        try:
            sock.sendall(drop)
            if sock.recv(4096) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_headers_that_drip_are_cut(monkeypatch, start, capfd):
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.4)
    server = start(echo)
    sock = server.raw()
    sock.sendall(b"GET / HTTP/1.1\r\n")
    assert is_cut(sock, b"X: y\r\n")
    server.settle()
    assert server.log.text == ""
    assert capfd.readouterr() == ("", "")


def test_a_body_that_drips_is_cut(monkeypatch, start):
    monkeypatch.setattr(http, "BODY_SECONDS", 0.4)
    server = start(echo)
    sock = server.raw()
    sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    assert is_cut(sock, b"x")


def test_accepting_takes_turns(server, monkeypatch):
    count, turns, waiting = 200, [], []

    class Noting(http.Acceptor):
        def accept(self):
            connection = super().accept()
            waiting.append(connection)
            turns.append(tick[0])
            return connection

    def main():
        sock = loop.listen("127.0.0.1", 0)
        clients = []
        for _ in range(count):  # the kernel takes them; nobody else has a turn meanwhile
            client = socket.socket()
            client.connect(sock.getsockname())
            clients.append(client)
        monkeypatch.setattr(http, "Acceptor", Noting)
        running = loop.serve(sock, echo, max_connections=count, log=server.logger)
        while len(turns) < count:
            tick[0] += 1
            loop.sleep(0)
        running.stop()
        for each in clients:
            each.close()

    tick = [0]
    server.call(main)
    assert max(turns.count(turn) for turn in turns) <= 64


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"\r\nX: ".join([b"x" * 4000] * 50) + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n01",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["url", "line", "headers", "chunked", "negative", "underscore", "twice", "tls"],
)
def test_bad_requests_are_refused_and_closed(start, head, capfd):
    server = start(echo)
    sock = server.raw()
    sock.sendall(head)
    answer = read_all(sock)
    assert answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4")) or answer == b""
    assert b" 200 " not in answer
    assert server.log.text == ""
    assert capfd.readouterr() == ("", "")


def test_a_body_that_nobody_reads_is_not_read_on(start):
    def ignore(environ, start_response):
        start_response("403 Forbidden", [("Content-Length", "0")])
        return [b""]

    server = start(ignore)
    sock = server.raw()
    sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
    sent = 0
    try:
        while sent < 50_000_000:
            sent += sock.send(b"x" * 65536)
    except ConnectionError:
        return
    pytest.fail("the server read 50 MB")


def test_pipelined_requests_take_turns(start):
    turns = []
    ticks = [0]

    def app(environ, start_response):
        turns.append(ticks[0])
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = start(app)

    def tick():
        while len(turns) < 50:
            ticks[0] += 1
            loop.sleep(0)

    server.call(loop.spawn, tick)
    sock = server.raw()
    last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 49 + last)
    read_all(sock)
    assert len(turns) == 50
    assert len(set(turns)) == 50


def test_more_than_1024_connections(start, monkeypatch):
    monkeypatch.setattr(http, "HEADER_SECONDS", 60)
    server = start(echo)
    socks = []
    try:
        for _ in range(1100):
            sock = server.raw()
            sock.sendall(b"GET /held HTTP/1.1\r\n")
            socks.append(sock)
        assert requests.get(f"http://127.0.0.1:{server.port}/", timeout=conftest.WAIT).ok
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("error", [24, 103, 104, 32])
def test_a_failed_accept_does_not_end_the_server(start, monkeypatch, error):
    from eventlet import greenio

    server = start(echo)
    real, failed = greenio.GreenSocket.accept, []

    def accept(self):
        if not failed:
            failed.append(1)
            raise OSError(error, "made up")
        return real(self)

    monkeypatch.setattr(greenio.GreenSocket, "accept", accept)
    url = f"http://127.0.0.1:{server.port}/"
    assert requests.get(url, timeout=10).status_code == 200  # accepted before the patch
    assert requests.get(url, timeout=10).status_code == 200
    assert failed


def test_connections_have_no_nagle_delay(start):
    found = []

    def app(environ, start_response):
        sock = environ["eventlet.input"].get_socket()
        found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = start(app)
    requests.get(f"http://127.0.0.1:{server.port}/", timeout=10)
    assert found[0] != 0


def test_stop_ends_requests_that_hang(start):
    entered = []

    def hang(environ, start_response):
        entered.append(1)
        loop.sleep(60)
        return [b""]

    server = start(hang)
    sock = server.raw()
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    while not entered:
        server.settle()
    server.call(server.server.stop, 0)
    assert read_all(sock) == b""
    with pytest.raises(ConnectionRefusedError):
        server.raw()


def test_one_that_is_not_open_goes_on_with_whom_it_has_and_leaves_others_to_others(server):
    page = server.polling()
    server.transport.is_open = lambda: False
    asked = {"EIO": "4", "transport": "polling"}
    for params in (asked, {**asked, "sid": "of-another-server"}):
        for method in ("GET", "POST"):
            assert requests.request(method, server.url, params=params).status_code == 503
    server.send('"news"')
    assert page.poll() == ['42["news","news"]']
