"""Signing and verifying what leaves the site and comes back: Django's own signing."""

from __future__ import annotations

import hmac
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from serverpush.conf import Config, config
from serverpush.exceptions import BadToken, PageTooLarge, TokenExpired
from serverpush.messages import Topic
from serverpush.protocol import Page

# A token made before a change of the page's JSON must not be misread after it.
PAGE_VERSION = 1
# The push server accepts messages of 16 KiB, in which the token is not alone.
MAX_TOKEN = 15 * 1024
# Characters of a user's token by another tokenizer.
MAX_OPAQUE = 2000


def sign_page(page: Page) -> str:
    """The page record's token: readable by its holder, not changeable.

    Raises ``PageTooLarge`` where the push server would not accept it.
    """
    token = _sign("page", [PAGE_VERSION, page.to_json()])
    if len(token) > MAX_TOKEN:
        raise PageTooLarge(page.path, len(token), MAX_TOKEN, len(page.dependencies))
    return token


def verify_page(token: Any) -> Page:
    """The page that a token stands for.

    Raises ``TokenExpired`` when it is older than ``SERVERPUSH_TOKEN_MAX_AGE``
    seconds, ``BadToken`` for everything that ``sign_page`` did not make here.
    """
    version, value = _verify("page", token)
    if version != PAGE_VERSION:
        raise TokenExpired()
    return Page.from_json(value)


def tokenize(user: Any) -> str:
    """A user's token: who has it gets what is sent to that user.

    Arguments:
        user: an instance of the user model that is saved.

    Raises ``ValueError`` for anybody else. Accepted for ``SERVERPUSH_TOKEN_MAX_AGE``
    seconds, or until the user's access ends.
    """
    return _sign("user", [user_key(user), time.time()])


def user_key(user: Any) -> str:
    """A saved user's primary key as text; raises ``ValueError`` for what is none."""
    pk = getattr(user, "pk", None)
    if pk is None or not getattr(user, "is_authenticated", False):
        raise ValueError(f"{user!r} is not a user that is saved: nothing can be sent there")
    try:
        model = get_user_model()
    except ImproperlyConfigured as error:
        raise ValueError(f"{user!r} is nobody's user: {error}") from None
    if not isinstance(user, model):
        raise ValueError(f"{user!r} is no {settings.AUTH_USER_MODEL}, whose keys are others")
    if user._state.adding:
        raise ValueError(f"{user!r} is not saved yet: nothing can be sent there")
    return str(pk)


def verify_user(token: Any) -> tuple[str, float]:
    """The user's key as text and when the token was made, in seconds since the epoch.

    Raises ``TokenExpired`` and ``BadToken`` as ``verify_page`` does.
    """
    user, made = _verify("user", token)
    return user, made


def is_opaque(token: Any) -> bool:
    """May this be a user's token by a function of the project's own (``SERVERPUSH_TOKENIZER``)?

    Such a function gives a user's token, but does not tell a token's user.
    """
    has_own = config().tokenizer != Config.tokenizer
    return has_own and isinstance(token, str) and 0 < len(token) <= MAX_OPAQUE


def token_of(user: Any) -> str:
    """A user's token by ``SERVERPUSH_TOKENIZER``; "" where that gives none.

    Raises ``ValueError`` for one that is too long, and what the tokenizer raises.
    """
    token = import_string(config().tokenizer)(user)
    # Whatever else says that there is none, such as False, must not become a text that is one.
    text = str(token) if token and token is not True else ""
    if len(text) > MAX_OPAQUE:
        raise ValueError(f"a user's token may have {MAX_OPAQUE} characters, not {len(text)}")
    return text


def token_hash(token: str) -> str:
    """What is kept of a user's token: enough to compare, useless to guess."""
    return _hashed("serverpush.token", token)


def sign_topic(topic: Topic, session: str, user: str) -> str:
    """The token by which one session may follow a topic.

    Arguments:
        session: the hash of its key, empty for a visitor who has none.
        user: the key of the user as text, where the session has no key of its own.
    """
    return _sign("topic", [topic, session, user])


def verify_topic(token: Any, *, ages: bool = True) -> tuple[Topic, str, str]:
    """What ``sign_topic`` signed; raises ``BadToken``, and ``TokenExpired`` if it ``ages``."""
    topic, session, user = _verify("topic", token, ages=ages)
    return topic, session, user


def session_hash(session_key: str | None) -> str:
    """What a page record says of a session: enough to compare, useless to guess."""
    if not session_key:
        return ""
    return _hashed("serverpush.session", session_key)


def notifier_key() -> str:
    """The bearer key of the notifier port, derived from ``SECRET_KEY``."""
    return _notifier_key(settings.SECRET_KEY)


def notifier_keys() -> list[str]:
    """The keys that the notifier port accepts: today's, and those of ``SECRET_KEY_FALLBACKS``."""
    return [_notifier_key(each) for each in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def sign_record(call: bytes, body: bytes) -> bytes:
    """What shows that a record of the shared log was written by who has ``SECRET_KEY``."""
    return _record_signature(call, body, settings.SECRET_KEY)


def is_signed_record(call: bytes, body: bytes, signature: bytes) -> bool:
    """Was it signed with ``SECRET_KEY``, or one of ``SECRET_KEY_FALLBACKS``?"""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(
        hmac.compare_digest(signature, _record_signature(call, body, each)) for each in secrets
    )


def _record_signature(call: bytes, body: bytes, secret: str | bytes) -> bytes:
    key = _record_key(secret, config().salt)
    return hmac.digest(key, call + b"\n" + body, "sha256").hex().encode()


@lru_cache(maxsize=16)
def _record_key(secret: str | bytes, salt: str) -> bytes:
    return salted_hmac(f"{salt}.record", "key", secret=secret, algorithm="sha256").digest()


def _notifier_key(secret: str | bytes) -> str:
    return salted_hmac("serverpush.notifier", "key", secret=secret, algorithm="sha256").hexdigest()


def _hashed(salt: str, secret: str) -> str:
    return salted_hmac(salt, secret, algorithm="sha256").hexdigest()[:24]


def _sign(use: str, value: Any) -> str:
    return signing.dumps(value, salt=f"{config().salt}.{use}", compress=True)


def _verify(use: str, token: Any, *, ages: bool = True) -> Any:
    if not isinstance(token, str):
        raise BadToken()
    try:
        most = timedelta(seconds=config().token_max_age) if ages else None
        return signing.loads(token, salt=f"{config().salt}.{use}", max_age=most)
    except signing.SignatureExpired:
        raise TokenExpired() from None
    except (signing.BadSignature, UnicodeError):
        raise BadToken() from None
