"""One green thread for all the deadlines of all the connections."""

import time
from collections.abc import Callable

from serverpush.server.transport import loop

BATCH = 256


class Alarm:
    """A function that the wheel calls once, unless it is cancelled."""

    __slots__ = ("_slot", "function")

    def __init__(self, slot: "set[Alarm]", function: Callable[[], None]) -> None:
        self._slot: set[Alarm] | None = slot
        self.function: Callable[[], None] | None = function
        slot.add(self)

    def cancel(self) -> None:
        """Forget the function; may be called at any time and again."""
        if self._slot is not None:
            self._slot.discard(self)
        self._slot = self.function = None


class Wheel:
    """Deadlines in slots of ``granularity`` seconds: each costs a set entry, not a greenlet."""

    def __init__(self, granularity: float) -> None:
        self._granularity = granularity
        self._slots: dict[int, set[Alarm]] = {}
        self._last = self._tick(time.monotonic())
        self._task: loop.Task | None = None

    def after(self, seconds: float, function: Callable[[], None]) -> Alarm:
        """Call ``function`` in ``seconds``, up to two granules late. It must not wait."""
        if self._task is None:
            self._last = self._tick(time.monotonic())
            self._task = loop.spawn(self._run)
        tick = max(self._tick(time.monotonic() + seconds), self._last) + 1
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = set()
        return Alarm(slot, function)

    def stop(self) -> None:
        """Forget all deadlines and end the green thread; a later ``after`` starts it again."""
        self._slots.clear()
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()

    def _tick(self, moment: float) -> int:
        return int(moment / self._granularity)

    def _run(self) -> None:
        while True:
            loop.sleep(self._granularity)
            now = self._tick(time.monotonic())
            while self._last < now:
                self._last += 1
                self._fire(self._slots.pop(self._last, None))

    def _fire(self, slot: set[Alarm] | None) -> None:
        count = 0
        while slot:
            alarm = slot.pop()
            function = alarm.function
            alarm.cancel()
            if function is not None:
                loop.guard(function)
            count += 1
            if count % BATCH == 0:
                # thousands of clients that came back together are pinged together
                loop.sleep(0)
