"""What keeps our own promises, taken out.

Modules are imported by name where they want Django to be set up first.
"""

from __future__ import annotations

import importlib
import time
from types import SimpleNamespace

from django.http import HttpRequest

from serverpush import reporting
from serverpush.server.core import (
    access,
    cohorts,
    connection,
    dispatch,
    fair,
    glimpses,
    log,
    owing,
    registry,
    renderings,
    sends,
    told,
    watched,
)

from .connections import nothing


def _outbox():
    return importlib.import_module("serverpush.web.outbox")


# Gaps


def drop_changes_in_silence():
    _outbox().Outbox._note_dropped = nothing


def lose_refused_batches():
    _outbox().Outbox._note_lost = nothing


def end_in_silence():
    importlib.import_module("serverpush.losses").leave = nothing


def leave_no_will():
    importlib.import_module("serverpush.losses").Will.leave = nothing


def leave_no_will_for_a_backlog():
    # No time goes by.
    _outbox().time = SimpleNamespace(monotonic=lambda: 0.0)


def lose_what_a_wrong_key_costs():
    _outbox().losses = SimpleNamespace(Will=_outbox().losses.Will, leave=nothing)


def forget_gaps():
    log.Log.has_gap = lambda self, since: False


def believe_trimmed_logs():
    log.Log.covers = lambda self, since: since.epoch == self.epoch


def believe_other_epochs():
    log.Log.covers = lambda self, since: since >= self.floor


def fail_in_silence():
    rendered = dispatch.Dispatch._rendered
    dispatch.Dispatch._rendered = lambda self, run, result: [
        each for each in rendered(self, run, result) if not isinstance(each, dispatch.Refresh)
    ]


def match_nobody_where_nobody_knows():
    dispatch.Dispatch._not_matched = lambda self, asked, reason: self._matched(
        asked, dispatch.MatchResult(None)
    )


def leave_quiet_pages_behind():
    registry.Registry.behind = lambda self, place, head, most: []


def believe_in_the_future():
    dispatch.Dispatch.is_to_come = lambda self, timestamp, now: False


def believe_damaged_files():
    importlib.import_module("serverpush.server.state")._digest = lambda lines: "of anything"


def let_everybody_read_the_state():
    state = importlib.import_module("serverpush.server.state")
    mkstemp = state.tempfile.mkstemp

    def readable(**options):
        descriptor, name = mkstemp(**options)
        state.os.fchmod(descriptor, 0o644)
        return descriptor, name

    state.tempfile.mkstemp = readable


def apply_batches_side_by_side():
    importlib.import_module("serverpush.server.notifier").loop = SimpleNamespace(
        Event=lambda: SimpleNamespace(wait=nothing, set=nothing)
    )
    Applying = type("Applying", (dict,), {"__contains__": lambda self, key: False, "pop": nothing})
    notifier = importlib.import_module("serverpush.server.notifier").Notifier
    init = notifier.__init__

    def forgetful(self, **options):
        init(self, **options)
        self._applying = Applying()

    notifier.__init__ = forgetful


# Between a page's view and its connection


def take_the_time_late():
    # Whenever somebody asks for it.
    HttpRequest.serverpush_time = property(lambda self: time.time(), nothing)


def have_no_doubt():
    connection.Connection.may_show = lambda self, at: False


def take_lists_for_true():
    watched.Watched.was_ahead = lambda self, at: False


# Nothing uncommitted, and nothing twice


def report_at_the_save():
    importlib.import_module("serverpush.web.changes").after_commit = lambda report, using, *args: (
        report(*args)
    )


def report_what_renderings_write():
    reporting.is_suppressed = lambda: False


# Floods


def owe_without_bounds():
    owing.Owing.most = property(lambda self: 10**9)


def owe_to_who_comes_later():
    cohorts.Cohort.newest = property(lambda self: 10**9)


def forget_who_leaves_a_cohort():
    leave = cohorts.Cohort.leave

    def forget(self, connection):
        audiences, self.audiences = self.audiences, {}
        leave(self, connection)
        self.audiences = audiences

    cohorts.Cohort.leave = forget


def serve_all_who_wait():
    renderings.Renderings.share = lambda self, run, owed, reads: owed


def begin_beside_what_knew_less():
    divide = renderings.Renderings._divide

    def forget_who_is_busy(self, rendering, reads):
        runs, rendering.runs = rendering.runs, []
        divide(self, rendering, reads)
        rendering.runs = runs

    renderings.Renderings._divide = forget_who_is_busy


def note_nothing():
    importlib.import_module("serverpush.renderer.notes").Notes.add = nothing


def make_pages_anew_side_by_side():
    key = renderings._key
    renderings._key = lambda owed, connection: (
        owed.dependency.name,
        owed.mark,
        *key(owed, connection)[2:],
    )


def tell_of_two_events_at_once():
    sends._waves = lambda owed: [list(owed)]


def let_overdue_pages_pass():
    # Given back as soon as it is taken.
    give_up = owing.Owing.give_up

    def pass_on(self, connection):
        give_up(self, connection)
        connection.floors.release(self._unfollowed[connection.id][1])

    owing.Owing.give_up = pass_on


def follow_overdue_pages_no_more():
    owing.Owing._follow_again = lambda self: []


def serve_in_order_of_arrival():
    add = fair.FairQueue.add
    fair.FairQueue.add = lambda self, key, flow: add(self, key, ())


# Who may see it


def overlook_what_was_gone_before_it_was_asked_about():
    glimpses.Glimpses.answered = nothing


def take_events_of_one_name_for_independent():
    note = told.Told.note

    def note_the_first(self, name, saying, upto=0):
        word = self.get(name)
        if None in (word, saying) or word.saying is None or word.saying[:2] == saying[:2]:
            note(self, name, saying, upto)

    told.Told.note = note_the_first


def remember_what_was_told_before_a_refresh():
    dispatch.Dispatch.untell = nothing


def share_everything():
    connection.Connection.group = lambda self, dependency: ("all",)


def forget_who_has_no_access():
    access.Access.refuses = lambda self, visit, rendered: False


def doubt_nobody_who_is_away():
    access.Access.doubts = lambda self, visit, rendered: False


def take_who_is_back_for_seen():
    access.Access.is_unseen = lambda self, id: False


def never_sweep():
    access.SWEEP_SECONDS = float("inf")


def give_a_failed_look_up():
    failed = access.Access.failed
    access.Access.failed = lambda self, look, reason, now: failed(
        self, access.Look(look.visits[:1]), reason, now
    )
