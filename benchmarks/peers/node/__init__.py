"""Socket.IO on Node, as its README starts it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import installing
from benchmarks.peers import EVENT, HERE, Peer, Port, process


@contextmanager
def running() -> Iterator[Peer]:
    environ = {**os.environ, "MODULES": str(installing.node_modules()), "EVENT": json.dumps(EVENT)}
    with process(["node", HERE / "node" / "server.mjs"], "ready ", **environ) as (pid, port):
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        yield Peer("Node Socket.IO", [pid], url, {}, Port(int(port), "/publish").post)
