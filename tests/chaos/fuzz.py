"""Inputs by chance, from a seed: mutations of the corpus, given to the code that reads them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.core import signing

from serverpush import labels, tokens
from serverpush.conf import config
from serverpush.exceptions import BadToken
from serverpush.protocol import Page
from serverpush.results import ResolveResult
from serverpush.server.app import Addresses, PushServer
from serverpush.server.transport import loop
from serverpush.server.transport.inbound import Inbound
from serverpush.server.transport.protocol_error import ProtocolError
from serverpush.server.transport.sockets import EngineSocket
from serverpush.server.transport.websocket import Channel
from tests.chaos import corpus

OPCODES = (0, 1, 1, 1, 1, 2, 3, 8, 9, 10, 11, 15)
BATCH = 200


class Mutator:
    """Makes inputs out of known ones; the same from the same seed."""

    def __init__(self, seed: int, **words: str) -> None:
        self.random = random.Random(seed)
        self._words = words

    def known(self, texts: list[str]) -> bytes:
        """One of the corpus, with TOKEN and the like filled in."""
        text = self.random.choice(texts)
        for word, value in self._words.items():
            text = text.replace(word, value)
        return text.encode("utf-8", "surrogatepass")

    def input(self, texts: list[str]) -> bytes:
        """A known input with up to four mistakes, and rarely nothing but mistakes."""
        chance = self.random
        if chance.random() < 0.03:
            return chance.randbytes(chance.randrange(300))
        data = bytearray(self.known(texts))
        for _ in range(chance.choice([0, 1, 1, 2, 4])):
            self._spoil(data, texts)
        return bytes(data)

    def text(self, texts: list[str]) -> str:
        return self.input(texts).decode("utf-8", self.random.choice(["replace", "surrogateescape"]))

    def _spoil(self, data: bytearray, texts: list[str]) -> None:
        chance = self.random
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([0, 1, 1, 2, 8, 64]))
        kind = chance.randrange(6)
        if kind == 0:
            data[start:end] = chance.choice(corpus.PIECES)
        elif kind == 1:
            data[start:end] = b""
        elif kind == 2:
            data[start:start] = data[start:end] * chance.choice([1, 2, 50])
        elif kind == 3:
            data[start:end] = chance.randbytes(end - start)
        elif kind == 4:
            del data[start:]
        else:
            other = self.known(texts)
            data[start:] = other[chance.randrange(len(other) + 1) :]

    def frame(self, texts: list[str]) -> bytes:
        """A WebSocket frame, mostly of a client that knows how to write one (RFC 6455, 5.2)."""
        chance, payload = self.random, self.input(texts)
        if chance.random() < 0.8:
            first, mask = 0x81, chance.randbytes(4)
        else:
            first = chance.choice(OPCODES) | chance.choice((0, 0x80)) | chance.choice((0, 0, 0x40))
            mask = chance.choice((b"", b"\0\0\0\0", chance.randbytes(4)))
        size = len(payload)
        if chance.random() < 0.05:
            size = chance.choice([0, 1, 125, 126, 65535, 65536, 1 << 20, 1 << 62, (1 << 64) - 1])
        bit = 0x80 if mask else 0
        if size < 126:
            head = struct.pack("!BB", first, bit | size)
        elif size < 65536:
            head = struct.pack("!BBH", first, bit | 126, size)
        else:
            head = struct.pack("!BBQ", first, bit | 127, size)
        key = (mask or b"\0") * (len(payload) // 4 + 4)
        return head + mask + bytes(a ^ b for a, b in zip(payload, key, strict=False))


# Each takes an input and raises what it must not.


def tokens_target(mutator: Mutator) -> Callable[[], None]:
    """Tokens of each use; ``BadToken`` is the one answer to what is not ours."""

    def target() -> None:
        token = mutator.text(corpus.TOKENS)
        for verify in (tokens.verify_page, tokens.verify_user, tokens.verify_topic):
            with contextlib.suppress(BadToken):
                verify(token)

    return target


def parser_target(mutator: Mutator) -> Callable[[], None]:
    """Frames, some at a time and cut anywhere, for the parser."""

    def target() -> None:
        chance = mutator.random
        wire = b"".join(mutator.frame(corpus.PACKETS) for _ in range(chance.randrange(1, 4)))
        cut = chance.randrange(len(wire) + 1)
        inbound = Inbound(16384, deflates=chance.random() < 0.5)
        try:
            for part in (wire[:cut], wire[cut:]):
                inbound.feed(part)
                while inbound.next() is not None:
                    pass
        except ProtocolError:
            pass

    return target


def notifier_target(mutator: Mutator, server: PushServer) -> Callable[[], None]:
    """Calls of the notifier's WSGI application; every status is one that it documents."""
    chance = mutator.random
    paths = ["/notify"] * 20 + ["/publish"] * 20 + ["/disconnect"] * 10
    paths += ["/presence", "/health", "/metrics", "/\xff"]
    key = "Bearer " + tokens.notifier_key()

    def target() -> None:
        body = mutator.input(corpus.BODIES)
        environ = {
            "REQUEST_METHOD": "POST" if chance.random() < 0.97 else chance.choice(["GET", "X"]),
            "PATH_INFO": chance.choice(paths),
            "QUERY_STRING": mutator.text(["", "channel=news", "channel=%ff&channel="]),
            "CONTENT_LENGTH": str(chance.choice([len(body)] * 30 + [0, 5, 1 << 40])),
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": key if chance.random() < 0.98 else mutator.text([key]),
            "wsgi.input": io.BytesIO(body),
        }
        if chance.random() < 0.01:
            del environ["CONTENT_LENGTH"]
        answered: list[str] = []
        list(server.parts.notifier(environ, lambda status, headers: answered.append(status)))
        assert answered[0][:3] in ("200", "202", "400", "401", "404", "405", "413", "503"), answered

    return target


