"""The only importer of eventlet, engineio and socketio: hardened sockets and the direct write."""

from serverpush.server.transport import libraries  # isort: skip  # first: it quiets eventlet
from serverpush.server.transport import loop
from serverpush.server.transport.client import Client, Handshake
from serverpush.server.transport.frames import Frame
from serverpush.server.transport.limits import Limits
from serverpush.server.transport.reasons import REASONS, Reason
from serverpush.server.transport.refused import Refused
from serverpush.server.transport.server import Answer, Transport

__all__ = [
    "REASONS",
    "Answer",
    "Client",
    "Frame",
    "Handshake",
    "Limits",
    "Reason",
    "Refused",
    "Transport",
    "libraries",
    "loop",
]
