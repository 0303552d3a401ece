"""Why a client's connection ended: what ``on_disconnect`` is told, and nothing else."""

from typing import Literal

Reason = Literal[
    "client disconnect",
    "transport close",
    "ping timeout",
    "server disconnect",
    "server shutdown",
    "slow",
    "flood",
    "bad packet",
    "never joined",
]

REASONS: dict[Reason, str] = {
    "client disconnect": "the client said goodbye",
    "transport close": "its connection broke, or was closed without a word",
    "ping timeout": "it did not answer a ping",
    "server disconnect": "the push server ended it",
    "server shutdown": "the push server stopped",
    "slow": "it did not read, and too much was waiting for it",
    "flood": "it sent too many packets",
    "bad packet": "it sent what no client may send",
    "never joined": "it opened a transport and did not go on",
}
