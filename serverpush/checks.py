"""System checks: what is wrong with the settings, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from serverpush import conf
from serverpush.exceptions import UnknownModel
from serverpush.labels import model_of

MIDDLEWARE = "serverpush.middleware.ServerPushMiddleware"
CONTEXT_PROCESSOR = "serverpush.client.context_processor"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def check_values(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001 to E006 and W001, W004, W005: the settings' values."""
    found: list[CheckMessage] = [*_wrong_values(), *_unknown_names()]
    try:
        config = conf.config()
    except ImproperlyConfigured:
        return found
    return [
        *found,
        *_globals(config),
        *_functions(config),
        *_models(config),
        *_ports(config),
        *_exposed_notifier(config),
        *_redis(config),
        *_any_host(),
    ]


def check_installation(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """W002 and W003: the middleware and the context processor."""
    return [*_middleware(), *_context_processor()]


def _wrong_values() -> Iterator[CheckMessage]:
    for name, value, valid in conf.problems():
        yield Error(f"{name} = {value!r} is not valid.", hint=f"Use {valid}.", id="serverpush.E001")


def _unknown_names() -> Iterator[CheckMessage]:
    for name, near in conf.unknown():
        hint = f"Did you mean {near}?" if near else f"The settings are {', '.join(conf.names())}."
        yield Warning(f"There is no setting {name}.", hint=hint, id="serverpush.W001")


def _globals(config: conf.Config) -> Iterator[CheckMessage]:
    for path in config.globals:
        problem = _no_function(path)
        if problem:
            yield Error(
                f"SERVERPUSH_GLOBALS names {path!r}, which is no update function: {problem}.",
                hint="Use dotted paths of functions (request), or (request, *args, **kwargs).",
                id="serverpush.E002",
            )


def _functions(config: conf.Config) -> Iterator[CheckMessage]:
    chosen = (
        ("SERVERPUSH_TOKENIZER", config.tokenizer, "(user) that returns a text"),
        ("SERVERPUSH_CHANNEL_PERMISSION", config.channel_permission, "(request, channel_id)"),
    )
    for name, path, signature in chosen:
        problem = "" if path is None else _no_function(path)
        if problem:
            yield Error(
                f"{name} names {path!r}, which is no function: {problem}.",
                hint=f"Use the dotted path of a function {signature}.",
                id="serverpush.E005",
            )


def _no_function(path: str) -> str:
    """Why a dotted path names no function; "" if it does."""
    try:
        return "" if callable(import_string(path)) else "it can't be called"
    except Exception as error:  # noqa: BLE001 - whatever a module raises on import
        return f"{type(error).__name__}: {error}"


def _models(config: conf.Config) -> Iterator[CheckMessage]:
    for label in () if config.models == "__all__" else config.models:
        try:
            model_of(label)
        except UnknownModel as error:
            near = f" Did you mean {error.near!r}?" if error.near else ""
            yield Error(
                f"SERVERPUSH_MODELS names {label!r}, and there is no such model.",
                hint=f"Use 'app_label.Model'.{near}",
                id="serverpush.E003",
            )


def _ports(config: conf.Config) -> Iterator[CheckMessage]:
    if config.port == config.notifier_port and config.port != 0:
        yield Error(
            f"SERVERPUSH_PORT and SERVERPUSH_NOTIFIER_PORT are both {config.port}.",
            hint="Browsers connect to one and changes are reported to the other: use two ports.",
            id="serverpush.E004",
        )


def _exposed_notifier(config: conf.Config) -> Iterator[CheckMessage]:
    if not conf.is_loopback(config.notifier_host):
        yield Warning(
            f"SERVERPUSH_NOTIFIER_HOST = {config.notifier_host!r} is not a loopback address.",
            hint="Its key travels unencrypted: do this only behind TLS or a firewall.",
            id="serverpush.W004",
        )


def _redis(config: conf.Config) -> Iterator[CheckMessage]:
    if config.is_shared and not _is_installed("redis"):
        yield Error(
            "SERVERPUSH_BACKEND names a Redis, and Python's package for it is not installed.",
            hint="pip install 'django-serverpush[redis]'",
            id="serverpush.E006",
        )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:
        # So it is where something stands in its place.
        return False


def _any_host() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS contains '*', so it does not tell the site's own origins.",
            hint="Name the site's hosts; until then browsers are only let in from the very "
            "host that they connect to, and from SERVERPUSH_ALLOWED_ORIGINS.",
            id="serverpush.W005",
        )


def _middleware() -> Iterator[CheckMessage]:
    middleware = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in middleware:
        problem = "The middleware is missing: no page will be live."
    elif AUTHENTICATION in middleware[middleware.index(MIDDLEWARE) :]:
        problem = "The middleware comes before AuthenticationMiddleware."
    else:
        return
    yield Warning(problem, hint=f"Put {MIDDLEWARE!r} last in MIDDLEWARE.", id="serverpush.W002")


def _context_processor() -> Iterator[CheckMessage]:
    engines: list[dict[str, Any]] = [
        engine
        for engine in settings.TEMPLATES
        if engine["BACKEND"] == "django.template.backends.django.DjangoTemplates"
    ]
    for engine in engines:
        if CONTEXT_PROCESSOR in engine.get("OPTIONS", {}).get("context_processors", ()):
            return
    if engines:
        yield Warning(
            "The context processor is missing: templates have no generated_timestamp.",
            hint=f"Add {CONTEXT_PROCESSOR!r} to TEMPLATES[…]['OPTIONS']['context_processors'].",
            id="serverpush.W003",
        )
