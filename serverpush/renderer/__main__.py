"""``python -m serverpush.renderer FD``: a renderer on an inherited socket."""

from __future__ import annotations

import os
import signal
import sys

import django

from serverpush.renderer.places import sentence
from serverpush.renderer.subscribing import listens
from serverpush.renderer.worker import Link, leave, serve, share_connections, start


def main() -> None:
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("a renderer is started by runserverpush, with the number of an open socket")
    # Ctrl-C reaches the whole group of processes; the push server decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _close_stdin()
    link = Link(int(sys.argv[1]))
    try:
        django.setup()
        chain = start()
        share_connections()
    except BaseException as error:  # noqa: BLE001
        link.send({"error": f"the renderer can't start: {sentence(error)}"})
        leave(1)
    link.send({"ready": os.getpid(), "listens": listens()})
    serve(link, chain)


def _close_stdin() -> None:
    # A view that stops in a debugger must see the end of input, not wait for it.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    main()
