"""What several push servers depend on, taken out."""

from __future__ import annotations

from serverpush import records, stream
from serverpush.server import cluster, company
from serverpush.server.core import log, messaging, presence
from serverpush.server.transport.server import Transport

Cluster, State, Stream = cluster.Cluster, stream.State, stream.Stream


def swallow_errors_of_redis():
    take = Cluster.take

    def swallowing(self, reported):
        try:
            return take(self, reported)
        except cluster.LogUnavailable:
            return self._log.head

    Cluster.take = swallowing


def hear_only_what_comes_now():
    read = Stream.read
    Stream.read = lambda self, after, seconds: read(self, self.state(after).last, seconds)


def believe_everybody():
    records.tokens.is_signed_record = lambda call, body, signature: True


def take_a_batch_again():
    Cluster._take = lambda self, reported: self._intake.take(reported)


def remember_batches_of_another_life():
    begin = Cluster._begin

    def remembering(self, state, lost=""):
        batches = self._batches.copy()
        begin(self, state, lost)
        self._batches.update(batches)

    Cluster._begin = remembering


def follow_what_is_ahead():
    cluster.AHEAD_SECONDS = float("inf")


def follow_an_earlier_life():
    cluster.is_earlier = stream.is_earlier = lambda life, than: False


def let_go_of_clients_that_miss_nothing():
    Cluster.is_cut_off = property(lambda self: self._is_open and self.unheard > 30)


def tell_newer_pages_old_news():
    log.Log.hears_from = lambda self, since: self.head
    messaging._later = lambda position, other: position


def read_on_without_turns():
    Cluster._let_others = lambda self, turn: turn


def see_no_holes():
    State.trimmed = property(lambda self: 0)


def see_no_losses():
    State.has_lost = lambda self, id: False


def be_deaf():
    Cluster.is_open = property(lambda self: self._is_open)


def keep_clients_while_deaf():
    Cluster.is_cut_off = property(lambda self: False)


def answer_while_deaf():
    serve = Transport._serve

    def serving(self, environ, start_response):
        self.is_open = lambda: True
        return serve(self, environ, start_response)

    Transport._serve = serving


def know_everything():
    Cluster.knows = lambda self, position: self.is_open


def forget_the_dead():
    company.Company.look_around = lambda self: None


def tell_whoever_leaves():
    Presence = presence.Presence
    remove = Presence._remove

    def telling(self, channel, key):
        member = self._members.get(channel, {}).get(key)
        remove(self, channel, key)
        if member is not None:
            self.part(channel, key, member)

    Presence._remove = telling


def come_without_a_word():
    presence.Presence._hear_joined = lambda self, place, was_there: None
