"""The kinds of pages that clients have: their URLs, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.history import Meets


@dataclass(frozen=True)
class Kind:
    """A page's path, and by update which instances it is about; ``lists`` are sent whole.

    ``cookie`` is that of the visitor whose page it is, "" for one that is everybody's.
    """

    path: str
    watches: Mapping[str, Meets]
    lists: frozenset[str] = frozenset()
    cookie: str = ""


def item(pk: int) -> Kind:
    """By key, with a field map."""
    return Kind(f"/item/{pk}/", {"item": _is(pk)})


def group(name: str) -> Kind:
    """By equality, with a function whose renderings are shared."""
    return Kind(f"/group/{name}/", {"group": _is_in(name)})


def high(level: int) -> Kind:
    """By Q, with a field map."""
    return Kind(
        f"/high/{level}/", {"high": lambda pk, row: row.level >= level or row.group == "g0"}
    )


def everything() -> Kind:
    """Any, with a field map."""
    return Kind("/everything/", {"everything": lambda pk, row: True})


def listed(name: str) -> Kind:
    """By equality, with the view itself."""
    return Kind(f"/listed/{name}/", {"listed": _is_in(name)}, frozenset({"listed"}))


def pair(pk: int, name: str) -> Kind:
    """Two updates: by key with a function, by equality with a field map."""
    return Kind(f"/pair/{pk}/{name}/", {"one": _is(pk), "several": _is_in(name)})


def own(pk: int, session: str) -> Kind:
    """By key, of a page that is for one session."""
    return Kind(f"/own/{pk}/", {"own": _is(pk)}, cookie=f"sessionid={session}")


def slow(pk: int) -> Kind:
    """By key, with a function that takes its time."""
    return Kind(f"/slow/{pk}/", {"slow": _is(pk)})


def mixed(count: int, rows: int, groups: int) -> list[Kind]:
    """Pages of all kinds, about ``rows`` instances in ``groups`` groups; few about everything."""
    kinds = []
    for number in range(count):
        pk, name = 1 + number % rows, group_name(number % groups)
        kinds.append(everything() if number % 20 == 0 else _choices(pk, name, number)[number % 5])
    return kinds


def group_name(number: int) -> str:
    return f"g{number}"


def _choices(pk: int, name: str, number: int) -> list[Kind]:
    return [item(pk), group(name), high(70 + number % 3 * 10), listed(name), pair(pk, name)]


def _is(pk: int) -> Meets:
    return lambda key, row: key == pk


def _is_in(name: str) -> Meets:
    return lambda pk, row: row.group == name
