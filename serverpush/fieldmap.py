"""The field map: template expressions on ``object``, ``request`` and ``data``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.core.signals import setting_changed
from django.template import Context, Engine, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Variable, VariableDoesNotExist

ROOTS = ("object", "request", "data")


class FieldMap:
    """A compiled field map.

    Arguments:
        data: ``{"key": "object.path"}``, a list of the object's field names, or
            None for no fields.

    Raises ``ValueError`` for another shape or another root, and Django's
    ``TemplateSyntaxError`` for what is no template expression. Expressions are
    Django's own variables and filters; nothing is ever evaluated as Python.
    """

    def __init__(self, data: Any) -> None:
        self.expressions, self.reads_request = _compiled(tuple(_pairs(data).items()))

    def render(self, instance: Any, request: Any, data: Any) -> tuple[dict[str, Any], list[str]]:
        """The values by key, and a sentence for each path that does not exist.

        A path that leads through None gives None, as does one that is missing.
        """
        context = Context({"object": instance, "request": request, "data": data}, autoescape=False)
        values: dict[str, Any] = {}
        missing: list[str] = []
        for key, expression in self.expressions.items():
            try:
                _check(expression, context)
                # What _check lets pass is None, which is for the filters to see.
                values[key] = expression.resolve(context, ignore_failures=True)
            except VariableDoesNotExist:
                values[key] = None
                missing.append(f"{key!r}: {expression.token!r} does not exist on {instance!r}")
        return values, missing


def _pairs(data: Any) -> dict[str, str]:
    if data is None:
        return {}
    if isinstance(data, Mapping):
        pairs = dict(data)
    elif isinstance(data, list | tuple):
        pairs = {name: f"object.{name}" for name in data}
    else:
        raise ValueError("use {'key': 'object.path'} or a list of field names")
    for key, path in pairs.items():
        if not isinstance(key, str) or not isinstance(path, str):
            raise ValueError(f"use texts for key and path, not {key!r}: {path!r}")
    return pairs


@functools.lru_cache(maxsize=1024)
def _compiled(pairs: tuple[tuple[str, str], ...]) -> tuple[Mapping[str, FilterExpression], bool]:
    """The expressions, and whether one of them reads the request.

    Kept, for each request to a live page has the same ones.
    """
    expressions = {key: _expression(key, path) for key, path in pairs}
    reads_request = any("request" in _roots(each) for each in expressions.values())
    return MappingProxyType(expressions), reads_request


def _expression(key: str, path: str) -> FilterExpression:
    engine = Engine.get_default()
    parser = Parser([], engine.template_libraries, engine.template_builtins)
    try:
        expression = FilterExpression(path, parser)
    except TemplateSyntaxError as error:
        raise TemplateSyntaxError(f"{key!r}: {error}") from None
    if expression.var is None or not _roots(expression) <= set(ROOTS):
        raise ValueError(f"{key!r}: start with one of {', '.join(ROOTS)}, not {path!r}")
    return expression


def _roots(expression: FilterExpression) -> set[str]:
    """What an expression's variables begin with, those among filters' arguments too."""
    arguments = [each for _, pairs in expression.filters for is_variable, each in pairs]
    variables = [expression.var, *arguments]
    return {each.lookups[0] for each in variables if isinstance(each, Variable) and each.lookups}


def _check(expression: FilterExpression, context: Context) -> None:
    """Raise for a missing path, which ``FilterExpression`` would turn into a text."""
    try:
        if isinstance(expression.var, Variable):
            expression.var.resolve(context)
    except VariableDoesNotExist as error:
        if not _ends_in_none(error):
            raise


def _ends_in_none(error: VariableDoesNotExist) -> bool:
    return len(error.params) > 1 and error.params[1] is None


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in ("TEMPLATES", "INSTALLED_APPS"):
        _compiled.cache_clear()


setting_changed.connect(_forget)
