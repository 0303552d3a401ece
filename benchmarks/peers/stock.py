"""Stock python-socketio, as its documentation starts it: on eventlet, or on uvicorn.

Run as a process of its own, with the name of the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from typing import Any

import socketio

EVENT = json.loads(os.environ["EVENT"])


def on_eventlet() -> None:
    import eventlet
    import eventlet.wsgi

    server = socketio.Server(async_mode="eventlet")

    def publish(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        server.emit("bench", EVENT)
        start_response("200 OK", [])
        return [b""]

    sock = eventlet.listen(("127.0.0.1", 0), backlog=4096)
    print(f"ready {sock.getsockname()[1]}", flush=True)
    eventlet.wsgi.server(sock, socketio.WSGIApp(server, publish), log_output=False, max_size=20_000)


async def on_uvicorn() -> None:
    import uvicorn

    server = socketio.AsyncServer(async_mode="asgi")

    async def publish(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await server.emit("bench", EVENT)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"ready {sock.getsockname()[1]}", flush=True)
    app = socketio.ASGIApp(server, publish)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
    await uvicorn.Server(config).serve([sock])


if __name__ == "__main__":
    if sys.argv[1] == "eventlet":
        on_eventlet()
    else:
        asyncio.run(on_uvicorn())
