"""The green primitives that the rest of the server sees: eventlet's, without monkey patching.

Everything here belongs to the thread that runs the loop, but ``Waker.wake``.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import eventlet
from eventlet import event, greenio, greenthread, hubs, semaphore
from eventlet.hubs import trampoline
from greenlet import GreenletExit

from serverpush.server.transport.http import Server, serve
from serverpush.server.transport.streams import Stream

__all__ = [
    "FAILURES",
    "Event",
    "Lock",
    "Server",
    "Stream",
    "Task",
    "Waker",
    "guard",
    "listen",
    "run",
    "run_in_thread",
    "serve",
    "sleep",
    "spawn",
    "spawn_after",
    "wait_for",
]

T = TypeVar("T")

FAILURES = (Exception, eventlet.Timeout)
"""What code may raise; eventlet's ``Timeout`` is no ``Exception``."""

logger = logging.getLogger("serverpush.server")

BACKLOG = 4096


def guard(function: Callable[..., Any], *args: Any) -> None:
    """Call ``function``; an exception is logged, with its traceback, and goes no further."""
    try:
        function(*args)
    except FAILURES:
        name = getattr(function, "__qualname__", repr(function))
        logger.error("%s failed", name, exc_info=True)


class Task:
    """A green thread; what it raises is logged and never lost."""

    __slots__ = ("_done", "_green")

    def __init__(self, seconds: float, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._done = False
        self._green = greenthread.spawn_after(seconds, self._run, function, args)

    @property
    def done(self) -> bool:
        """Whether it has returned, raised or been cancelled."""
        return self._done

    def cancel(self) -> None:
        """End it where it waits; nothing happens to one that has ended."""
        if not self._done:
            self._done = True
            self._green.kill()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for its end; False where it still runs."""
        with eventlet.Timeout(timeout, False):
            with contextlib.suppress(GreenletExit):
                self._green.wait()
            return True
        return False

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            guard(function, *args)
        except GreenletExit:
            pass
        finally:
            self._done = True


def spawn(function: Callable[..., Any], *args: Any) -> Task:
    """Run ``function`` in a green thread of its own, soon."""
    return Task(0, function, args)


def spawn_after(seconds: float, function: Callable[..., Any], *args: Any) -> Task:
    """Run ``function`` in a green thread of its own in ``seconds``."""
    return Task(seconds, function, args)


def sleep(seconds: float = 0) -> None:
    """Let the others run, for at least ``seconds``."""
    eventlet.sleep(seconds)


def wait_for(seconds: float, function: Callable[..., T], *args: Any) -> T:
    """``function(*args)``, but no longer than ``seconds``: then ``TimeoutError``."""
    timeout = eventlet.Timeout(seconds)
    try:
        return function(*args)
    except eventlet.Timeout as expired:
        if expired is not timeout:
            raise
        raise TimeoutError(f"nothing came within {seconds} s") from None
    finally:
        timeout.cancel()


class Event:
    """``threading.Event`` for green threads of one loop."""

    __slots__ = ("_flag", "_waiters")

    def __init__(self) -> None:
        self._flag = False
        self._waiters: set[Any] = set()

    def set(self) -> None:
        """Wake all who wait."""
        self._flag = True
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            waiter.send(True)

    def clear(self) -> None:
        """Make the next ``wait`` wait."""
        self._flag = False

    def is_set(self) -> bool:
        """Whether ``wait`` would return at once."""
        return self._flag

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, up to ``timeout`` seconds; False where it was not."""
        if self._flag:
            return True
        waiter = event.Event()
        self._waiters.add(waiter)
        try:
            return bool(waiter.wait(timeout))
        finally:
            self._waiters.discard(waiter)


class Lock:
    """``threading.Lock`` for green threads of one loop; used by ``with``."""

    def __init__(self) -> None:
        self._semaphore = semaphore.Semaphore()

    def __enter__(self) -> None:
        self._semaphore.acquire()

    def __exit__(self, *args: object) -> None:
        self._semaphore.release()


class Waker:
    """Wakes the loop from other threads and from signal handlers, through a pipe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def wake(self) -> None:
        """Let ``wait`` return, now or when it is next called. Thread- and signal-safe."""
        try:
            os.write(self._write, b"\0")
        except BlockingIOError:
            pass  # a full pipe wakes as well
        except OSError:
            pass  # closed: nobody waits any more

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ``wake``, up to ``timeout`` seconds; several may count as one."""
        while True:
            try:
                return bool(os.read(self._read, 4096))
            except BlockingIOError:
                try:
                    trampoline(self._read, read=True, timeout=timeout, timeout_exc=TimeoutError())
                except TimeoutError:
                    return False

    def close(self) -> None:
        """Give the pipe back."""
        read, write = self._read, self._write
        self._read = self._write = -1
        for descriptor in (read, write):
            if descriptor != -1:
                os.close(descriptor)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket (green; ``port`` 0: any free one). Raises ``OSError`` as it comes."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    hubs.notify_opened(sock.fileno())
    return greenio.GreenSocket(sock)  # type: ignore[no-any-return]


def run(main: Callable[..., T], *args: Any) -> T:
    """Run ``main`` green in this thread until it returns; it is the thread's first green thread.

    Others that it spawned get no turn after it: end them before it returns.
    """
    return main(*args)


def run_in_thread(function: Callable[..., T], *args: Any) -> T:
    """A blocking call (file input and output) in a thread of its own, waited for green.

    Not eventlet's pool: that one is the process's and answers only the loop that used it first.
    """
    waker = Waker()
    result: list[T] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            result.append(function(*args))
        except BaseException as error:  # noqa: BLE001  # raised again in the loop
            failure.append(error)
        finally:
            waker.wake()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    waker.wait()
    thread.join()
    waker.close()
    if failure:
        raise failure[0]
    return result[0]
