"""HTTP and WebSocket for asyncio, no more of them than a client of the push server needs."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from dataclasses import dataclass
from urllib.parse import urlencode

SOCKET_IO = "/socket.io/"
SECONDS = 60.0
TEXT, CLOSE = 1, 8


@dataclass(frozen=True)
class Answer:
    """Of an HTTP request; ``cookie`` is what to send back."""

    status: int
    text: str
    cookie: str


class Http:
    """One kept-alive connection to a port of this machine."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._port = port
        self._headers = headers or {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: str = "") -> Answer:
        async with asyncio.timeout(SECONDS):
            return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        data = body.encode()
        headers = self._headers | {"Host": "127.0.0.1", "Content-Length": str(len(data))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        status, lines = await _head(reader)
        found = [line for line in lines if line[0] == "set-cookie"]
        cookie = "; ".join(value.partition(";")[0] for _, value in found)
        length = int(dict(lines).get("content-length", "0"))
        return Answer(status, (await reader.readexactly(length)).decode(), cookie)

    def drop(self) -> None:
        """End it without a word."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def get(port: int, path: str, headers: dict[str, str] | None = None) -> Answer:
    http = Http(port, headers)
    try:
        return await http.ask("GET", path)
    finally:
        http.drop()


async def _head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lines = [line.partition(":") for line in head[1:] if line]
    return int(head[0].split()[1]), [(name.lower(), value.strip()) for name, _, value in lines]


class Polling:
    """Engine.IO packets over polling."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._down, self._up = Http(port, headers), Http(port, headers)
        self._query = {"EIO": "4", "transport": "polling"}

    async def open(self) -> int:
        """The handshake's status."""
        answer = await self._down.ask("GET", self._path())
        if answer.status == 200:
            self._query["sid"] = answer.text.partition('"sid":"')[2].partition('"')[0]
        return answer.status

    async def read(self) -> list[str]:
        """The next packets; none when the connection has ended."""
        answer = await self._down.ask("GET", self._path())
        return answer.text.split("\x1e") if answer.status == 200 else []

    async def send(self, packet: str) -> None:
        await self._up.ask("POST", self._path(), packet)

    async def bid_goodbye(self) -> None:
        await self.send("1")

    def drop(self) -> None:
        self._down.drop()
        self._up.drop()

    def _path(self) -> str:
        return f"{SOCKET_IO}?{urlencode(self._query)}"


class WebSocket:
    """Engine.IO packets over a WebSocket."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port, self._headers = port, headers

    async def open(self) -> int:
        """The handshake's status, 101 for a WebSocket."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        headers = self._headers | {
            "Host": f"127.0.0.1:{self._port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        query = urlencode({"EIO": "4", "transport": "websocket"})
        self._writer.write(f"GET {SOCKET_IO}?{query} HTTP/1.1\r\n{head}\r\n".encode())
        status, _ = await _head(self._reader)
        if status == 101:
            await self.read()
        return status

    async def read(self) -> list[str]:
        """The next packets; none when the connection has ended."""
        async with asyncio.timeout(SECONDS):
            kind, size = await self._reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
            data = await self._reader.readexactly(size)
        return [data.decode()] if kind & 0x0F == TEXT else []

    async def send(self, packet: str) -> None:
        await self._write(TEXT, packet.encode())

    async def bid_goodbye(self) -> None:
        await self._write(CLOSE, struct.pack("!H", 1000))
        await self._reader.read()

    async def _write(self, kind: int, data: bytes) -> None:
        # The mask is zero, so that the payload is plain (RFC 6455, 5.2 and 5.3).
        size = len(data)
        short = struct.pack("!BB", 0x80 | kind, 0x80 | min(size, 126))
        long = struct.pack("!H", size) if size >= 126 else b""
        self._writer.write(short + long + b"\0\0\0\0" + data)
        await self._writer.drain()

    def drop(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.transport.abort()