class Inputs:
    """The transport's own side of connections, given packets without a network between."""

    def __init__(self, mutator: Mutator, server: PushServer) -> None:
        self._mutator = mutator
        self._server = server
        self._kept: EngineSocket | None = None
        self._other: socket.socket | None = None

    def __call__(self) -> None:
        """One frame for a connection; a new one where the last was closed."""
        if self._kept is None or self._kept.closed:
            self._connect()
        assert self._kept is not None
        channel = self._kept.channel
        assert channel is not None
        texts = corpus.PACKETS if self._kept.asked else corpus.JOINS
        channel._inbound.feed(self._mutator.frame(texts))
        channel._deliver()

    def _connect(self) -> None:
        self.close()
        engine = self._server.parts.transport._engine
        sid = engine.generate_id()
        self._kept = engine.sockets[sid] = EngineSocket(engine, sid, {"REMOTE_ADDR": "127.0.0.1"})
        ours, self._other = socket.socketpair()
        ours.setblocking(False)
        limits = engine.limits
        deflates = self._mutator.random.random() < 0.5
        self._kept.channel = Channel(
            ours, self._kept, limits.max_message, limits.send_buffer, deflates=deflates
        )
        self._kept.connected = self._kept.upgraded = True
        if self._mutator.random.random() < 0.5:
            self._kept.take("40" + self._mutator.known(['{"page":"TOKEN"}']).decode())
            loop.sleep(0)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.end("transport close")
        if self._other is not None:
            self._other.close()


class Ledger(logging.Handler):
    """Counts what is logged; a traceback or an error is what must not be."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.bytes = 0
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self.bytes += len(text.encode()) + 1
        if record.levelno >= logging.ERROR or record.exc_info:
            self.errors.append(text)


SHARES = {"frames": 0.3, "parser": 0.15, "bodies": 0.25, "tokens": 0.3}


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def run(seed: int, count: int) -> dict[str, Any]:
    """Give all targets ``count`` inputs in all; what was seen meanwhile."""
    ledger = Ledger()
    logging.getLogger("serverpush").addHandler(ledger)
    logging.getLogger("serverpush").setLevel(logging.INFO)
    server = _server()
    words = known_words(tokens.sign_page(PAGE), tokens.notifier_key())
    mutator = Mutator(seed, **words)
    inputs = Inputs(mutator, server)
    targets: dict[str, Callable[[], None]] = {
        "frames": inputs,
        "parser": parser_target(mutator),
        "bodies": notifier_target(mutator, server),
        "tokens": tokens_target(mutator),
    }
    before, done = descriptors(), {}
    for name, target in targets.items():
        done[name] = int(count * SHARES[name])
        for number in range(done[name]):
            target()
            if number % BATCH == 0:
                loop.sleep(0)
    inputs.close()
    while server.parts.transport.clients:
        loop.sleep(0)
    seen = {
        "inputs": done,
        "left": len(server.parts.transport._engine.sockets),
        "descriptors": descriptors() - before,
        "log": ledger.bytes,
        "errors": ledger.errors[:5],
        "reached": {
            name: server.parts.telemetry.registry.get_sample_value(f"serverpush_{name}_total")
            for name in ("connects", "changes", "messages")
        },
    }
    server.parts.transport.stop()
    return seen


def known_words(page: str, key: str) -> dict[str, str]:
    """What stands in the corpus for something that is signed."""
    return {
        "TOKEN": page,
        "KEY": key,
        "USER": signing.dumps(["1", time.time()], salt=f"{config().salt}.user", compress=True),
        "CHANNEL": tokens.sign_topic("channel:news", "", ""),
    }


PAGE = Page(path="/", query="", host="127.0.0.1", secure=False, time=time.time())


def _server() -> PushServer:
    """A push server that listens nowhere and has no renderers."""
    server = PushServer(
        config=config(),
        addresses=Addresses("127.0.0.1", 0, "127.0.0.1", 0),
        models=labels.table(),
        state_file=lambda port: Path(os.devnull),
    )
    server._make("127.0.0.1:0")
    # The loop's own descriptor is there before they are counted.
    loop.sleep()
    server.parts.connections._admissions._resolve = lambda job: ResolveResult(
        None, "there are no renderers"
    )
    return server


def main() -> None:
    django.setup()
    print(json.dumps(loop.run(run, int(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
