"""A queue that is fair: who asks for much does not keep back who asks for little."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Flow = tuple[Hashable, ...]


class _Node(Generic[Key]):
    """One level: the flows within this one in the order of their turns, or its keys."""

    __slots__ = ("flows", "keys")

    def __init__(self) -> None:
        self.flows: OrderedDict[Hashable, _Node[Key]] = OrderedDict()
        self.keys: OrderedDict[Key, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.flows or self.keys)


class FairQueue(Generic[Key]):
    """Keys that wait, each in a flow.

    A flow is a tuple, and so lies within the flow that its beginning names. At
    each level the flows take turns; within the innermost, first come first
    served. All flows of one queue have the same length.
    """

    def __init__(self) -> None:
        self._root: _Node[Key] = _Node()
        self._flows: dict[Key, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def __contains__(self, key: Key) -> bool:
        return key in self._flows

    def add(self, key: Key, flow: Flow) -> None:
        """Let a key wait; one that waits already keeps its place."""
        if key in self._flows:
            return
        self._flows[key] = flow
        node = self._root
        for name in flow:
            # A flow that is new, or has been served out, is last in its round.
            node = node.flows.setdefault(name, _Node())
        node.keys[key] = None

    def discard(self, key: Key) -> None:
        """Let a key wait no longer, if it does."""
        flow = self._flows.pop(key, None)
        if flow is not None:
            path = [self._root]
            for name in flow:
                path.append(path[-1].flows[name])
            del path[-1].keys[key]
            _prune(path, flow)

    def next(self) -> Key | None:
        """Take out the key whose turn it is; None where none waits."""
        if not self._flows:
            return None
        path, flow = [self._root], []
        while path[-1].flows:
            flows = path[-1].flows
            name = next(iter(flows))
            flows.move_to_end(name)
            flow.append(name)
            path.append(flows[name])
        key, _ = path[-1].keys.popitem(last=False)
        del self._flows[key]
        _prune(path, tuple(flow))
        return key


def _prune(path: list[_Node[Key]], flow: Flow) -> None:
    """Forget the flows on the way down to a key that hold nothing any more."""
    for parent, name, node in zip(path[-2::-1], reversed(flow), path[:0:-1], strict=True):
        if node:
            return
        del parent.flows[name]
