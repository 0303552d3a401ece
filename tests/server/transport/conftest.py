"""A transport on its own loop in a thread, and raw clients for it."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import websocket

from serverpush.server.transport import Client, Frame, Limits, Refused, Transport, loop

WAIT = 10
STOP = 20
SMALL_BUFFER = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
"""Of a WebSocket that is to be stuck soon."""


class Handlers:
    """What the tests' server does; every call is recorded."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.changed = threading.Condition()
        self.connect: Callable[[Client, Any], None] = lambda client, auth: None
        self.joined: Callable[[Client], None] = lambda client: None
        self.event: Callable[[Client, str, list[Any]], Any] = lambda client, name, args: None
        self.disconnect: Callable[[Client, str], None] = lambda client, reason: None
        self.origin: Callable[[dict[str, Any]], bool] = lambda environ: True

    def note(self, *call: Any) -> None:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def wait(self, kind: str, count: int = 1) -> list[tuple[Any, ...]]:
        """The calls of one kind, when there are ``count``."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(kind)) >= count, WAIT), self.calls
            return self.of(kind)

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == kind]

    def on_connect(self, client: Client, auth: Any) -> None:
        self.note("connect", client, auth)
        self.connect(client, auth)

    def on_joined(self, client: Client) -> None:
        self.joined(client)
        self.note("joined", client)

    def on_event(self, client: Client, name: str, args: list[Any]) -> Any:
        self.note("event", client, name, args)
        return self.event(client, name, args)

    def on_refused(self, client: Client, code: str) -> None:
        self.note("refused", client, code)

    def on_disconnect(self, client: Client, reason: str) -> None:
        self.note("disconnect", client, reason)
        self.disconnect(client, reason)


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(f"{record.levelname} {record.getMessage()}" for record in self.records)


class Running:
    """A transport that serves on 127.0.0.1."""

    def __init__(self, limits: Limits, fallback: Any = None) -> None:
        self.handlers = Handlers()
        self.limits = limits
        self.log = Log()
        self.logger = logging.Logger("test", logging.DEBUG)
        self.logger.addHandler(self.log)
        self._fallback = fallback
        self._ready = threading.Event()
        self._open: list[Any] = []
        self._calls: list[tuple[Any, ...]] = []
        self._thread = threading.Thread(target=loop.run, args=(self._main,), daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT)

    def _main(self) -> None:
        handlers = self.handlers
        self.transport = Transport(
            limits=self.limits,
            origin_allowed=lambda environ: handlers.origin(environ),
            on_connect=handlers.on_connect,
            on_joined=handlers.on_joined,
            on_event=handlers.on_event,
            on_disconnect=handlers.on_disconnect,
            on_refused=handlers.on_refused,
            fallback=self._fallback,
            logger=self.logger,
        )
        sock = loop.listen("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        self.server = loop.serve(
            sock,
            self.transport.wsgi_app,
            max_connections=self.limits.max_http,
            log=self.logger,
        )
        self._waker = loop.Waker()
        self._ready.set()
        stopped = False
        while not stopped:
            self._waker.wait()
            while self._calls:
                stopped = self._carry_out(*self._calls.pop(0)) or stopped
        self.transport.stop()
        self.server.stop(0)
        self._waker.close()

    def _carry_out(self, function: Any, args: Any, box: list[Any], done: threading.Event) -> bool:
        if function is None:
            done.set()
            return True

        def run() -> None:
            try:
                box.append((True, function(*args)))
            except BaseException as error:  # noqa: BLE001  # raised again by call
                box.append((False, error))
            finally:
                done.set()

        loop.spawn(run)
        return False

    def call(self, function: Any, *args: Any) -> Any:
        """Run ``function`` on the loop."""
        box: list[Any] = []
        done = threading.Event()
        self._calls.append((function, args, box, done))
        self._waker.wake()
        assert done.wait(WAIT), "the loop does not answer"
        if not box:
            return None
        good, value = box[0]
        if not good:
            raise value
        return value

    def settle(self) -> None:
        """Let the loop do what it has to do."""
        for _ in range(3):
            self.call(loop.sleep, 0)

    def client(self, of: "WebSocketClient | PollingClient | None" = None) -> Client:
        """The server's side of a joined client, by default of the only one."""

        def found() -> list[Client]:
            joined = [call[1] for call in self.handlers.of("joined")]
            return [client for client in joined if of is None or client.id == of.sid]

        with self.handlers.changed:
            assert self.handlers.changed.wait_for(found, WAIT), self.handlers.calls
            return found()[-1]

    def send(self, *texts: str, name: str = "news") -> None:
        for text in texts:
            self.call(self._send_all, Frame.event(name, text))

    def _send_all(self, frame: Frame) -> None:
        self.transport.send(list(self.transport.clients.values()), frame)

    def stop(self) -> None:
        for client in self._open:
            client.close()
        if self._thread.is_alive():
            self.call(None)
            self._thread.join(STOP)
            assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/socket.io/"

    def raw(self, receive_buffer: int | None = None) -> socket.socket:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(WAIT)
        self._open.append(sock)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def websocket(
        self, *, join: bool = True, auth: Any = None, query: str = "", **options: Any
    ) -> "WebSocketClient":
        """A WebSocket; joined unless told otherwise."""
        options.setdefault("timeout", WAIT)
        ws = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket{query}", **options
        )
        self._open.append(ws.sock)
        client = WebSocketClient(ws)
        if not query:
            opened = client.text()
            assert opened[0] == "0"
            client.open = json.loads(opened[1:])
            if join:
                client.join(auth)
        return client

    def polling(self, *, join: bool = True, **options: Any) -> "PollingClient":
        client = PollingClient(self.url, **options)
        self._open.append(client.http)
        if join:
            client.join()
        return client


