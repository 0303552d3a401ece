"""Django Channels on uvicorn with its Redis layer: a group in which all are.

Run as a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a benchmark",
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS"]], "capacity": 100_000},
        }
    },
)
django.setup()

import uvicorn  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402

EVENT = json.loads(os.environ["EVENT"])


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.channel_layer.group_add("all", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("all", self.channel_name)

    async def bench(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["data"]))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await Consumer.as_asgi()(scope, receive, send)
        return
    await get_channel_layer().group_send("all", {"type": "bench", "data": EVENT})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def serve() -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"ready {sock.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
    await uvicorn.Server(config).serve([sock])


if __name__ == "__main__":
    asyncio.run(serve())
