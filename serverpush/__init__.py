"""Live pages for Django: define ``hello_update`` beside the view ``hello``."""

from serverpush.updates import Update
from serverpush.version import __version__

__all__ = ["Update", "__version__"]
