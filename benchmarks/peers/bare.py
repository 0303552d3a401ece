"""The floor: a loop over ``send`` in C, whose own account of its CPU counts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import installing
from benchmarks.peers import EVENT, HERE, Peer


@dataclass
class Floor(Peer):
    """``seconds`` is the CPU that all loops have used."""

    seconds: float = 0.0


@contextmanager
def running() -> Iterator[Floor]:
    loop = installing.compiled(HERE / "floor.c")
    process = subprocess.Popen(
        [installing.python(), HERE / "floor.py", loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "EVENT": json.dumps(EVENT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    port = stdout.readline().removeprefix("ready ").strip()
    floor = Floor("a bare C loop over send", [], f"ws://127.0.0.1:{port}/", None, lambda: None)

    def publish() -> None:
        stdin.write("\n")
        stdin.flush()
        took = float(stdout.readline())
        if took < 0:
            raise RuntimeError("a socket of the bare loop did not take an event")
        floor.seconds += took

    floor.publish, floor.mark = publish, "{"
    try:
        yield floor
    finally:
        process.kill()
        process.wait()
