"""The company: the other push servers of a cluster, and who is subscribed by which of them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable

from serverpush import records
from serverpush.exceptions import BadMessage, BadToken
from serverpush.records import Record
from serverpush.server.core.presence import GRACE, Presence
from serverpush.server.telemetry import Telemetry
from serverpush.stream import Held

logger = logging.getLogger("serverpush.server")

# Pages whose coming or leaving one record tells.
MEMBERS = 500


class Company:
    """Tells the others who is subscribed by this server, and hears it of them.

    Arguments:
        name: this server's.
        presence: who is subscribed, by this server and by others.
        say: adds a record to the log, and keeps what is held beside it, now or later.
        is_behind: is something yet to be added?
    """

    def __init__(
        self,
        name: str,
        presence: Presence,
        telemetry: Telemetry,
        *,
        say: Callable[[Record, Held], None],
        is_behind: Callable[[], bool],
    ) -> None:
        self._name = name
        self._presence = presence
        self._telemetry = telemetry
        self._say = say
        self._is_behind = is_behind
        # When the others by whom somebody is subscribed were heard.
        self._heard: dict[str, float] = {}

    def share(self) -> None:
        """Tell all servers who came and who left, now or as soon as can be."""
        if self._is_behind():
            # What comes until that is told is told together.
            return
        joined, left = self._presence.share()
        for begin in range(0, max(len(joined), len(left)), MEMBERS):
            came, went = joined[begin : begin + MEMBERS], left[begin : begin + MEMBERS]
            held = {
                _held_name(self._name, row[:3]): records.present(self._name, [row], []).seal()
                for row in came
            }
            gone = dict.fromkeys(_held_name(self._name, row[:3]) for row in went)
            self._say(records.present(self._name, came, went), {**held, **gone})

    def begin(self, held: Iterable[bytes], *, may_be_given_up: bool) -> None:
        """Take who is subscribed by whom, as of before what there is to read.

        May the others have said meanwhile that this server is no more?
        """
        self._presence.forget_others()
        for value in held:
            try:
                record = Record.unseal(value)
                if record.call != records.PRESENT:
                    raise BadToken()
                self.hear_present(record)
            except BadToken:
                self._telemetry.record_refused("held")
            except BadMessage as error:
                logger.error("who is subscribed could not be read: %s", error)
        if may_be_given_up:
            self._presence.may_be_given_up()
        self.share()

    def hear_present(self, record: Record) -> None:
        """A server says who came and who left."""
        said = record.value()
        self._presence.hear(said["server"], said["joined"], said["left"])

    def hear_lost(self, record: Record) -> None:
        """A server says that another is no more."""
        said = record.value()
        self._presence.lose(said["server"], said["by"])
        self.share()

    def hear(self, server: str) -> None:
        """A server is there."""
        if server in self._heard:
            self._heard[server] = time.monotonic()

    def excuse(self) -> None:
        """Nobody could be heard: all have as long again."""
        self._heard.clear()

    def look_around(self) -> None:
        """Say which servers have not been heard for as long as a page may be away."""
        now = time.monotonic()
        there = set(self._presence.elsewhere.servers) - {self._name}
        self._heard = {each: self._heard.get(each, now) for each in there}
        for server, heard in self._heard.items():
            if now - heard > GRACE:
                places = self._presence.elsewhere.places(server)
                gone = dict.fromkeys(_held_name(server, [place[0], *place[1]]) for place in places)
                self._say(records.lost(server, self._name), gone)


def _held_name(server: str, place: list[str]) -> str:
    """Under which name it is held that a page is subscribed to a channel by a server."""
    return json.dumps([server, *place])
