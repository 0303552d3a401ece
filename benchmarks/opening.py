"""Makes tokens of pages with many updates, and saves what one of these updates is about.

Reads lines ``page KIND BEGIN COUNT``, answered with a token, and ``save KIND``.
"""

from __future__ import annotations

import itertools
import sys
import time

import django

# Where renderings are made from: a page that the site has.
PATH, HOST = "/author/1/", "127.0.0.1"
TAGS = 1000


def main() -> None:
    django.setup()
    from django.db.models import Q

    from serverpush.protocol import Page
    from serverpush.tokens import sign_page
    from serverpush.updates import compile_updates
    from tests.project.models import Book, Tag

    params = {
        "key": lambda number: {"pk": number},
        "field": lambda number: {"stock": number},
        "q": lambda number: Q(stock=number) & (Q(price__gte=0) | Q(in_print=True)),
        "none": lambda number: {"pk": number},
    }
    book = Book.objects.create(pk=1, title="Emma", stock=1)
    Tag.objects.bulk_create(Tag(name=str(number)) for number in range(TAGS))
    # Of one that waits to be reported a second save would be the same report.
    tags = itertools.cycle(Tag.objects.all())

    def page(kind: str, begin: str, count: str) -> str:
        entries = [
            {"name": "update", "model": Book, "params": params[kind](number), "data": ["title"]}
            for number in range(int(begin), int(begin) + int(count))
        ]
        now = time.time()
        dependencies = compile_updates(entries, source="", module=None, view=None)
        page = Page(PATH, host=HOST, time=now, recorded=now, dependencies=dependencies)
        return sign_page(page)

    def save(kind: str) -> str:
        if kind == "none":
            next(tags).save()
        else:
            book.title = f"Emma {time.time()}"
            book.save()
        return "saved"

    does = {"page": page, "save": save}
    for line in sys.stdin:
        what, *arguments = line.split()
        print(does[what](*arguments), flush=True)


if __name__ == "__main__":
    main()
