"""Connections: clients let in, told what they missed, and let go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from serverpush.protocol import Position
from serverpush.server import origins
from serverpush.server.admission import Admission, Admissions, peer
from serverpush.server.channels import Channels
from serverpush.server.clock import Clock
from serverpush.server.core.access import Access
from serverpush.server.core.actions import Refresh
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.strangers import Whose
from serverpush.server.core.visits import Visit
from serverpush.server.emitter import Emitter
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import Client, Handshake, Refused, loop

# In which a client without a page or a user has to subscribe to something.
SUBSCRIBE_SECONDS = 10.0
# Connections that are told at once what they missed.
SLICE = 20


class Connections:
    """What the transport calls.

    Arguments:
        wake: lets idle renderers look for work.
        timeout: seconds that a client waits for a look at its access.
        knows: is all known that is in the log up to a position, or to just now? May wait.
    """

    def __init__(
        self,
        *,
        admissions: Admissions,
        access: Access,
        dispatch: Dispatch,
        messaging: Messaging,
        channels: Channels,
        emitter: Emitter,
        telemetry: Telemetry,
        clock: Clock,
        wake: Callable[[], None],
        timeout: float,
        knows: Callable[[Position | None], bool] = lambda position: True,
    ) -> None:
        self._admissions = admissions
        self._access = access
        self._dispatch = dispatch
        self._messaging = messaging
        self._channels = channels
        self._emitter = emitter
        self._telemetry = telemetry
        self._clock = clock
        self._wake = wake
        self._timeout = timeout
        self._knows = knows
        # Who waits for a look before being let in.
        self._looks: dict[Visit, loop.Event] = {}

    def origin_allowed(self, environ: dict[str, Any]) -> bool:
        allowed = origins.is_allowed(environ)
        if not allowed:
            self._telemetry.refused("origin_refused", peer(Handshake(environ)))
        return allowed

    def connect(self, client: Client, auth: dict[str, Any] | None) -> None:
        """Admit a client; raises ``Refused``."""
        admission = self._admissions.admit(client, auth or {})
        since = admission.since
        if not self._knows(since if isinstance(since, Position) else None):
            # Nobody could say whether it is up to date: the browser tries again.
            raise Refused("server_error", "the push server does not know yet what has changed")
        visit, made = admission.visit, admission.made
        if self._access.doubts(visit, made):
            self._look(visit)
            if self._access.refuses(visit, made):
                raise Refused("session_mismatch", "access to this page has ended")
            if self._access.doubts(visit, made):
                # Unlike the other, no answer for good: the browser tries again.
                raise Refused("server_error", "nobody could look whether there is access")
        client.data = admission

    def refused(self, client: Client, code: str) -> None:
        self._telemetry.refused(code, peer(client.handshake))

    def joined(self, client: Client) -> None:
        """Register a client that was admitted, and bring it up to date."""
        admission: Admission = client.data
        # Only the core keeps the page from here on.
        client.data = None
        page, visit = admission.page, admission.visit
        # What ended it may have come between its admission and now.
        if self._access.refuses(visit, admission.made):
            self._emitter.close([client])
            return
        self._access.add(client.id, visit, admission.made)
        holder = "" if page.user else visit.user or visit.bearer
        self._channels.connect(client.id, admission.tab, holder)
        self._telemetry.connected(client.id, page.path, page.user, peer(client.handshake))
        since = self._since(admission)
        if page.dependencies and visit.is_bound and not self._access.remembers(page.time):
            # Access may have ended before this server's life. The page is told to
            # refresh, as it is older than all topics, and not followed.
            page = page.with_dependencies((), page.time, page.recorded)
            since = self._dispatch.at(page.time)
        live, actions = self._dispatch.connect(
            client.id,
            page,
            admission.visitor,
            since,
            returns=isinstance(admission.since, Position),
        )
        told = self._messaging.connect(
            client.id,
            since,
            Whose(visit.user, visit.key, visit.session, visit.bearer),
            is_unseen=self._access.is_unseen(client.id),
        )
        # Something may be held back for it, until somebody has looked whose it is.
        connection = self._dispatch.registry.get(client.id)
        is_owed = connection is not None and len(connection.floors) > 0
        live = live and not told and not is_owed
        if live and connection is not None:
            connection.reach(self._dispatch.log.head)
        self._emitter.ready([client], self._dispatch.log.head, live=live)
        self._emitter.do(actions)
        # To be told once is enough.
        self._emitter.do(each for each in told if not (actions and isinstance(each, Refresh)))
        self._wake()
        if not admission.is_named:
            loop.spawn_after(SUBSCRIBE_SECONDS, self._look_for_subscription, client)

    def event(self, client: Client, name: str, arguments: list[Any]) -> Any:
        return self._channels.answer(client, name, arguments)

    def disconnected(self, client: Client, reason: str) -> None:
        self.forget(client.id, said_goodbye=reason == "client disconnect")
        self._telemetry.closed(client.id, reason)

    def forget(self, id: str, *, said_goodbye: bool = False) -> None:
        """Keep nothing of a connection any more, but that its page may come back."""
        self._channels.disconnect(id, self._clock(), said_goodbye=said_goodbye)
        self._messaging.disconnect(id)
        self._dispatch.disconnect(id)
        self._access.discard(id)

    def looked(self, visits: Iterable[Visit]) -> None:
        """Let those go on who waited for a look at these visits."""
        for visit in visits:
            looked = self._looks.pop(visit, None)
            if looked is not None:
                looked.set()
        seen = [id for id in self._messaging.unseen if not self._access.is_unseen(id)]
        if seen:
            loop.spawn(self._seen, seen)

    def _seen(self, ids: list[str]) -> None:
        """Let connections hear what waited for a look; others have their turn in between."""
        for begin in range(0, len(ids), SLICE):
            those = ids[begin : begin + SLICE]
            for id in those:
                if not self._access.is_unseen(id):
                    self._emitter.do(self._messaging.seen(id))
            self._emitter.do(self._dispatch.stand(those))
            loop.sleep()

    def see(self, id: str) -> None:
        """Wait until somebody has looked at a connection's session, if nobody has.

        Raises ``Refused`` where nobody could.
        """
        visit = self._access.visit(id)
        if visit is None or not self._access.is_unseen(id):
            return
        self._look(visit)
        if self._access.is_unseen(id):
            raise Refused("server_error", "nobody could look whether there is access")

    def position(self, since: float) -> Position:
        """Where the log stood at a time by the site's clock, in seconds since the epoch."""
        now = self._clock()
        if self._dispatch.is_to_come(since, now):
            self._telemetry.page_from_the_future(since - now)
            return self._dispatch.at(0)
        return self._dispatch.at(since)

    def _since(self, admission: Admission) -> Position:
        since = admission.since
        return since if isinstance(since, Position) else self.position(since)

    def _look(self, visit: Visit) -> None:
        """Wait until somebody has looked whether there is still access, or could not."""
        looked = self._looks.setdefault(visit, loop.Event())
        self._access.want(visit)
        self._wake()
        looked.wait(self._timeout)

    def _look_for_subscription(self, client: Client) -> None:
        if not client.closed and not self._messaging.is_subscribed(client.id):
            self._emitter.drop(client)
