"""TLS for a client whose connection one thread reads and another writes."""

from __future__ import annotations

import selectors
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

# Where a socket is closed, poll says so to who waits for it; epoll forgets it, and one waits on.
# Windows has neither.
Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)


class SharedSocket(ssl.SSLSocket):
    """A TLS socket whose ``recv`` and ``send`` two threads may call at a time.

    A plain one loses its connection now and then: OpenSSL keeps for reading and writing
    alike why the last call could not go on, so that while one thread writes, another that
    finds nothing to read may take it for the end (CPython's issues 76714 and 151508).
    Here a lock is held for each try, and not while waiting.
    """

    @property
    def _turn(self) -> threading.Lock:
        # ssl.SSLContext makes the instances without calling __init__.
        turn: threading.Lock = self.__dict__.setdefault("_turn_lock", threading.Lock())
        return turn

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As ``ssl.SSLSocket.recv``."""
        return self._taking_turns(super().recv, buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """As ``ssl.SSLSocket.send``."""
        return self._taking_turns(super().send, data, flags)

    def _taking_turns(self, call: Callable[..., T], *arguments: Any) -> T:
        while True:
            with self._turn:
                timeout = self.gettimeout()
                self.setblocking(False)
                try:
                    return call(*arguments)
                except ssl.SSLWantReadError:
                    awaited = selectors.EVENT_READ
                except ssl.SSLWantWriteError:
                    awaited = selectors.EVENT_WRITE
                finally:
                    self.settimeout(timeout)
            with Selector() as selector:
                selector.register(self, awaited)
                if not selector.select(timeout):
                    raise TimeoutError("timed out")


def shared_context(authorities: str | None = None) -> ssl.SSLContext:
    """A client's context, which verifies servers, and whose sockets two threads may use.

    Arguments:
        authorities: the path of a file of certificates to trust; None: the system's.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.sslsocket_class = SharedSocket
    return context
