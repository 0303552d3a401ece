"""Saves the hot page's author again and again; prints ``saving`` after the first time."""

from __future__ import annotations

import itertools
import sys
import threading

import django

INTERVAL = 0.02

if __name__ == "__main__":
    django.setup()
    from tests.project.models import Author  # needs the apps to be ready

    author = Author.objects.get(pk=int(sys.argv[1]))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    for number in itertools.count():
        author.name = str(number)
        author.save()
        if not number:
            print("saving", flush=True)
        if ended.wait(INTERVAL):
            break
