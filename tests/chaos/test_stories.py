"""What a crowd's client was sent is told to the history checker as it was."""

import pytest

from tests.chaos import stories
from tests.chaos.crowd import Event
from tests.chaos.history import Applied, History, Known, Told

PK = 5


def event(name, payload, number=0):
    meta = {"id": f"id{number}", "safe": f"safe{number}", "pk": PK, "action": "changed"}
    return Event(0.0, name, [payload, meta], "")


def check(*events):
    commits = [stories.saved(PK, version) for version in (0, 2, 4)]
    told = stories.story({"name": PK}, commits[0].at, events)
    History(commits, stories={"client": told}).check(stories.rows({PK: "version-4."}))


def shows(version, number, name="name"):
    return event(name, {"name": f"version-{version}."}, number)


SAVES = [shows(2, 1), shows(4, 2)]


def test_what_was_sent():
    refresh = event("serverpush:refresh", {"reason": "error"})
    _, *told = stories.story({"name": PK}, 0.0, [SAVES[0], refresh, SAVES[0]])
    assert told == [
        Applied("name", "id1", "safe1", PK, "changed", {PK: 2}),
        Told("error"),
        Known("name", "id1", PK),
    ]


def test_all_came_in_order():
    check(*SAVES)
    check(*SAVES, SAVES[0])


@pytest.mark.parametrize(
    ("wrong", "events"),
    [
        ("lost", SAVES[:1]),
        ("backwards", [shows(4, 1), shows(2, 2), shows(4, 3)]),
        ("strangers", [SAVES[0], shows(3, 2), shows(4, 3)]),
        ("strangers", [*SAVES, shows(4, 3, name="other")]),
    ],
)
def test_what_is_wrong(wrong, events):
    with pytest.raises(AssertionError, match=wrong):
        check(*events)


def test_a_text_without_a_version():
    with pytest.raises(AssertionError, match="no version in 'Ann'"):
        stories.version_of("Ann")
