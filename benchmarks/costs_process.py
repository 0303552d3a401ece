"""A site's process that does things with django-serverpush and without, and says what they cost.

Both in one process, in turns: two processes differ by more than what is to be measured. Without
means that the middleware is left out, and that the signals' receivers are disconnected.

Reads lines ``WHAT COUNT ROUNDS``, ``WHAT`` being ``save``, ``plain`` or ``three``; answers each
with medians in seconds of CPU for one: of the thread that does it without, of the same with, and
of the thread that reports, with. ``page BOOKS`` is answered with the HTML of ``three`` as JSON,
when so many books are there that it is about.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django

MIDDLEWARE = "serverpush.middleware.ServerPushMiddleware"
Once = Callable[[], object]


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.test import RequestFactory, override_settings

    from serverpush.web import changes
    from tests.project.models import Author, Book

    call_command("migrate", run_syncdb=True, verbosity=0)
    author = Author.objects.create(name="Jane")
    requests, handler = RequestFactory(), WSGIHandler()
    with override_settings(MIDDLEWARE=[each for each in settings.MIDDLEWARE if each != MIDDLEWARE]):
        bare = WSGIHandler()

    def get(handler: Any, path: str) -> Once:
        environ = requests.get(path).environ
        return lambda: handler(dict(environ), lambda *_: None).close()

    def saved(report: bool) -> Once:
        def save() -> None:
            author.save()

        save.prepare = changes.connect if report else disconnect  # type: ignore[attr-defined]
        return save

    does = {
        "save": (saved(False), saved(True)),
        "plain": (get(bare, "/plain/"), get(handler, "/plain/")),
        "three": (get(bare, "/three/"), get(handler, "/three/")),
    }
    for line in sys.stdin:
        if line.startswith("page"):
            while Book.objects.count() < int(line.split()[1]):
                Book.objects.create(title="Emma")
            response = handler(dict(requests.get("/three/").environ), lambda *_: None)
            print(json.dumps(response.content.decode()))
        else:
            what, count, rounds = line.split()
            print(*compared(*does[what], int(count), int(rounds)))
        sys.stdout.flush()


def compared(without: Once, ours: Once, count: int, rounds: int) -> tuple[float, float, float]:
    """Medians over the rounds, see above."""
    pairs = [(cost(without, count), cost(ours, count)) for _ in range(rounds)]
    alone = statistics.median(one[0] for one, _ in pairs)
    return (
        alone,
        alone + statistics.median(other[0] - one[0] for one, other in pairs),
        statistics.median(other[1] for _, other in pairs),
    )


def cost(once: Once, count: int) -> tuple[float, float]:
    """Seconds of CPU for each time: of this thread, and of all others."""
    getattr(once, "prepare", lambda: None)()
    own, everything = time.thread_time(), time.process_time()
    for _ in range(count):
        once()
    own = time.thread_time() - own
    _wait_until_sent()
    return own / count, (time.process_time() - everything - own) / count


def disconnect() -> None:
    """Report no saves."""
    from django.db.models.signals import post_save

    post_save.disconnect(dispatch_uid="serverpush.saved")


def _wait_until_sent(seconds: float = 1) -> None:
    """What is left to be sent counts too, if there is somebody to send it to."""
    from serverpush.web.outbox import outbox

    end = time.monotonic() + seconds
    while outbox.pending() and time.monotonic() < end:
        time.sleep(0.01)


if __name__ == "__main__":
    main()
