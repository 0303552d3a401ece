"""The stream: the log that several push servers share, in Redis.

Beside the stream there are the name of its life, which changes when entries of it were
lost; a second stream with the ends of access, which are remembered for longer; and what
push servers hold there of who is subscribed by them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import OutOfMemoryError, RedisError
from redis.retry import Retry

from serverpush.conf import config, longest_history
from serverpush.exceptions import LogUnavailable
from serverpush.records import DISCONNECT, Record

# Seconds for connecting, and for each answer.
TIMEOUT = 5.0
# Records of the stream: more than that are too many to read at a start.
MAX_RECORDS = 100_000
# Bytes that it may take in Redis.
MAX_BYTES = 256 * 1024 * 1024
# Records that are read at once; one may have a MiB.
READ = 50
ATTEMPTS = 3
# The first whose streams say how many entries they ever had.
OLDEST = (7, 0)

Fields = Mapping[bytes, bytes]


class Id(NamedTuple):
    """Where an entry is: milliseconds since the epoch by Redis's clock, and a number in it."""

    time: int
    number: int

    def __str__(self) -> str:
        return f"{self.time}-{self.number}"

    @classmethod
    def parse(cls, text: bytes | str) -> Id:
        time, _, number = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(time), int(number))


START = Id(0, 0)

Entry = tuple[Id, Fields]

Held = Mapping[str, bytes | None]
"""What is kept by name beside the stream, whatever is trimmed; None: no more."""


@dataclass(frozen=True, slots=True)
class State:
    """What there is, and whether an entry that was there still is.

    ``added`` counts the entries that there ever were, ``kept`` those that are there now.
    """

    life: str
    added: int
    kept: int
    first: Id
    last: Id
    is_there: bool

    @property
    def epoch(self) -> str:
        """The name of this life, as positions have it."""
        return self.life.partition(".")[0]

    @property
    def began(self) -> int:
        """When it began, in milliseconds since the epoch by Redis's clock."""
        return _number(self.life, 1)

    @property
    def trimmed(self) -> int:
        return self.added - self.kept

    def has_lost(self, id: Id) -> bool:
        """Is this entry gone, and not because the stream was trimmed?"""
        if id == START or self.is_there:
            return False
        return id > self.last or (self.kept > 0 and id >= self.first)


# Comes before the scripts that follow. What somebody else has written there is no life's name.
_LIFE = """
local function life_at(key)
    local life = redis.call('GET', key)
    local order = life and string.match(life, '^%x+%.%d+%.(%d+)$')
    return order and #order <= 15 and life or false
end
"""

# Its name is gone where Redis had to forget something, and the stream where somebody
# deleted it: either way nobody knows what is missing. A life is later than the one before
# by its last number, even if the clock was set back in between.
_BEGIN = """
local life = life_at(KEYS[2])
if life and life ~= ARGV[2] and redis.call('EXISTS', KEYS[1]) == 1 then
    return life
end
local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(time[2] / 1000))
local order = tonumber(now)
for _, before in ipairs({life or '', ARGV[2], ARGV[3]}) do
    local number = tonumber(string.match(before, '%d+$'))
    if number and number >= order then
        order = number + 1
    end
end
life = ARGV[1] .. '.' .. now .. '.' .. string.format('%.0f', order)
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('XADD', KEYS[1], '*', 'life', life)
redis.call('SET', KEYS[2], life)
return life
"""

_STATE = """
local life = life_at(KEYS[2])
if not life or redis.call('EXISTS', KEYS[1]) == 0 then
    return {'', '0', '0', '', '', 0}
end
local found = {}
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for place = 1, #info, 2 do
    found[info[place]] = info[place + 1]
end
local first = found['first-entry']
return {
    life, tostring(found['entries-added']), tostring(found['length']),
    first and first[1] or '0-0', found['last-generated-id'],
    #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
}
"""


