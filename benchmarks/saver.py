"""Saves one author for each line on standard input; prints when that was committed."""

from __future__ import annotations

import sys
import time

import django

if __name__ == "__main__":
    django.setup()
    from django.db import transaction

    from tests.project.models import Author  # needs the apps to be ready

    def committed() -> None:
        print(time.time(), flush=True)

    author = Author.objects.get(pk=1)
    for number, _ in enumerate(sys.stdin):
        author.name = f"{number:0100}"
        with transaction.atomic():
            # The first of the callbacks: before what reports the save.
            transaction.on_commit(committed)
            author.save()
