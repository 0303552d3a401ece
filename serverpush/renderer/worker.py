"""The renderer's process: frames in, frames out, one job at a time."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

from django.db import close_old_connections, connections
from django.urls import URLResolver, get_resolver

from serverpush.conf import config
from serverpush.jobs import job_from_json
from serverpush.renderer.handler import Chain
from serverpush.renderer.jobs import run
from serverpush.renderer.once import logger
from serverpush.renderer.places import sentence
from serverpush.renderer.sessions import bypass_cached_pages, replace_session_store
from serverpush.renderer.stock import pause_notes

# Seconds for which jobs share a database connection at least, and after which an
# idle process lets go of it.
BURST = 1

# Seconds that leaving may spend on standard streams that nobody reads.
_FLUSH = 0.5


class Link:
    """The socket to the push server.

    A thread reads it, so that its end is noticed while a job runs: then the
    process ends at once, with status 0.
    """

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(fileno=number)
        # Neither for what a view starts, nor as the parent may have left it.
        self._socket.set_inheritable(False)
        self._socket.setblocking(True)
        self._frames: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._read, name="serverpush-link", daemon=True).start()

    def frames(self) -> Iterator[bytes | None]:
        """Frames as they come; None once where none came for ``BURST`` seconds."""
        while True:
            try:
                yield self._frames.get(timeout=BURST)
            except Empty:
                yield None
                yield self._frames.get()

    def send(self, value: Any) -> None:
        """Send one frame; ends the process where nobody is there to read it."""
        frame = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        try:
            self._socket.sendall(frame + b"\n")
        except OSError:
            leave(0)

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                for line in stream:
                    self._frames.put(line)
        except OSError as error:
            logger.error("the push server can't be heard: %s", error)
        leave(0)


def start() -> Chain:
    """Load what a first request would load; raises what is wrong with the project."""
    config()
    _load_urls(get_resolver())
    replace_session_store()
    bypass_cached_pages()
    pause_notes()
    return Chain()


def share_connections() -> None:
    """Keep connections between the jobs of a burst, even if ``CONN_MAX_AGE`` is 0.

    Opening one costs more than a typical job. They are not kept for long: an
    idle connection blocks a database's maintenance, and one to an SQLite file
    that was replaced goes on reading the old one.
    """
    for alias in connections:
        options = connections.settings[alias]
        if options["CONN_MAX_AGE"] is not None:
            options["CONN_MAX_AGE"] = max(options["CONN_MAX_AGE"], BURST)


def serve(link: Link, chain: Chain) -> NoReturn:
    """Answer each frame; ends with the process."""
    for frame in link.frames():
        if frame is None:
            close_old_connections()
        else:
            link.send(answer(chain, frame))
    raise AssertionError("the frames have no end")


def answer(chain: Chain, frame: bytes) -> dict[str, Any]:
    """The result's JSON; ``{"error": …}`` for a frame that is no job."""
    try:
        job = job_from_json(json.loads(frame))
    except Exception as error:  # noqa: BLE001
        problem = f"this frame is no job: {sentence(error)}"
        logger.error("%s", problem)
        return {"error": problem}
    return run(chain, job).to_json()


def leave(status: int) -> NoReturn:
    """End the process now, whatever its threads are at."""
    # A stuck thread may hold a stream's lock, so flushing has a thread of its own.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(_FLUSH)
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


def _load_urls(resolver: URLResolver) -> None:
    # Asking for the patterns imports the modules that hold them.
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            _load_urls(pattern)
