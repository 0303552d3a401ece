"""TLS sockets that one thread reads and another writes."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from serverpush.remote import tls
from tests.deploy.proxies import HOST, Certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def connected(certificate):
    """A client's socket, and the server's other end."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.path, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ends = []

        def accept():
            ends.append(server.wrap_socket(listening.accept()[0], server_side=True))

        accepting = threading.Thread(target=accept)
        accepting.start()
        plain = socket.create_connection(listening.getsockname(), timeout=10)
        context = tls.shared_context(str(certificate.path))
        with context.wrap_socket(plain, server_hostname=HOST) as client:
            accepting.join()
            with ends[0] as other:
                other.settimeout(10)
                yield client, other


class Calls:
    """Counts the threads that are within reading or writing."""

    def __init__(self):
        self.lock = threading.Lock()
        self.within = self.most = 0
        self.begun = threading.Event()

    @contextmanager
    def one(self):
        with self.lock:
            self.within += 1
            self.most = max(self.most, self.within)
        self.begun.set()
        try:
            yield
        finally:
            with self.lock:
                self.within -= 1

    def count(self, call):
        def counted(*arguments):
            with self.one():
                return call(*arguments)

        return counted


def test_no_two_threads_are_within_openssl_at_a_time(connected, monkeypatch):
    client, other = connected
    calls = Calls()
    for name in ("recv", "send"):
        monkeypatch.setattr(ssl.SSLSocket, name, calls.count(getattr(ssl.SSLSocket, name)))
    received = []

    def read():
        # Where two are within at a time it may never come: that is what is told below.
        with suppress(OSError):
            received.append(client.recv(100))

    reading = threading.Thread(target=read)
    reading.start()
    assert calls.begun.wait(10)
    assert client.send(b"asked") == 5
    monkeypatch.undo()
    assert other.recv(100) == b"asked"
    other.sendall(b"answered")
    reading.join(10)
    assert received == [b"answered"]
    assert calls.most == 1


def test_who_waits_for_one_that_is_closed_waits_no_longer(connected, monkeypatch):
    client, _ = connected
    client.settimeout(2)
    select = tls.Selector.select

    def closed_before(selector, timeout=None):
        client.close()
        return select(selector, timeout)

    monkeypatch.setattr(tls.Selector, "select", closed_before)
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.recv(100)


def test_much_passes_both_ways_at_once(connected):
    client, other = connected
    sent = bytes(range(256)) * 8192

    def write():
        view = memoryview(sent)
        while view:
            view = view[client.send(view) :]

    def echo():
        left = len(sent)
        while left:
            piece = other.recv(65536)
            left -= len(piece)
            other.sendall(piece)

    threads = [threading.Thread(target=each) for each in (write, echo)]
    for each in threads:
        each.start()
    received = bytearray()
    while len(received) < len(sent):
        piece = client.recv(65536)
        assert piece
        received += piece
    for each in threads:
        each.join(10)
    assert received == sent


def test_the_socket_s_time_out_holds_and_stays(connected):
    client, other = connected
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert client.gettimeout() == 0.05
    other.sendall(b"x")
    client.settimeout(10)
    assert client.recv(1) == b"x"


def test_the_end_is_the_end(connected):
    client, other = connected
    other.shutdown(socket.SHUT_RDWR)
    assert client.recv(1) == b""


def test_servers_are_verified():
    context = tls.shared_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
