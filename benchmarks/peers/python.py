"""The peers that are written in Python: stock python-socketio, and Django Channels."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import installing
from benchmarks.peers import EVENT, HERE, TEMPLATE, Peer, Port, process
from benchmarks.processes import free_port
from tests.live.processes import wait_until


@contextmanager
def eventlet() -> Iterator[Peer]:
    with _stock("eventlet") as peer:
        yield peer


@contextmanager
def uvicorn() -> Iterator[Peer]:
    with _stock("uvicorn") as peer:
        yield peer


@contextmanager
def channels() -> Iterator[Peer]:
    with redis() as (port, _):
        environ = {**_environ(), "REDIS": f"redis://127.0.0.1:{port}"}
        command = [installing.python(), HERE / "channels_site.py"]
        with process(command, "ready ", **environ) as (pid, own):
            post = Port(int(own), "/publish").post
            url = f"ws://127.0.0.1:{own}/"
            yield Peer(
                "Channels on uvicorn, Redis layer", [pid], url, None, post, mark="{", ready=""
            )


@contextmanager
def turbo() -> Iterator[Peer]:
    """turbo-django, whose pages follow an author."""
    with redis() as (port, broker), tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "REDIS": f"redis://127.0.0.1:{port}",
            "DATABASE": f"{folder}/db.sqlite3",
            "TEMPLATE": TEMPLATE,
        }
        command = [installing.python(), HERE / "turbo_site.py"]
        with process(command, "ready ", **environ) as (pid, told):
            own, signed = told.split()
            yield Peer(
                "turbo-django on uvicorn, Redis layer",
                [pid, broker],
                f"ws://127.0.0.1:{own}/",
                None,
                Port(int(own), "/save").post,
                mark='{"signed',
                ready='{"ready',
                hello=json.dumps({"type": "subscribe", "signed_channel_name": signed}),
            )


@contextmanager
def redis() -> Iterator[tuple[int, int]]:
    """A Redis server; its port and its pid."""
    root = installing.debian()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib"
        running = subprocess.Popen(
            [root / "usr" / "bin" / "redis-server", "--port", str(port), "--save", ""],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
        )
        try:
            wait_until(lambda: _answers(port), "Redis answers", 20)
            yield port, running.pid
        finally:
            running.terminate()
            running.wait(20)


@contextmanager
def _stock(server: str) -> Iterator[Peer]:
    command = [installing.python(), HERE / "stock.py", server]
    with process(command, "ready ", **_environ()) as (pid, port):
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        post = Port(int(port), "/publish").post
        yield Peer(f"stock python-socketio on {server}", [pid], url, {}, post)


def _environ() -> dict[str, str]:
    return {**os.environ, "EVENT": json.dumps(EVENT)}


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
