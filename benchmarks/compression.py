"""Compressing a message for all who get it: what it costs once, and what each is sent less."""

from __future__ import annotations

import statistics
import time

from serverpush.server.transport import deflate

SIZES = (512, 1024, 4096, 16384)
ROUNDS = 7
COUNT = 200
ROW = '<tr class="{kind}"><td>{number}</td><td><a href="/book/{number}/">{name}</a></td></tr>'
KINDS = ("available", "sold out", "to come")
NAMES = ("Emma", "Persuasion", "Middlemarch", "Villette", "Cranford", "Jane Eyre", "Silas Marner")


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    return [_row(size) for size in SIZES]


def _row(size: int) -> tuple[str, str]:
    html = _html(size)
    took = statistics.median(_seconds(html) for _ in range(ROUNDS))
    compressed = len(deflate.compressed(html))
    pays = "is compressed" if deflate.deflated(html) else "is sent as it is"
    return (
        f"{size:,} bytes of a table's HTML, compressed",
        f"{compressed:,} bytes, {took * 1e6:.0f} µs once for all; such a message {pays}",
    )


def _html(size: int) -> bytes:
    rows = (
        ROW.format(kind=KINDS[number % 3], number=number * 7919 % 10_000, name=NAMES[number % 7])
        for number in range(size)
    )
    return "".join(rows)[:size].encode()


def _seconds(html: bytes) -> float:
    began = time.process_time()
    for _ in range(COUNT):
        deflate.compressed(html)
    return (time.process_time() - began) / COUNT
