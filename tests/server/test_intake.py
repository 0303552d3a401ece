"""Intake: what is applied, in turns, and to its end when the server stops."""

from __future__ import annotations

import json

import pytest

from serverpush.messages import Message
from serverpush.protocol import Page, Visitor
from serverpush.server.bodies import Reported
from serverpush.server.core.access import Access
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.strangers import Whose
from serverpush.server.intake import Intake
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

MESSAGES = [Message(("all",), "message", json.dumps(number)) for number in range(5)]
REPORTED = Reported("", messages=tuple(MESSAGES))


class Emitter:
    """Takes what would go to the sockets."""

    def __init__(self):
        self.sent = []

    def do(self, actions):
        self.sent += [json.loads(each.payload) for each in actions]


class Clock:
    """One by which each entry takes a whole turn."""

    now = 1000.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def log():
    return Log(epoch="first", now=1000.0, size=1000, seconds=300)


@pytest.fixture
def emitter():
    return Emitter()


@pytest.fixture
def intake(log, emitter):
    dispatch = Dispatch(log, {})
    messaging = Messaging(log, dispatch.registry, dispatch.unsettled)
    dispatch.connect("a", Page("/"), Visitor(), log.head)
    messaging.connect("a", log.head, Whose())
    return Intake(
        access=Access(max_age=100, now=1000.0),
        dispatch=dispatch,
        messaging=messaging,
        emitter=emitter,
        telemetry=Telemetry(),
        clock=Clock(),
        wake=lambda: None,
        look_up=lambda job: None,
    )


def test_others_have_their_turn_between_the_messages_of_a_batch(intake, emitter):
    done, seen = [], []

    def watch():
        loop.spawn(lambda: done.append(intake.take(REPORTED)))
        while not done:
            loop.sleep()
            seen.append(len(emitter.sent))

    loop.run(watch)
    assert seen[:5] == [1, 2, 3, 4, 5]


def test_a_batch_is_logged_to_its_end_when_the_server_stops_and_sent_no_further(
    intake, emitter, log
):
    done = []

    def stop():
        loop.spawn(lambda: done.append(intake.take(REPORTED)))
        loop.sleep()
        intake.stop()
        loop.sleep()

    loop.run(stop)
    assert done == [log.head]
    assert emitter.sent == [0]
    unsettled = intake._dispatch.unsettled()
    assert unsettled < log.head, "what was not sent is not told to be safe"
    assert sum('"message"' in line for line in log.dump()) == len(MESSAGES)
