"""Routes: whose patterns decide whether there is a path."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from django.urls import URLResolver


@functools.lru_cache(maxsize=16)
def has_only_stock_patterns(resolver: URLResolver) -> bool:
    """Are all patterns and converters below a resolver Django's own?

    Those go by the text of a path. One that the project brings may ask the database, or
    for the request.
    """
    return all(type(each).__module__.startswith("django.urls.") for each in _parts(resolver))


def _parts(resolver: Any) -> Iterator[Any]:
    yield resolver
    yield resolver.pattern
    yield from resolver.pattern.converters.values()
    for each in getattr(resolver, "url_patterns", ()):
        yield from _parts(each)
