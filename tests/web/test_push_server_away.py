"""What asks the push server and waits says in one sentence why there is no answer."""

from __future__ import annotations

import io
import json
import socket
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.core.management import CommandError, call_command

from serverpush.client import presence
from serverpush.exceptions import InvalidMessage, PushServerAway
from serverpush.management.commands import serverpush_publish
from serverpush.web import presence as asking

MESSAGE = '{"to": "all", "data": 1}'


@pytest.fixture
def port(settings):
    """A port that is taken, where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        settings.SERVERPUSH_NOTIFIER_PORT = sock.getsockname()[1]
        yield sock


@contextmanager
def answering(settings, status, body):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        settings.SERVERPUSH_NOTIFIER_PORT = server.server_port
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class TestPresence:
    @pytest.mark.parametrize("channel", ["", "x" * 201, "a\nb", 7])
    def test_of_no_channel(self, channel):
        with pytest.raises(InvalidMessage, match="a channel"):
            presence(channel)

    def test_nobody_is_there(self, port):
        port.close()
        with pytest.raises(PushServerAway, match="refused"):
            presence("news")

    def test_nobody_answers(self, port, monkeypatch):
        monkeypatch.setattr(asking, "TIMEOUT", 0.2)
        with pytest.raises(PushServerAway, match="timed out"):
            presence("news")

    def test_it_is_refused(self, settings):
        error = json.dumps({"error": "the key is not right"}).encode()
        with answering(settings, 401, error), pytest.raises(PushServerAway) as caught:
            presence("news")
        assert str(caught.value).endswith("it answered 401 the key is not right")

    def test_somebody_else_answers(self, settings):
        with answering(settings, 200, b"<html>"), pytest.raises(PushServerAway):
            presence("news")


class TestCommand:
    def publish(self, *arguments):
        with pytest.raises(CommandError) as caught:
            call_command("serverpush_publish", *arguments)
        return str(caught.value)

    def test_nobody_is_there(self, port):
        port.close()
        assert "the push server can't be reached" in self.publish(MESSAGE)

    def test_nobody_answers(self, port, monkeypatch):
        monkeypatch.setattr(serverpush_publish, "TIMEOUT", 0.2)
        assert self.publish(MESSAGE) == (
            "the push server did not answer within 0.2 s: it may send it yet"
        )

    def test_what_is_too_deep_is_no_message(self):
        deep = sys.getrecursionlimit() * 20
        assert "not JSON" in self.publish("[" * deep + "]" * deep)

    def test_what_is_no_text_is_no_message(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8"))
        assert "not JSON" in self.publish()
