"""The cluster: this push server among others, which read one log."""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from serverpush import records
from serverpush.exceptions import BadMessage, BadToken, LogUnavailable, UnknownModel
from serverpush.protocol import Position
from serverpush.records import Record
from serverpush.server.bodies import MAX_GAP, Bodies, Reported
from serverpush.server.clock import Clock
from serverpush.server.company import Company
from serverpush.server.core.access import Access
from serverpush.server.core.log import Log
from serverpush.server.core.presence import GRACE, Presence
from serverpush.server.intake import TURN_SECONDS, Intake
from serverpush.server.telemetry import Telemetry
from serverpush.server.teller import Teller
from serverpush.server.transport import loop
from serverpush.server.transport.redis import GREEN
from serverpush.stream import READ, START, Fields, Id, State, Stream, is_earlier

logger = logging.getLogger("serverpush.server")

BEAT_SECONDS = 3.0
# Who has not heard itself for so long does not hear the others.
DEAF_SECONDS = 10.0
# And whose clients are closed when it can't read or add for so long: another may know more.
LET_GO_SECONDS = 30.0
# For which one reading waits where there is nothing new.
WAIT_SECONDS = 1.0
# By which the log may be ahead of Redis's clock.
AHEAD_SECONDS = 10.0
# Between two readings where there is something new: what comes meanwhile is read at once, which
# costs this server and Redis less than each by itself.
PACE_SECONDS = 0.01
# By which this server may be behind the one that a client comes from.
BEHIND_SECONDS = 2.0
STOP_SECONDS = 1.0
FIRST_DELAY = 0.25
LAST_DELAY = 2.0
# Batches that may come again.
REMEMBERED_BATCHES = 100_000
# Ends of access that are taken between two turns of others.
SLICE = 100
# One record may have so many entries, as a power of two: a body of a MiB has fewer.
PLACES = 16


