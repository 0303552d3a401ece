"""The fair queue: nothing lost, nothing twice, and nobody waits longer than a round."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serverpush.server.core.fair import FairQueue

OUTER, INNER = 4, 3
FLOWS = st.tuples(st.integers(0, OUTER - 1), st.integers(0, INNER - 1))


def filled(*entries):
    queue = FairQueue()
    for key, *flow in entries:
        queue.add(key, tuple(flow))
    return queue


def emptied(queue):
    found = []
    while (key := queue.next()) is not None:
        found.append(key)
    return found


def test_an_empty_queue_has_no_next():
    assert FairQueue().next() is None


def test_within_a_flow_it_is_first_come_first_served():
    assert emptied(filled(("b", "x"), ("a", "x"), ("c", "x"))) == ["b", "a", "c"]


def test_flows_take_turns():
    queue = filled(("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c"))
    assert emptied(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_flows_within_a_flow_take_turns_for_its_turns():
    queue = filled(("a1", "a", 1), ("a2", "a", 1), ("a3", "a", 2), ("b1", "b", 1), ("b2", "b", 1))
    assert emptied(queue) == ["a1", "b1", "a3", "b2", "a2"]


def test_a_key_that_waits_keeps_its_place():
    queue = filled((1, "x"), (2, "x"), (1, "x"), (1, "y"))
    assert len(queue) == 2
    assert emptied(queue) == [1, 2]


def test_none_of_a_queue_may_be_waited_for_twice_and_gone_is_gone():
    queue = filled((1, "x"), (2, "x"), (3, "y"))
    queue.discard(1)
    queue.discard(1)
    queue.discard("another")
    assert 1 not in queue
    assert 2 in queue
    assert emptied(queue) == [2, 3]


def test_a_flow_that_comes_back_is_last_in_the_round():
    queue = filled(("a1", "a"), ("b1", "b"), ("c1", "c"))
    assert queue.next() == "a1"
    queue.add("a2", ("a",))
    assert emptied(queue) == ["b1", "c1", "a2"]


def test_empty_flows_are_forgotten():
    queue = FairQueue()
    for number in range(100):
        queue.add(number, (number, "x"))
        queue.add(-number - 1, (number, "y"))
    for number in range(50):
        queue.discard(number)
    emptied(queue)
    assert not queue._root
    assert not queue._flows


@given(st.lists(st.tuples(st.integers(0, 30), FLOWS)))
def test_nothing_is_lost_and_nothing_comes_twice(entries):
    queue = FairQueue()
    for key, flow in entries:
        queue.add(key, flow)
    assert Counter(emptied(queue)) == Counter({key for key, _ in entries})


class Turns(RuleBasedStateMachine):
    """Whatever is added, taken away and served: the wait of each key is bounded.

    The first key of a new outermost flow has its turn within one round of those
    that there are. Any other waits for those before it in its own flow, and for
    one key of each other flow that comes meanwhile for each of these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue()
        self.waiting: dict[int, tuple[tuple[int, int], int]] = {}
        self.count = 0

    @rule(flow=FLOWS)
    def add(self, flow):
        self.count += 1
        self.queue.add(self.count, flow)
        flows = [each for each, _ in self.waiting.values()] + [flow]
        outer = [each[0] for each in flows]
        is_new = outer.count(flow[0]) == 1
        bound = len(set(outer)) if is_new else flows.count(flow) * OUTER * INNER
        self.waiting[self.count] = (flow, bound)

    @rule(data=st.data())
    def discard(self, data):
        if self.waiting:
            key = data.draw(st.sampled_from(sorted(self.waiting)))
            self.queue.discard(key)
            del self.waiting[key]

    @rule()
    def serve(self):
        key = self.queue.next()
        assert (key is None) == (not self.waiting)
        if key is not None:
            flow, _ = self.waiting.pop(key)
            assert all(other > key for other, (each, _) in self.waiting.items() if each == flow)
        self.waiting = {each: (flow, left - 1) for each, (flow, left) in self.waiting.items()}

    @invariant()
    def nobody_waits_longer(self):
        assert len(self.queue) == len(self.waiting)
        assert all(left > 0 for _, left in self.waiting.values())


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
