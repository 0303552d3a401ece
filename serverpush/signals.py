"""Signals for a project's receivers.

``channel_subscribe`` and ``channel_unsubscribe`` are sent in a renderer, with ``request``
(of the page that subscribed, with its user and session) and ``channel_id``.
``pre_send_update`` and ``post_send_update`` are sent where ``send_update`` is called,
with ``channel_id`` and ``data``.
"""

from __future__ import annotations

from django.dispatch import Signal

channel_subscribe = Signal()
channel_unsubscribe = Signal()
pre_send_update = Signal()
post_send_update = Signal()