class Cluster:
    """Reads what is in the stream, and adds to it what this push server is told.

    Arguments:
        url: ``SERVERPUSH_BACKEND``.
        bodies: reads the records' bodies.
        is_local: is Redis on this machine, so that its clock is this one's?
        presence: who is subscribed, by this server, ``name``, and by others.
        on_open: called once, when all that there was has been read.
    """

    def __init__(
        self,
        url: str,
        *,
        bodies: Bodies,
        intake: Intake,
        log: Log,
        access: Access,
        clock: Clock,
        telemetry: Telemetry,
        is_local: bool,
        presence: Presence,
        name: str,
        on_open: Callable[[], None],
    ) -> None:
        self._reader, self._writer = Stream(url, GREEN), Stream(url, GREEN)
        self._bodies = bodies
        self._intake = intake
        self._log = log
        self._access = access
        self._clock = clock
        self._telemetry = telemetry
        self._is_local = is_local
        self._name = name
        self._on_open = on_open
        self._teller = Teller(self._writer, self._note_away)
        self._company = Company(
            name,
            presence,
            telemetry,
            say=self._teller.say,
            is_behind=lambda: self._teller.is_behind,
        )
        self._life = ""
        self._after = START
        # How many entries there were up to that one.
        self._seen = 0
        self._batches: OrderedDict[str, None] = OrderedDict()
        self._is_open = False
        self._heard_at = self._read_at = self._added_at = time.monotonic()
        self._trouble: str | None = None
        self._tasks: list[loop.Task] = []
        self._words = {
            records.BEAT: self._hear_beat,
            records.PRESENT: self._company.hear_present,
            records.LOST: self._company.hear_lost,
        }

    def start(self) -> None:
        """Begin to read, and to show that this server is there."""
        self._tasks = [loop.spawn(self._follow), loop.spawn(self._beat)]

    def stop(self) -> None:
        """Read and add no more; what the others have not been told they are told, if it can be."""
        for task in self._tasks:
            task.cancel()
        try:
            loop.wait_for(STOP_SECONDS, self._tell_all)
        except TimeoutError:
            logger.error("not all could be told to the other push servers before the end")
        for stream in (self._reader, self._writer):
            stream.close()

    def _tell_all(self) -> None:
        self._teller.tell()
        self._company.share()
        self._teller.tell()

    @property
    def unheard(self) -> float:
        """Seconds since this server last heard itself."""
        return time.monotonic() - self._heard_at

    @property
    def is_open(self) -> bool:
        """Is all known that was in the log some seconds ago?"""
        return self._is_open and self.unheard <= DEAF_SECONDS

    @property
    def is_cut_off(self) -> bool:
        """Could it not read, or not add, for so long that clients better go elsewhere?

        Not where Redis is full: what there is reaches them, and more nobody has.
        """
        at = min(self._read_at, self._added_at)
        return self._is_open and time.monotonic() - at > LET_GO_SECONDS

    def knows(self, position: Position | None) -> bool:
        """Is all known that is in the log up to a position, or to just now?

        A client may come from a server that has read more: waits until this one has, too.
        """
        if position is None or position.epoch != self._log.epoch:
            return self.is_open
        until = time.monotonic() + BEHIND_SECONDS
        while self.is_open and self._log.head < position and time.monotonic() < until:
            loop.sleep(0.05)
        return self.is_open and self._log.head >= position

    @property
    def status(self) -> str:
        if self.is_open:
            return "ok"
        what = "does not hear the others" if self._is_open else "has not read the log yet"
        if self._trouble is None:
            return f"{what}: there is much to read"
        return f"{what}: {LogUnavailable(self._reader.place, self._trouble)}"

    # What this server tells

    def take(self, reported: Reported) -> Position:
        """Add what is reported for all servers, this one too; returns its position.

        Raises ``LogUnavailable``.
        """
        if self._trouble is not None and not self.is_open:
            # Whoever asks need not wait for what has been tried.
            raise LogUnavailable(self._writer.place, self._trouble)
        batch = reported.batch or uuid.uuid4().hex
        if reported.ending is not None:
            # Now, for those too who read it later.
            at = reported.ending.at or self._clock()
            record = records.ending(batch, replace(reported.ending, at=at), reported.gap)
        else:
            record = records.notice(batch, reported.changes, reported.messages, reported.gap)
        id, epoch = self._teller.add(record)
        entries = bool(reported.gap) + len(reported.changes) + len(reported.messages)
        return _position(id, epoch, entries)

    def gap(self, reason: str) -> None:
        """Changes were lost: tell all servers, now or as soon as can be."""
        self._teller.say(records.notice(uuid.uuid4().hex, gap=reason[:MAX_GAP]))

    def share(self) -> None:
        """Tell all servers who came to channels and who left, now or as soon as can be."""
        self._company.share()

    def _beat(self) -> None:
        while True:
            loop.guard(self._show)
            loop.sleep(BEAT_SECONDS)

    def _show(self) -> None:
        """Show that this server is there, and look who else is."""
        # Before anything is added: a Redis that is full takes nothing else.
        self._teller.attempt(self._trim)
        self._teller.tell()
        if self._teller.attempt(
            lambda: self._writer.add(records.beat(self._name, time.monotonic()))
        ):
            self._added_at = time.monotonic()
        if self.is_open:
            self._company.look_around()

    def _trim(self) -> None:
        now = self._writer.now()
        if not self._is_local:
            self._clock.follow(now)
        self._writer.trim(now)
        if self._after.time / 1000 > now + AHEAD_SECONDS:
            # All that comes gets places after it, and would be news to pages that are newer.
            logger.error(
                "the log in Redis at %s is from a time to come: was its clock set back, or did "
                "somebody else write to it? A new one begins",
                self._writer.place,
            )
            self._writer.renew(self._life)

    # What is in the log

    def _follow(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                state = self._reader.open()
                if not self._life:
                    self._begin(state)
                while True:
                    self._read()
                    delay = FIRST_DELAY
            except LogUnavailable as error:
                self._note_away(error)
            except loop.FAILURES:
                logger.error("the log could not be read on", exc_info=True)
            loop.sleep(delay)
            delay = min(2 * delay, LAST_DELAY)

    def _read(self) -> None:
        entries, state = self._reader.read(self._after, WAIT_SECONDS)
        if is_earlier(state.life, self._life):
            # What came since is lost, and pages that know of it would be told nothing.
            self._reader.renew(state.life, self._life)
        elif state.life != self._life:
            self._begin(state if state.life else self._reader.open(self._life), "the log was lost")
        elif state.has_lost(self._after):
            # What others read of it nobody knows: all begin anew.
            self._reader.renew(self._life)
        elif state.trimmed > self._seen:
            self._begin(state, "the log was trimmed before it was read")
        else:
            turn = time.monotonic()
            for id, fields in entries:
                self._after = id
                self._seen += 1
                self._apply(id, fields)
                turn = self._let_others(turn)
            self._read_at = time.monotonic()
        # However much there is: others have their turn.
        loop.sleep(PACE_SECONDS if 0 < len(entries) < READ else 0)

    def _let_others(self, turn: float) -> float:
        """Let others have their turn where this one, begun then, was long; when it begins."""
        if time.monotonic() - turn <= TURN_SECONDS:
            return turn
        loop.sleep()
        return time.monotonic()

    def _begin(self, state: State, lost: str = "") -> None:
        """Begin to read what there is; ``lost`` is what came before, for those who were there."""
        # First what may fail: then nothing has changed.
        ends, known_since = self._reader.ends()
        held = list(self._reader.held())
        now = None if self._is_local else self._reader.now()
        first = state.first if state.kept else state.last
        # Another log says of no server that it is gone.
        may_be_given_up = state.life == self._life
        if state.life != self._life:
            # What went with it may be added again.
            self._batches.clear()
            # Positions begin anew, too.
            self._clock.begin(now)
        self._life, self._seen = state.life, state.trimmed
        self._after = START if state.kept else state.last
        self._log.share(_position(first, state.epoch))
        if lost:
            self._intake.renewed(lost)
        self._access.know_since(max(state.began / 1000, known_since), self._clock())
        for number, fields in enumerate(ends, 1):
            self._take_end(fields)
            if number % SLICE == 0:
                loop.sleep()
        self._company.begin(held, may_be_given_up=may_be_given_up)
        self._read_at = time.monotonic()

    def _take_end(self, fields: Fields) -> None:
        try:
            record = Record.read(fields)
            if record.call != records.DISCONNECT:
                raise BadToken()
            reported = self._bodies.ending(record.value())
        except BadToken:
            self._telemetry.record_refused("ends")
        except BadMessage as error:
            logger.error("an end of access could not be read: %s", error)
        else:
            # A gap that it came with is in the log.
            self._intake.take(Reported(reported.batch, ending=reported.ending))

    def _apply(self, id: Id, fields: Fields) -> None:
        if b"life" in fields:
            return
        try:
            record = Record.read(fields)
        except BadToken:
            self._telemetry.record_refused("log")
            return
        self._log.place(_position(id, self._log.epoch))
        try:
            if record.call in self._words:
                self._words[record.call](record)
            else:
                self._take(self._reported(record))
        except (BadMessage, UnknownModel) as error:
            self._intake.gap(f"a record could not be read: {error}"[:500])
        except loop.FAILURES:
            logger.error("a record could not be taken", exc_info=True)
            self._intake.gap("the push server made a mistake, which its log tells of")

    def _reported(self, record: Record) -> Reported:
        if record.call == records.NOTIFY:
            return self._bodies.changes(record.value())
        if record.call == records.DISCONNECT:
            return self._bodies.ending(record.value())
        raise BadMessage(f"there is no call {record.call!r}: is it of a later version?")

    def _take(self, reported: Reported) -> None:
        """Apply what has not been: a batch comes again where its answer was lost."""
        if reported.batch in self._batches:
            return
        self._batches[reported.batch] = None
        if len(self._batches) > REMEMBERED_BATCHES:
            self._batches.popitem(last=False)
        self._intake.take(reported)

    def _hear_beat(self, record: Record) -> None:
        said = record.value()
        server, sent = said["server"], said["at"]
        self._company.hear(server)
        if server != self._name:
            return
        if self.unheard > GRACE - BEAT_SECONDS:
            self._company.excuse()
        # Since then nothing is missing; when it is read may be much later.
        self._heard_at = max(self._heard_at, sent)
        if not self._is_open and self.unheard > DEAF_SECONDS:
            return
        if self._trouble is not None:
            logger.info("the log in Redis at %s is back", self._reader.place)
            self._trouble = None
        if not self._is_open:
            self._is_open = True
            self._on_open()

    def _note_away(self, error: LogUnavailable) -> None:
        """Say once what is wrong, until this server hears itself again."""
        if error.is_full:
            # Nobody else could.
            self._added_at = time.monotonic()
        if self._trouble is None:
            logger.error("%s: clients and changes wait until it is back", error)
        self._trouble = error.reason


def _position(id: Id, epoch: str, entries: int = 0) -> Position:
    """Where the log stands after so many entries of a record; they follow its place."""
    return Position(id.time, (id.number << PLACES) + entries, epoch)
