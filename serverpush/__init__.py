"""Live pages for Django: define ``hello_update`` beside the view ``hello``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from serverpush.updates import Update
from serverpush.version import __version__

if TYPE_CHECKING:
    from serverpush.remote import Client

__all__ = ["Client", "Update", "__version__"]


def __getattr__(name: str) -> Any:
    # The site's processes do not import Socket.IO for it.
    if name == "Client":
        return import_module("serverpush.remote").Client
    raise AttributeError(f"module 'serverpush' has no attribute {name!r}")
