"""Saves one author for each line on standard input; prints the time before each commit."""

from __future__ import annotations

import sys
import time

import django

if __name__ == "__main__":
    django.setup()
    from tests.project.models import Author  # needs the apps to be ready

    author = Author.objects.get(pk=1)
    for number, _ in enumerate(sys.stdin):
        author.name = f"{number:0100}"
        before = time.time()
        author.save()
        print(before, flush=True)
