"""What several test modules need: a captured outbox, and a stand-in for the push server."""

import json
import os
import queue
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serverpush.protocol import Change, Ending
from serverpush.web.outbox import outbox

# What the processes of tests leave behind is not for this user's own push servers.
os.environ["XDG_STATE_HOME"] = os.path.join(tempfile.gettempdir(), "serverpush-tests")


# What a test without a notifier reports, or making the database does, must not reach
# another test's.
outbox.put = lambda entry: None


@pytest.fixture(autouse=True)
def _something_goes_out(request, monkeypatch):
    if "start_notifier" in request.fixturenames:
        monkeypatch.delattr(outbox, "put")


@pytest.fixture
def reported(monkeypatch):
    """The changes that would have gone out, as ``(model, pk, action)``."""
    changes = []

    def put(entry):
        if isinstance(entry, Change):
            changes.append((entry.model, entry.pk, entry.action))

    monkeypatch.setattr(outbox, "put", put)
    return changes


@pytest.fixture
def ended(monkeypatch):
    """The ends of access that would have gone out."""
    endings = []

    def put(entry):
        if isinstance(entry, Ending):
            endings.append(entry)

    monkeypatch.setattr(outbox, "put", put)
    return endings


class NotifierStandIn:
    """A real HTTP server that takes batches, and answers as it is told to."""

    def __init__(self, port=0):
        self.batches = queue.Queue()
        self.connections = 0
        self.headers = []
        self.answers = []
        self.released = threading.Event()
        self.released.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._sockets = []
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _handler(self):
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                stand_in.connections += 1
                stand_in._sockets.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.headers.append(dict(self.headers))
                batch = {"path": self.path, "size": len(body), **json.loads(body)}
                stand_in.batches.put(batch)
                stand_in.released.wait(10)
                status, value = stand_in.answers.pop(0) if stand_in.answers else (202, {})
                if status == "hang up":
                    self.close_connection = True
                    return
                answer = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        return Handler

    def next_batch(self):
        try:
            return self.batches.get(timeout=5)
        except queue.Empty:
            raise AssertionError("no further batch arrived") from None

    def changes(self, count):
        """The next ``count`` changes, as ``(model, pk, action)``."""
        found = []
        while len(found) < count:
            for each in self.next_batch().get("changes", ()):
                found.append((each["model"], each["pk"], each["action"]))
        return found

    def close_connections(self):
        for sock in self._sockets:
            try:
                sock.shutdown(2)
            except OSError:
                continue
        self._sockets.clear()

    def stop(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self.close_connections()
        self._thread.join()


@pytest.fixture
def start_notifier(settings):
    """Start a stand-in on a port (0: any) and point the settings to it."""
    started = []

    def start(port=0):
        stand_in = NotifierStandIn(port)
        started.append(stand_in)
        settings.SERVERPUSH_NOTIFIER_PORT = stand_in.port
        return stand_in

    yield start
    for stand_in in started:
        stand_in.stop()


@pytest.fixture
def notifier(start_notifier):
    return start_notifier()


def pytest_addoption(parser):
    parser.addoption(
        "--full", action="store_true", help="run the fault tests of tests/chaos at full size"
    )
