"""The settings: one table of names, defaults, types and meanings."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

PREFIX = "SERVERPUSH_"
# What the address of a log begins with that several push servers share.
SHARED = ("redis://", "rediss://", "unix://")
REDIS_OPTIONS = {
    "db",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
}
# Of an address: the user and the password.
_SECRET = re.compile(r"://[^@/]*@")
NO_REDIS = (
    "SERVERPUSH_BACKEND names a Redis, and Python's package for it is not installed: "
    "pip install 'django-serverpush[redis]'"
)

# A validator returns what would be valid, as the end of a sentence, or None.
Validator = Callable[[Any], str | None]


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a text that is not empty"


def _port(value: Any) -> str | None:
    valid = type(value) is int and 0 <= value <= 65535
    return None if valid else "a port number from 0 to 65535 (0: any free one)"


def _url(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.startswith(("http://", "https://", "//", "/")):
        return None
    return "None, an empty text, or an address such as 'https://push.example.org'"


def _positive(value: Any) -> str | None:
    return None if type(value) is int and value > 0 else "a whole number above 0"


def _seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and value > 0 else "a number of seconds above 0"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "True or False"


def _texts(value: Any) -> str | None:
    if isinstance(value, list | tuple | set) and all(isinstance(each, str) for each in value):
        return None
    return "a list or tuple of texts"


def _models(value: Any) -> str | None:
    if value == "__all__":
        return None
    return None if _texts(value) is None else "'__all__', or a list of 'app_label.Model', or ()"


def _origins(value: Any) -> str | None:
    wrong = _texts(value)
    if wrong is None and all("://" in each for each in value):
        return None
    return "a list of origins such as 'https://www.example.org'"


def _path(value: Any) -> str | None:
    if value is None or (isinstance(value, str | os.PathLike) and str(value)):
        return None
    return "None or the path of a file"


def _backend(value: Any) -> str | None:
    """Where Redis is, as redis-py reads it; a number after the host is the database's."""
    valid = "'memory', or an address such as 'redis://:password@host:6379/0'"
    if value == "memory":
        return None
    if not isinstance(value, str) or not value.startswith(SHARED):
        return valid
    try:
        parts = urlsplit(value)
        is_whole = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
    except ValueError:
        return valid
    if unknown := sorted(set(parse_qs(parts.query, keep_blank_values=True)) - REDIS_OPTIONS):
        return f"{valid}; of options it may have {', '.join(sorted(REDIS_OPTIONS))}, not {unknown}"
    if parts.scheme != "unix" and not parts.path.strip("/").isdigit() and parts.path.strip("/"):
        return valid
    return None if is_whole else valid


def _channels(value: Any) -> str | None:
    valid = "a dict such as {'news-*': {'history': 100, 'seconds': 600, 'presence': True}}"
    if value == ():
        return None
    if not isinstance(value, Mapping):
        return valid
    for pattern, chosen in value.items():
        if not isinstance(pattern, str) or not pattern or not isinstance(chosen, dict):
            return valid
        for name, each in chosen.items():
            wrong = _CHANNEL[name](each) if name in _CHANNEL else f"one of {', '.join(_CHANNEL)}"
            if wrong is not None:
                return f"for {name!r} of {pattern!r} {wrong}"
    return None


def _count(value: Any) -> str | None:
    return None if type(value) is int and value >= 0 else "a whole number, 0 or more"


def _dotted(value: Any) -> str | None:
    valid = value is None or (isinstance(value, str) and "." in value.strip("."))
    return None if valid else "None or the dotted path of a function"


_CHANNEL: dict[str, Validator] = {"history": _count, "seconds": _seconds, "presence": _flag}


