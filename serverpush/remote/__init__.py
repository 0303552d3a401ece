"""Clients that are no browser, on python-socketio's own: ``serverpush.Client``.

Needs neither Django's settings nor the site's code. The extra ``client`` brings what it
is made on.
"""

from serverpush.remote.client import Client, Event

__all__ = ["Client", "Event"]
