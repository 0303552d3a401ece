"""What a project's function gives, be it a coroutine function or a plain one."""

from __future__ import annotations

import inspect
from typing import Any

from asgiref.sync import async_to_sync


def awaited(value: Any) -> Any:
    """The value itself, or what it comes to where it can be awaited."""
    return async_to_sync(_wait)(value) if inspect.isawaitable(value) else value


async def _wait(value: Any) -> Any:
    return await value
