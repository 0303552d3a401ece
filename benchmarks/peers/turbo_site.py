"""turbo-django on uvicorn, with Channels' Redis layer: a model's instance that pages follow.

Run as a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a benchmark",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["turbo", "followed"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS"]], "capacity": 100_000},
        }
    },
)
django.setup()

import uvicorn  # noqa: E402
from asgiref.sync import sync_to_async  # noqa: E402
from django.core.management import call_command  # noqa: E402
from followed.models import Author  # noqa: E402
from turbo.consumers import TurboStreamsConsumer  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
AUTHOR = Author.objects.create(name="0")


class Consumer(TurboStreamsConsumer):  # type: ignore[misc]
    """Says when it is subscribed, so that the load client need not guess."""

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        super().receive_json(content, **kwargs)
        self.send_json({"ready": True})


def save() -> None:
    AUTHOR.name = f"{int(AUTHOR.name) + 1:0100}"
    AUTHOR.save()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await Consumer.as_asgi()(scope, receive, send)
        return
    await sync_to_async(save)()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def serve() -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"ready {sock.getsockname()[1]} {AUTHOR.stream.signed_stream_name}", flush=True)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
    await uvicorn.Server(config).serve([sock])


if __name__ == "__main__":
    asyncio.run(serve())
