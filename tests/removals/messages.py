"""Checks of what comes in and goes out, taken out."""

from __future__ import annotations

import importlib
import json
import logging
import ssl
import traceback
from types import SimpleNamespace

import engineio
from django.db.backends.base.base import BaseDatabaseWrapper

from serverpush.remote import tls
from serverpush.server import origins
from serverpush.server.transport import (
    connection,
    cors,
    engine,
    frames,
    http,
    inbound,
    loop,
    notices,
    server,
)
from tests.removals.connections import nothing

Inbound, Transport = inbound.Inbound, server.Transport

# What comes in


def count_each_fragment_alone():
    join = Inbound._join

    def forgetful(self, *args):
        try:
            return join(self, *args)
        finally:
            self._size = 0

    Inbound._join = forgetful


def look_at_the_size_when_it_is_here():
    start = Inbound.__init__
    Inbound.__init__ = lambda self, limit, **options: start(self, 1 << 62, **options)


def keep_empty_fragments():
    join = Inbound._join

    def keeping(self, opcode, payload, final):
        if not final and not payload:
            self._fragments = [*(self._fragments or ()), payload]
            return inbound.Incoming(opcode, None, b"")
        return join(self, opcode, payload, final)

    Inbound._join = keeping


def take_binary_frames():
    check = Inbound._check_header

    def lax(self, first, second, opcode, final):
        check(self, first, second, 1 if opcode == 2 else opcode, final)

    Inbound._check_header = lax


def keep_attachments():
    handle = engine.SocketIO._handle_eio_message

    def collecting(self, eio_sid, data):
        if data[:1] in ("5", "6"):
            self._binary_packet[eio_sid] = self.packet_class(encoded_packet=data)
        else:
            handle(self, eio_sid, data)

    engine.SocketIO._handle_eio_message = collecting


def read_chunked_bodies():
    http.Protocol.parse_request = http.wsgi.HttpProtocol.parse_request


def read_what_is_left():
    http.Input.discard = http.wsgi.Input.discard


# Whose page it is


def let_a_missing_origin_pass():
    allowed = cors.Cors._allowed
    cors.Cors._allowed = lambda self, environ: (
        "HTTP_ORIGIN" not in environ or allowed(self, environ)
    )


def let_cookies_without_origin_pass():
    origins.parse_cookie = lambda header: {}


def believe_forwarded_hosts():
    allowed = cors.Cors._allowed
    stock = engineio.Server(async_mode="threading")

    def believing(self, environ):
        return environ.get("HTTP_ORIGIN") in stock._cors_allowed_origins(environ) or allowed(
            self, environ
        )

    cors.Cors._allowed = believing


def check_polling_only():
    allowed = cors.Cors._allowed
    cors.Cors._allowed = lambda self, environ: "HTTP_UPGRADE" in environ or allowed(self, environ)


def check_the_first_request_only():
    allowed = cors.Cors._allowed
    cors.Cors._allowed = lambda self, environ: (
        "sid=" in environ["QUERY_STRING"] or allowed(self, environ)
    )


def serve_jsonp():
    Transport._serve = lambda self, environ, start_response: self._engine.handle_request(
        environ, start_response
    )


# What goes out and what is logged


def send_nan():
    frames.to_json = lambda value: json.dumps(value, separators=(",", ":"))


def render_nan():
    # By name: the renderer's modules want Django to be set up.
    payloads = importlib.import_module("serverpush.renderer.payloads")
    dumps = json.dumps
    payloads.json = SimpleNamespace(
        dumps=lambda value, allow_nan, **options: dumps(value, **options), loads=json.loads
    )


def log_every_time():
    notices.SECONDS = 0


def let_bad_packets_raise():
    def raising(self, text):
        packet = self.server.owner._socketio.packet_class
        try:
            packet(encoded_packet=text[1:])
        except (ValueError, RecursionError):
            traceback.print_exc()
        else:
            take(self, text)

    take, connection.Connection.take = connection.Connection.take, raising


def log_as_the_libraries_do():
    def logger():
        loud = logging.getLogger("engineio.server")
        loud.setLevel(logging.DEBUG)
        return loud

    engine.quiet_logger = logger


def lose_our_own_mistakes():
    loop.FAILURES = ()


# The HTTP server


def end_at_a_failed_accept():
    http.Acceptor.accept = lambda self: self._sock.accept()


def accept_as_many_as_the_default():
    real = http.greenpool.GreenPool
    http.greenpool = SimpleNamespace(GreenPool=lambda size: real(1024))


# Django


def save_sessions():
    # By name: Django has to be set up first.
    importlib.import_module("serverpush.renderer.worker").replace_session_store = nothing


def report_like_any_callback():
    on_commit = BaseDatabaseWrapper.on_commit
    BaseDatabaseWrapper.on_commit = lambda self, function, robust=False: on_commit(self, function)


def report_signals_only():
    importlib.import_module("serverpush.web.changes")._pinged = lambda *arguments: ()


# The Python client


def read_while_writing():
    tls.SharedSocket = ssl.SSLSocket
