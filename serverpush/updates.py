"""An update: one entry that ``<view>_update`` returns, checked and compiled."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.template import TemplateSyntaxError
from django.utils.module_loading import import_string

from serverpush import discovery
from serverpush.conditions import compile_condition
from serverpush.exceptions import InvalidUpdate, UnknownModel
from serverpush.fieldmap import FieldMap
from serverpush.labels import Model, has_one_key, model_of
from serverpush.listing import matching_keys
from serverpush.messages import EVENT, RESERVED
from serverpush.protocol import COMPACT, PAGE_ACTIONS, Dependency, Serializer, dump

# Bytes that a page's listed keys may take in its token: the push server accepts
# 16 KiB in all, and keys hardly shrink.
MAX_KEYS_SIZE = 6144

_DEFAULT_ON = ("added", "changed")


@dataclasses.dataclass(frozen=True)
class Update:
    """One update of a page, as a dict with the same keys would say it.

    Arguments:
        name: the event's name: a letter or ``_``, then letters, digits and
            ``_ . -``, 64 at most.
        model: a model class or ``"app_label.Model"``.
        params: which instances: a dict of lookups as for ``filter()``, or a
            ``Q``; ``{}`` is any.
        serializer: None for the field map; a callable ``(request, object,
            data)``; its dotted path; or the name of a function in the view's
            module. Naming a view re-runs that view.
        data: handed to the serializer; for the field map
            ``{"key": "object.path"}`` or a list of field names.
        vary: clients whose ``vary`` is equal share one rendering; None: decided
            by what the rendering may read of its request.
        on: which of ``"added"``, ``"changed"``, ``"removed"`` are pushed; None:
            all where the serializer is a view, else ``added`` and ``changed``.
    """

    name: str
    model: Model | str
    params: Mapping[str, Any] | models.Q = dataclasses.field(default_factory=dict)
    serializer: Callable[..., Any] | str | None = None
    data: Any = None
    vary: Any = None
    on: Iterable[str] | None = None


_KEYS = tuple(field.name for field in dataclasses.fields(Update))
_REQUIRED = ("name", "model")
_ENCODER = DjangoJSONEncoder(**COMPACT)


def compile_updates(
    entries: Any, *, source: str, module: ModuleType | None, view: Callable[..., Any] | None
) -> tuple[Dependency, ...]:
    """Compile what an update function returned.

    Arguments:
        entries: an iterable of dicts or ``Update``; None for a page that is not
            live just now.
        source: the update function's dotted path, for messages.
        module: where a serializer's bare name is looked up.
        view: the page's view, as ``discovery.view_target`` gives it.

    Raises ``InvalidUpdate`` naming the function, the entry, the key and what is
    valid. Asks the database once for each entry whose instances it must list.
    """
    if entries is None:
        return ()
    if isinstance(entries, Mapping | str | Update) or not isinstance(entries, Iterable):
        raise InvalidUpdate("", entries, "return a list of updates, or None", update=source)
    dependencies = []
    for index, entry in enumerate(entries):
        try:
            dependencies.append(compile_update(entry, module=module, view=view))
        except InvalidUpdate as error:
            error.update, error.index = source, index
            raise
    return tuple(dependencies)


def compile_update(
    entry: Any, *, module: ModuleType | None = None, view: Callable[..., Any] | None = None
) -> Dependency:
    """Compile one entry; arguments and errors as for ``compile_updates``."""
    update = _checked(entry)
    model = _model(update.model)
    condition = compile_condition(model, update.params)
    serializer = _serializer(update, module, view)
    return Dependency(
        name=update.name,
        condition=condition,
        serializer=serializer,
        data=_as_json("data", update.data),
        vary=None if update.vary is None else _as_json("vary", update.vary),
        on=_on(update.on, serializer),
        keys=matching_keys(model, condition),
    )


def _checked(entry: Any) -> Update:
    if isinstance(entry, Mapping):
        for key in entry:
            if key not in _KEYS:
                near = difflib.get_close_matches(str(key), _KEYS, n=1)
                hint = f" (the nearest is {near[0]!r})" if near else ""
                raise InvalidUpdate(str(key), entry[key], f"the keys are {', '.join(_KEYS)}{hint}")
        for key in _REQUIRED:
            if key not in entry:
                raise InvalidUpdate(key, None, "this key is required")
        entry = Update(**entry)
    if not isinstance(entry, Update):
        raise InvalidUpdate("", entry, "use a dict or serverpush.Update")
    if not isinstance(entry.name, str) or not EVENT.match(entry.name):
        raise InvalidUpdate(
            "name", entry.name, "a letter or _, then letters, digits and _ . -, 64 at most"
        )
    if entry.name in RESERVED:
        raise InvalidUpdate("name", entry.name, "this name is taken by an event of the client")
    return entry


def _model(model: Any) -> Model:
    found = _named_model(model)
    if not has_one_key(found):
        raise InvalidUpdate("model", model, "use a model whose primary key is a single field")
    return found


def _named_model(model: Any) -> Model:
    if isinstance(model, str):
        try:
            return model_of(model)
        except UnknownModel as error:
            near = f"; the nearest is {error.near!r}" if error.near else ""
            raise InvalidUpdate(
                "model", model, f"there is no such model: use 'app_label.Model'{near}"
            ) from None
    if isinstance(model, type) and issubclass(model, models.Model) and not model._meta.abstract:
        return model
    raise InvalidUpdate("model", model, "use a model class or 'app_label.Model'")


def _serializer(
    update: Update, module: ModuleType | None, view: Callable[..., Any] | None
) -> Serializer:
    if update.serializer is None:
        try:
            fields = FieldMap(update.data)
        except (TemplateSyntaxError, ValueError) as error:
            raise InvalidUpdate("data", update.data, str(error)) from None
        return Serializer("fields", reads_request=fields.reads_request)
    function = _named(update.serializer, module)
    try:
        target = discovery.dotted(function)
    except ValueError as error:
        raise InvalidUpdate("serializer", update.serializer, str(error)) from None
    if discovery.is_view(function, view):
        return Serializer("view", target, reads_object=discovery.takes_object(function))
    return Serializer("function", target)


def _named(serializer: Any, module: ModuleType | None) -> Any:
    valid = (
        "use a callable (request, object, data), its dotted path, or the name of a function in "
        + (f"the view's module {module.__name__!r}" if module else "the view's module")
    )
    if isinstance(serializer, str):
        try:
            if "." in serializer:
                found = import_string(serializer)
            else:
                found = getattr(module, serializer)
        except (ImportError, AttributeError):
            raise InvalidUpdate("serializer", serializer, valid) from None
    else:
        found = serializer
    if not callable(found):
        raise InvalidUpdate("serializer", serializer, valid)
    return found


def _on(on: Any, serializer: Serializer) -> tuple[Any, ...]:
    if on is None:
        return PAGE_ACTIONS if serializer.kind == "view" else _DEFAULT_ON
    chosen = [on] if isinstance(on, str) or not isinstance(on, Iterable) else list(on)
    if not chosen or any(action not in PAGE_ACTIONS for action in chosen):
        raise InvalidUpdate("on", on, f"use one or more of {', '.join(PAGE_ACTIONS)}")
    return tuple(action for action in PAGE_ACTIONS if action in chosen)


def _as_json(key: str, value: Any) -> str:
    with contextlib.suppress(TypeError, ValueError):
        return _ENCODER.encode(value)
    # Its keys can't be sorted, or it is no JSON.
    try:
        text = json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidUpdate(key, value, f"use what JSON can hold ({error})") from None
    return dump(json.loads(text))


def fitting(dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    """A page's dependencies with no more keys listed than its token can carry.

    The longest lists go first: an update without one is still matched, and tells
    what moved in from what changed by the change's own action.
    """
    sizes = [len(dump(each.keys)) for each in dependencies]
    fitted = list(dependencies)
    while sum(sizes) > MAX_KEYS_SIZE:
        longest = sizes.index(max(sizes))
        fitted[longest] = dataclasses.replace(fitted[longest], keys=None)
        sizes[longest] = 0
    return tuple(fitted)
