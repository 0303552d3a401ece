"""The floor: a loop over ``send`` in C, whose own account of its CPU counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import installing
from benchmarks.peers import EVENT, HERE, Peer
from benchmarks.processes import told


@dataclass
class Floor(Peer):
    """``seconds`` is the CPU that all loops have used."""

    seconds: float = 0.0


@contextmanager
def running() -> Iterator[Floor]:
    loop = installing.compiled(HERE / "floor.c")
    command = [installing.python(), HERE / "floor.py", loop]
    with told(command, {**os.environ, "EVENT": json.dumps(EVENT)}) as process:
        port = process.hear().removeprefix("ready ")
        floor = Floor("a bare C loop over send", [], f"ws://127.0.0.1:{port}/", None, lambda: None)

        def publish() -> None:
            took = float(process.ask(""))
            if took < 0:
                raise RuntimeError("a socket of the bare loop did not take an event")
            floor.seconds += took

        floor.publish, floor.mark, floor.ready = publish, "{", ""
        yield floor
