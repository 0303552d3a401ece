"""What clients hear: a true story passes, and each kind of wrong one is named."""

import pytest

from tests.chaos.notes import Heard, Listener, Notes, Sent

SENT = [
    Sent(1, 10.0),
    Sent(2, 11.0),
    Sent(3, 12.0, is_committed=False),
    Sent(4, 13.0),
    Sent(5, 14.0),
]
TOLD = "told"


def wrongs(*story):
    """What is wrong with a story of pages loaded at a time, notes heard, and refreshes told."""
    listener, found = Listener(Notes(SENT)), []
    for entry in story:
        if entry == TOLD:
            listener.told()
        elif isinstance(entry, float):
            listener.loaded(entry)
        else:
            found += listener.hear(Heard(f"id{entry}", entry))
    return [*found, *listener.end()]


@pytest.mark.parametrize(
    "story",
    [
        (5.0, 1, 2, 4, 5),
        # Around its loading it may hear a note or not.
        (10.5, 1, 2, 4, 5),
        (10.5, 4, 5),
        (20.0,),
        (5.0, 1, TOLD, 4, 5),
        (5.0, 1, TOLD, 12.5, 5),
        (5.0, 1, 2, TOLD, 5.0, 4, 5),
    ],
)
def test_a_true_story(story):
    assert wrongs(*story) == []


@pytest.mark.parametrize(
    ("story", "wrong"),
    [
        ((5.0, 1, 2, 2, 4, 5), "note 2 after 2"),
        ((5.0, 1, 4, 2, 5), "note 4, and not 2 before it"),
        ((5.0, 1, 4, 2, 5), "note 2 after 4"),
        ((5.0, 2, 4, 5), "note 2, and not 1 before it"),
        ((5.0, 1, 2, 3, 4, 5), "note 3 was never sent"),
        ((5.0, 1, 2, 4), "not note 5"),
        ((5.0, 1, 2, 4, 5, TOLD, 5.0, 5), "note 5 after 5"),
        ((5.0, 1, TOLD, 11.5, 4), "not note 5"),
        ((5.0,), "not note 1"),
    ],
)
def test_a_wrong_one(story, wrong):
    assert wrong in wrongs(*story)


def test_who_is_behind():
    notes = Notes(SENT)
    assert notes.is_behind(5.0, 4)
    assert not notes.is_behind(5.0, 5)
    assert not notes.is_behind(20.0, 0), "it was loaded after the last"
    assert not Notes([]).is_behind(5.0, 0)