class Stream:
    """One client of it; whatever goes wrong with Redis raises ``LogUnavailable``.

    Arguments:
        url: ``SERVERPUSH_BACKEND``.
        connections: the classes to connect by instead of those of redis-py.
    """

    def __init__(self, url: str, connections: Mapping[type, type] | None = None) -> None:
        self.place = place(url)
        prefix = f"serverpush:{{{config().salt}}}"
        self._log, self._life = f"{prefix}:log", f"{prefix}:life"
        self._ends, self._held = f"{prefix}:ends", f"{prefix}:held"
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        plain = options.pop("connection_class", redis.Connection)
        self._pool = redis.ConnectionPool(
            connection_class=(connections or {}).get(plain, plain),
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._connected,
            **{"protocol": 2, **options},
        )
        self._redis = redis.Redis(connection_pool=self._pool)
        # The life of the stream; what was added last, and in which life.
        self._known = ""
        self._added, self._added_in = START, ""
        # Has a connection been made since that was seen to be there?
        self._is_new = True

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        with self._failing():
            self._pool.disconnect()

    @property
    def epoch(self) -> str:
        """The name of the life to which something was added last."""
        return self._known.partition(".")[0]

    # Writing

    def add(self, record: Record, held: Held | None = None) -> Id:
        """Append a record, and keep what is ``held``; returns where it is.

        Where there was none, or what was added here before is lost, a new life begins first.
        """
        with self._failing():
            for _ in range(ATTEMPTS):
                id = self._append(record, held)
                if id is None:
                    self._begin(self._known)
                elif not self._has_begun_anew():
                    self._added, self._added_in = id, self._known
                    return id
            raise RedisError("its stream is deleted again and again")

    def _append(self, record: Record, held: Held | None) -> Id | None:
        fields: Any = record.fields()
        many = self._redis.pipeline(transaction=True)
        many.xadd(self._log, fields, nomkstream=True, maxlen=MAX_RECORDS)
        if record.call == DISCONNECT:
            many.xadd(self._ends, fields, maxlen=MAX_RECORDS)
        for name, value in (held or {}).items():
            if value is None:
                many.hdel(self._held, name)
            else:
                many.hset(self._held, name, value)
        many.get(self._life)
        found, *_, life = many.execute()
        self._known = (life or b"").decode(errors="replace")
        return None if found is None else Id.parse(found)

    def _has_begun_anew(self) -> bool:
        """Look, on a new connection, whether what was added before is there; else begin anew."""
        if not self._is_new:
            return False
        state = self.state(self._added)
        if state.life == self._added_in:
            is_lost = state.has_lost(self._added)
        else:
            # Where a later life has begun since, all have been told.
            is_lost = is_earlier(state.life, self._added_in)
        if is_lost:
            self._begin(state.life, self._added_in)
        self._is_new, self._added, self._added_in = False, START, ""
        return is_lost

    def now(self) -> float:
        """Redis's time, in seconds since the epoch."""
        with self._failing():
            seconds, microseconds = self._redis.time()
            return float(seconds) + microseconds / 1e6

    def trim(self, now: float) -> None:
        """Forget what is too old at this time."""
        with self._failing():
            keep = max(config().history_seconds, longest_history())
            many = self._redis.pipeline(transaction=False)
            many.xtrim(self._log, minid=int((now - keep) * 1000))
            many.xtrim(self._ends, minid=int((now - config().token_max_age) * 1000))
            many.memory_usage(self._log)
            many.xlen(self._log)
            size, length = many.execute()[2:]
            if size and size > MAX_BYTES:
                self._redis.xtrim(self._log, maxlen=length * MAX_BYTES // size, approximate=False)

    # Reading

    def open(self, known: str = "") -> State:
        """What there is; begins it where there is nothing, later than a life that is known."""
        with self._failing():
            version = self._version()
            if version < OLDEST:
                raise RedisError(
                    f"it is version {'.'.join(map(str, version))}, "
                    f"and {'.'.join(map(str, OLDEST))} or later is needed"
                )
            self._begin("", known)
            return self.state(START)

    def renew(self, life: str, known: str = "") -> None:
        """Begin a new life after this one, unless somebody has: entries were lost.

        It is later than one that is ``known``, too.
        """
        with self._failing():
            self._begin(life, known)

    def state(self, id: Id) -> State:
        """What there is now, and whether the entry with this id still is."""
        with self._failing():
            return _state(self._redis.eval(_LIFE + _STATE, 2, self._log, self._life, str(id)))

    def read(self, after: Id, seconds: float) -> tuple[list[Entry], State]:
        """The next entries, for which it waits so long at most, and what there is then."""
        with self._failing():
            many = self._redis.pipeline(transaction=False)
            many.xread({self._log: str(after)}, count=READ, block=int(seconds * 1000))
            many.eval(_LIFE + _STATE, 2, self._log, self._life, str(after))
            found, state = many.execute()
            return [_entry(each) for _, entries in found or () for each in entries], _state(state)

    def ends(self) -> tuple[list[Fields], float]:
        """All ends of access that are remembered, and since when they are, in seconds."""
        found: list[Entry] = []
        with self._failing():
            while True:
                after = f"({found[-1][0]}" if found else "-"
                some: Any = self._redis.xrange(self._ends, after, count=1000)
                found += map(_entry, some)
                if len(some) < 1000:
                    break
        # Those that were forgotten for want of room are not known.
        is_full = len(found) >= MAX_RECORDS
        return [fields for _, fields in found], found[0][0].time / 1000 if is_full else 0.0

    def held(self) -> Iterator[bytes]:
        """All that is held beside the stream."""
        with self._failing():
            for _, value in self._redis.hscan_iter(self._held, count=1000):
                yield value

    # Inside

    def _begin(self, lost: str, known: str = "") -> None:
        keys = self._log, self._life, self._held
        self._known = self._redis.eval(
            _LIFE + _BEGIN, len(keys), *keys, secrets.token_hex(4), lost, known
        ).decode()

    def _connected(self, connection: Any) -> None:
        """redis-py has made a connection, perhaps in place of one that was lost."""
        connection.on_connect()
        self._is_new = True

    def _version(self) -> tuple[int, ...]:
        version = str(self._redis.info("server").get("redis_version", "0"))
        return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            # Before that redis-py repeats the command, in which there may be a payload.
            reason = str(error).rpartition("of pipeline caused error: ")[2]
            # MISCONF: it could not write its file.
            is_full = isinstance(error, OutOfMemoryError) or reason.startswith("MISCONF")
            raise LogUnavailable(
                self.place, reason or type(error).__name__, is_full=is_full
            ) from error


def is_earlier(life: str, than: str) -> bool:
    """Did a life begin before this one? Then Redis has come back with what it had before."""
    return bool(life and than) and _number(life, -1) < _number(than, -1)


def _number(life: str, part: int) -> int:
    """A part of a life's name; 0 where somebody else has written there."""
    parts = life.split(".")
    return int(parts[part]) if len(parts) > 1 and parts[part].isdecimal() else 0


def place(url: str) -> str:
    """Where a URL leads, for messages: without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or 'localhost'}{port}{parts.path.rstrip('/')}"


def _entry(found: Any) -> Entry:
    id, fields = found
    return Id.parse(id), fields or {}


def _state(found: Any) -> State:
    life, added, kept, first, last, is_there = found
    return State(
        life=life.decode(),
        added=int(added),
        kept=int(kept),
        first=Id.parse(first) if first else START,
        last=Id.parse(last) if last else START,
        is_there=bool(is_there),
    )
