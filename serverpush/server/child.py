"""A child: a process of the project's code that the push server starts, and the socket to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from typing import Any

from serverpush.exceptions import ChildFailed
from serverpush.server.transport import loop

START_SECONDS = 60
STOP_SECONDS = 1.5


class Child:
    """One process and the frames that it sends.

    Arguments:
        module: what it runs, as ``python -m module FD``.
        arguments: what comes after the number of its socket.

    Raises ``ChildFailed`` where none can be started.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise ChildFailed(str(error)) from None
        with theirs:
            try:
                self.process = _start(theirs, module, arguments)
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise ChildFailed(str(error)) from None
                raise
        self.stream = loop.Stream(ours)
        self._frames: deque[bytes] = deque()
        # Set when a frame has come, when the process is gone, and to wake who is idle.
        self.stirred = loop.Event()
        self.is_gone = False
        self._reader = loop.spawn(self._read)

    def next_frame(self) -> bytes | None:
        """The next frame, None where the process is gone."""
        while not self._frames and not self.is_gone:
            self.stirred.clear()
            self.stirred.wait()
        return self._frames.popleft() if self._frames else None

    def wait_ready(self) -> dict[str, Any]:
        """Wait for its first frame, and return it.

        Raises ``ChildFailed`` with the process's own reason.
        """
        try:
            frame = loop.wait_for(START_SECONDS, self.next_frame)
        except TimeoutError:
            raise ChildFailed(f"it was not ready within {START_SECONDS} s") from None
        if frame is None:
            raise ChildFailed("it ended while it started")
        try:
            hello: dict[str, Any] = json.loads(frame)
        except ValueError:
            raise ChildFailed("it speaks no JSON") from None
        if "error" in hello:
            raise ChildFailed(hello["error"])
        return hello

    def end(self, *, kill: bool = False) -> None:
        """End the process: by closing its socket, or at once."""
        if kill:
            self.process.send_signal(signal.SIGKILL)
        self.stream.close()
        self._reader.cancel()
        waited = 0.0
        while self.process.poll() is None:
            if waited > STOP_SECONDS:
                self.process.kill()
            loop.sleep(0.01)
            waited += 0.01

    def _read(self) -> None:
        while (frame := self.stream.read()) is not None:
            self._frames.append(frame)
            self.stirred.set()
        self.is_gone = True
        self.stirred.set()


def _start(sock: socket.socket, module: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, str(sock.fileno()), *arguments],
        stdin=subprocess.DEVNULL,
        pass_fds=[sock.fileno()],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        # Ctrl-C is for the push server, which ends its children itself.
        process_group=0,
    )
