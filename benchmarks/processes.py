"""Processes that are told what to do line by line, and answer each; and ports for others."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Told:
    """A running process; ``ask`` writes it a line and returns the one that it answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(self, line: str) -> str:
        """Raises ``RuntimeError`` where the process has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self) -> str:
        """The next line that it prints; raises as ``ask`` does."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended")
        return line.rstrip("\n")


@contextmanager
def told(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> Iterator[Told]:
    """Run a process until the end of the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    try:
        yield Told(process)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port for a server that can't choose one by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
