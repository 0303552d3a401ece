"""A page whose healthy updates are beside some whose serializer does what it is told.

What it is told is the author's name: ``KIND:MARK``.
"""

import os
import signal
import sys
import time
from pathlib import Path

from django.db.models import Q
from django.http import HttpResponse
from django.urls import path

from tests.live.views import save_author
from tests.project.models import Author

HEALTHY, FAULTY = 1, (2, 3, 4, 5, 6, 7)
ERRORS = (RuntimeError, MemoryError, RecursionError, SystemExit)


def faults(request):
    return HttpResponse("<!doctype html><title>faults</title><body>faults</body>")


def faults_update(request):
    about = {"model": Author, "params": {"pk": HEALTHY}}
    return [
        {"name": "map", "data": ["name"], **about},
        {"name": "own", "serializer": own, **about},
        {"name": "view", "serializer": "told", "vary": (), **about},
        {
            "name": "matched",
            "model": Author,
            "params": Q(name__startswith="healthy") & Q(pk=HEALTHY),
            "data": ["name"],
        },
        *(
            {
                "name": f"faulty{pk}",
                "model": Author,
                "params": {"pk": pk},
                "serializer": faulty,
                "vary": (),
            }
            for pk in FAULTY
        ),
    ]


def own(request, author, data):
    """Reads the request, so that each client has a rendering of its own."""
    return {"name": author.name, "agent": request.headers.get("User-Agent")}


def told(request):
    return HttpResponse(Author.objects.get(pk=HEALTHY).name)


def faulty(request, author, data):
    """Does as its author's name says; the sleeps are the fault that is tested."""
    kind, _, mark = author.name.partition(":")
    if kind == "raise":
        number = int(mark.rstrip("."))
        raise ERRORS[number % len(ERRORS)](author.name)
    if kind == "hang":
        # The fault: the push server has to end it.
        time.sleep(3600)
    if kind == "nan":
        return float("nan")
    if kind == "kill twice" or (kind == "kill" and is_first(author.name)):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "sit" and is_first(author.name):
        # The fault: the push server has to end it.
        time.sleep(3600)
    if kind == "garbage" and is_first(author.name):
        os.write(int(sys.argv[1]), b"[this is no result\n")
    return author.name


def is_first(name):
    """Is this the first time? The file that notes it says which process it was."""
    note = Path(os.environ["LIVE_NOTES"]) / name
    if note.exists():
        return False
    new = note.with_suffix(".new")
    new.write_text(str(os.getpid()))
    new.rename(note)
    return True


urlpatterns = [
    path("faults/", faults),
    path("told/", told),
    path("author/<int:pk>/save/", save_author),
]