class WebSocketClient:
    def __init__(self, ws: websocket.WebSocket) -> None:
        self.ws = ws
        self.open: dict[str, Any] = {}
        self.sid = ""

    def text(self) -> str:
        text = self.ws.recv()
        return text if isinstance(text, str) else text.decode()

    def packet(self) -> str:
        """The next packet that is no ping; pings are answered."""
        while (text := self.text()) == "2":
            self.ws.send("3")
        return text

    def join(self, auth: Any = None) -> None:
        self.ws.send("40" + ("" if auth is None else json.dumps(auth)))
        answer = self.packet()
        assert answer.startswith("40"), answer
        self.sid = json.loads(answer[2:])["sid"]

    def emit(self, name: str, *args: Any, ack: int | None = None) -> None:
        self.ws.send(f"42{'' if ack is None else ack}" + json.dumps([name, *args]))

    def closed(self) -> bool:
        """Read on until the server has closed."""
        try:
            while True:
                opcode, _ = self.ws.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return True
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return True
        except websocket.WebSocketTimeoutException:
            return False


class PollingClient:
    def __init__(self, url: str, **options: Any) -> None:
        self.http = requests.Session()
        self.url = url
        self.params = {"EIO": "4", "transport": "polling"}
        self.options = options
        answer = self.get()
        assert answer.status_code == 200, answer.text
        self.open = json.loads(answer.text[1:])
        self.params["sid"] = self.open["sid"]
        self.sid = ""

    def get(self, **options: Any) -> requests.Response:
        return self.http.get(self.url, params=self.params, timeout=WAIT, **self.options, **options)

    def post(self, body: str | bytes, **options: Any) -> requests.Response:
        return self.http.post(
            self.url, params=self.params, data=body, timeout=WAIT, **self.options, **options
        )

    def poll(self) -> list[str]:
        answer = self.get()
        assert answer.status_code == 200, answer.text
        return answer.text.split("\x1e")

    def join(self) -> None:
        assert self.post("40").status_code == 200
        (answer,) = self.poll()
        assert answer.startswith("40"), answer
        self.sid = json.loads(answer[2:])["sid"]


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start transports; they are stopped after the test."""
    started: list[Running] = []

    def start(fallback: Any = None, **limits: Any) -> Running:
        started.append(Running(Limits(**limits), fallback))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def server(start: Callable[..., Running]) -> Running:
    """A transport with the default limits."""
    return start()


@pytest.fixture
def refused() -> type[Refused]:
    return Refused
