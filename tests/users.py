"""Users as from a database, for what looks at nothing but their keys."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User


def saved(pk: Any, **fields: Any) -> User:
    user = User(pk=pk, **fields)
    user._state.adding = False
    return user