def _setting(default: Any, meaning: str, validator: Validator) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "validator": validator})


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings' values; each field is the setting ``SERVERPUSH_<FIELD>``."""

    host: str = _setting("127.0.0.1", "where browsers connect: the address", _text)
    port: int = _setting(8013, "where browsers connect: the port", _port)
    notifier_host: str = _setting("127.0.0.1", "where changes are reported: the address", _text)
    notifier_port: int = _setting(8014, "where changes are reported: the port", _port)
    url: str | None = _setting(
        None,
        "what the page is told to connect to; None: the page's own host with "
        "SERVERPUSH_PORT; an empty text: the page's own origin (behind a proxy)",
        _url,
    )
    globals: tuple[str, ...] = _setting(
        (), "dotted paths of update functions called for every page", _texts
    )
    models: str | tuple[str, ...] = _setting(
        "__all__",
        "whose saves and deletes are reported by themselves: '__all__' (sessions, "
        "admin log and migrations left out), a list of labels, or () for "
        "ping_notifier only",
        _models,
    )
    inject: bool = _setting(True, "put record and script into HTML pages", _flag)
    renderers: int = _setting(2, "renderer processes", _positive)
    render_timeout: float = _setting(
        10, "seconds a rendering may take; then its renderer is replaced", _seconds
    )
    history_size: int = _setting(10000, "entries of the log kept for replay", _positive)
    history_seconds: float = _setting(300, "seconds that an entry is kept for replay", _seconds)
    token_max_age: float = _setting(
        86400, "seconds that a page record or a token is accepted", _seconds
    )
    salt: str = _setting("serverpush", "the signing salt", _text)
    tokenizer: str = _setting(
        "serverpush.tokens.tokenize", "dotted path of the user-token function", _text
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        "more origins, beside the site's own hosts (ALLOWED_HOSTS, any port) and "
        "CSRF_TRUSTED_ORIGINS",
        _origins,
    )
    max_connections: int = _setting(10000, "connections admitted", _positive)
    send_buffer: int = _setting(
        1048576, "bytes that a slow client may have waiting before it is closed", _positive
    )
    state_file: str | None = _setting(
        None,
        "where a graceful stop leaves the log; None: by project and notifier port, in the "
        "user's state directory",
        _path,
    )
    channels: Mapping[str, Mapping[str, Any]] | tuple[()] = _setting(
        (),
        "how much of which channels is kept, by patterns of their ids, the first that fits: "
        "history (messages), seconds, and presence (tell who is there)",
        _channels,
    )
    channel_permission: str | None = _setting(
        None,
        "dotted path of a function (request, channel_id) that says who may subscribe to a channel "
        "without a token",
        _dotted,
    )
    backend: str = _setting(
        "memory",
        "the log: this process's memory, or the address of the Redis that several push servers "
        "share (redis://, rediss:// or unix://)",
        _backend,
    )

    @property
    def is_shared(self) -> bool:
        """Is the log in Redis?"""
        return self.backend != "memory"


@dataclasses.dataclass(frozen=True)
class Channel:
    """What is kept of a channel: so many messages, for so many seconds; is it told who is there?"""

    history: int
    seconds: float
    presence: bool


def channel(id: str) -> Channel:
    """The settings of the channel with this id."""
    found = config()
    default: dict[str, Any] = {
        "history": found.history_size,
        "seconds": found.history_seconds,
        "presence": False,
    }
    for pattern, chosen in dict(found.channels).items():
        if fnmatchcase(id, pattern):
            return Channel(**{**default, **chosen})
    return Channel(**default)


def longest_history() -> float:
    """Seconds for which the messages of any channel are kept."""
    found = config()
    chosen = [float(each.get("seconds", 0)) for each in dict(found.channels).values()]
    return max([found.history_seconds, *chosen])


def names() -> dict[str, dataclasses.Field[Any]]:
    """The settings by full name, in the table's order."""
    return {PREFIX + field.name.upper(): field for field in dataclasses.fields(Config)}


def problems() -> Iterator[tuple[str, Any, str]]:
    """The settings with a wrong value: name, value, and what is valid."""
    for name, field in names().items():
        value = getattr(settings, name, field.default)
        valid = field.metadata["validator"](value)
        if valid is not None:
            shown = _SECRET.sub("://…@", value) if isinstance(value, str) else value
            yield name, shown, valid


def unknown() -> Iterator[tuple[str, str]]:
    """The ``SERVERPUSH_*`` settings that do not exist, with the nearest that does."""
    known = names()
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            yield name, near[0] if near else ""


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings as they are now, read once until one of them changes.

    Raises ``ImproperlyConfigured`` naming each wrong value and what is valid.
    """
    wrong = [f"{name} = {value!r} is not valid: use {valid}" for name, value, valid in problems()]
    if wrong:
        raise ImproperlyConfigured("; ".join(wrong))
    values: dict[str, Any] = {
        field.name: getattr(settings, name, field.default) for name, field in names().items()
    }
    for name, value in values.items():
        if isinstance(value, list | set):
            values[name] = tuple(value)
    return Config(**values)


def with_redis(path: str) -> Any:
    """What has this dotted path, and takes redis-py, an extra, to be imported.

    Raises ``ImproperlyConfigured`` where that is not installed.
    """
    try:
        return import_string(path)
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ImproperlyConfigured(NO_REDIS) from None


def is_loopback(host: str) -> bool:
    """Is this an address of this very machine?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def state_file(notifier_port: int) -> Path:
    """Where the log of what was reported to this port is left for the next start.

    Not by the port of browsers: one server at a time can take the notifier's, so the
    last that was told of changes has left it, wherever browsers connected.
    """
    chosen = config().state_file
    if chosen is not None:
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    project = hashlib.sha256(f"{settings.SECRET_KEY}:{module}".encode()).hexdigest()[:12]
    return Path(home) / "django-serverpush" / f"{project}-{notifier_port}.json"


def losses_file(notifier_port: int) -> Path:
    """Where a process that ends without having reported its changes leaves word of it."""
    path = state_file(notifier_port)
    return path.with_name(path.name + ".losses")


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith(PREFIX):
        config.cache_clear()


setting_changed.connect(_forget)
