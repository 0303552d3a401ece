"""From a view to its update function, through whatever wraps the view."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, get_resolver, get_urlconf

View = Callable[..., Any]


@dataclass(frozen=True)
class Found:
    """An update function: what to call, its dotted path, and the view's module."""

    function: Callable[..., Any]
    source: str
    module: ModuleType | None
    view: View


def unwrap(view: View) -> View:
    """The function or class that a URL's callback was made from."""
    seen: set[int] = set()
    while id(view) not in seen:
        seen.add(id(view))
        if isinstance(view, functools.partial):
            view = view.func
        elif hasattr(view, "view_class"):
            view = view.view_class
        elif hasattr(view, "__wrapped__"):
            view = view.__wrapped__
    return view


def find(view: View) -> Found | None:
    """The update function of a URL's callback, or None where it has none.

    Looked for in the module where the view was defined: ``<name>_update``; for a
    class also its own method ``get_updates(self)``, which comes first.
    """
    return _find(view) if isinstance(view, Hashable) else None


@functools.lru_cache(maxsize=1024)
def _find(view: View) -> Found | None:
    target = unwrap(view)
    module = sys.modules.get(getattr(target, "__module__", "") or "")
    name = getattr(target, "__name__", type(target).__name__)
    if isinstance(target, type) and hasattr(target, "get_updates"):
        source = f"{target.__module__}.{target.__qualname__}.get_updates"
        return Found(_with_bound_arguments(view, _method(view, target)), source, module, target)
    function = getattr(module, f"{name}_update", None)
    if not callable(function):
        return None
    source = f"{module.__name__ if module else ''}.{name}_update"
    return Found(_with_bound_arguments(view, function), source, module, target)


def _method(view: Any, view_class: type) -> Callable[..., Any]:
    initkwargs: dict[str, Any] = {}
    for layer in _layers(view):
        initkwargs = getattr(layer, "view_initkwargs", initkwargs)

    def get_updates(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        instance = view_class(**initkwargs)
        instance.setup(request, *args, **kwargs)
        return instance.get_updates()

    return get_updates


def _with_bound_arguments(view: View, function: Callable[..., Any]) -> Callable[..., Any]:
    for layer in reversed(list(_layers(view))):
        if isinstance(layer, functools.partial):
            function = functools.partial(function, *layer.args, **layer.keywords)
    return function


def _layers(view: Any) -> Iterator[Any]:
    seen: set[int] = set()
    while id(view) not in seen:
        seen.add(id(view))
        yield view
        if isinstance(view, functools.partial):
            view = view.func
        else:
            view = getattr(view, "__wrapped__", view)


def dotted(function: Any) -> str:
    """``module:qualname`` of a function or class.

    Raises ``ValueError`` where importing could not find it again.
    """
    target = unwrap(function)
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not module or not name or "<" in name:
        raise ValueError("use a function that can be imported, not a lambda or an inner function")
    # What the module calls by this name may be the decorated function: that is
    # what has to run, with its access checks.
    found = resolve(f"{module}:{name}")
    for layer in _layers(function):
        if isinstance(layer, functools.partial):
            raise ValueError("use a function itself, not a partial of it: its arguments go in data")
        # Equal where it is a method of the class, which an import does find.
        if inspect.ismethod(layer) and layer != found:
            raise ValueError("use a function, not a method of an object")
    if found is None:
        raise ValueError(f"use a function that {module!r} has under its own name")
    return f"{module}:{name}"


def resolve(target: str) -> Any:
    """What ``module:qualname`` names, decorated as the module has it; None if nothing."""
    module_name, _, name = target.partition(":")
    found: Any = sys.modules.get(module_name)
    if found is None:
        try:
            found = __import__(module_name, fromlist=["_"])
        except ImportError:
            return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def is_view(function: Any, view: View | None) -> bool:
    """Is this the page's own view, or one that the site's URLs lead to?"""
    target = unwrap(function)
    return target is view or routed(target) is not None


def routed(target: View) -> View | None:
    """The callback by which the site's URLs lead to a view, or None where none does.

    It is what a browser reaches, with whatever decorates the view in the URLconf.
    """
    return _routed_views(get_urlconf() or settings.ROOT_URLCONF).get(target)


def takes_object(function: Any) -> bool:
    """Does a view's signature take the two more arguments ``object`` and ``data``?

    As in ``def hello(request, user=None, data=None)``: the first is named after
    the instance, so it is known by its place, just before ``data``, and both
    have defaults, since a browser's request gives neither.
    """
    return object_argument(function) is not None


def object_argument(function: Any) -> str | None:
    """The name under which a view takes the instance, or None."""
    target = unwrap(function)
    return None if isinstance(target, type) else _object_argument(target)


@functools.lru_cache(maxsize=256)
def _object_argument(target: Any) -> str | None:
    parameters = inspect.signature(target).parameters
    names = list(parameters)
    place = names.index("data") if "data" in names else 0
    if place < 2:
        return None
    pair = names[place - 1 : place + 1]
    optional = all(parameters[name].default is not inspect.Parameter.empty for name in pair)
    return pair[0] if optional else None


@functools.lru_cache(maxsize=16)
def _routed_views(urlconf: Any) -> dict[View, View]:
    views: dict[View, View] = {}
    for pattern in _patterns(get_resolver(urlconf)):
        if isinstance(pattern.callback, Hashable):
            views.setdefault(unwrap(pattern.callback), pattern.callback)
    return views


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from _patterns(each)
        elif isinstance(each, URLPattern):
            yield each
