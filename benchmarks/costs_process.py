"""A site's process that does what it is told, and says what CPU time it took.

Reads lines ``save COUNT``, ``plain COUNT`` and ``three COUNT``; answers each with the seconds
of CPU for each of them: of the thread that does it, and of the whole process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import django


def main() -> None:
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.test import RequestFactory

    from tests.project.models import Author

    call_command("migrate", run_syncdb=True, verbosity=0)
    author = Author.objects.create(name="Jane")
    handler, requests = WSGIHandler(), RequestFactory()

    def get(path: str) -> Callable[[], None]:
        environ = requests.get(path).environ

        def once() -> None:
            handler(dict(environ), lambda *_: None).close()

        return once

    does = {"save": author.save, "plain": get("/plain/"), "three": get("/three/")}
    for line in sys.stdin:
        what, count = line.split()
        once, times = does[what], int(count)
        own, before = time.thread_time(), time.process_time()
        for _ in range(times):
            once()
        own = time.thread_time() - own
        if what == "save" and "serverpush.web.outbox" in sys.modules:
            # What is left to be sent counts too, if there is somebody to send it to. It is not
            # flushed: that is for a process that ends.
            _wait_until_sent(sys.modules["serverpush.web.outbox"].outbox)
        print(own / times, (time.process_time() - before) / times, flush=True)


def _wait_until_sent(outbox: Any, seconds: float = 1) -> None:
    end = time.monotonic() + seconds
    while outbox.pending() and time.monotonic() < end:
        time.sleep(0.01)


if __name__ == "__main__":
    main()
