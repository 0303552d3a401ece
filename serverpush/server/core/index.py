"""The index: whose condition can a change have touched?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from serverpush.jobs import MatchJob
from serverpush.protocol import Change, Condition, Key, ModelInfo, Position
from serverpush.results import MatchResult
from serverpush.server.core.folds import Folds
from serverpush.server.core.watched import MAX_MOVES, Watched

if TYPE_CHECKING:
    from serverpush.server.core.cohorts import Cohort

# Lists and pages older than this are only looked at for changes reported later than this.
YOUNG_SECONDS = 5.0


class Index:
    """Live conditions, by key, by field and value, by model, and the rest.

    Arguments:
        models: what is known of each model, by label.
    """

    def __init__(self, models: dict[str, ModelInfo]) -> None:
        self.models = models
        self._numbers = 0
        self._watched: dict[Condition, Watched] = {}
        self._by_number: dict[int, Watched] = {}
        # Those that were listed or read just now: only changes that are late look at all.
        self._young: dict[int, Watched] = {}
        self._by_key: dict[tuple[str, Key], Watched] = {}
        self._any: dict[str, Watched] = {}
        # label -> first field of the equalities -> value -> conditions
        self._by_value: dict[str, dict[str, dict[Any, dict[int, Watched]]]] = {}
        # label -> how many conditions need this field fetched
        self._fields: dict[str, dict[str, int]] = {}
        # The queries of which an equality is known that has to hold, by it; and the rest.
        self._guarded: dict[str, dict[str, dict[Any, dict[int, Watched]]]] = {}
        self._rest: dict[str, dict[int, Watched]] = {}
        self._member_of: dict[tuple[str, Key], dict[int, Watched]] = {}
        self._unlisted: dict[str, dict[int, Watched]] = {}
        self.folds = Folds()

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def newest(self) -> int:
        """The number of the latest condition: an answer tells nothing of later ones."""
        return self._numbers

    def family(self, label: str) -> tuple[str, ...]:
        info = self.models.get(label)
        return info.family if info else (label,)

    # Conditions come and go

    def watch(
        self,
        condition: Condition,
        keys: Iterable[Key] | None,
        now: Position,
        listed: float = 0,
    ) -> Watched:
        """The live condition for an update of a page; its cohort goes among the watchers.

        ``keys`` are the members that the page recorded, None if not listed, and
        ``listed`` is when, in seconds since the epoch; ``now`` is the position up to
        which these have been brought.
        """
        watched = self._watched.get(condition)
        # Those whose list is lost are not joined by a page that has one.
        if watched is None or (watched.is_asked and watched.members is None and keys is not None):
            watched = self._add(condition, keys, now)
            watched.listed = listed
            self._young[watched.number] = watched
        return watched

    def unwatch(self, watched: Watched, cohort: Cohort | None = None) -> None:
        """Forget a cohort; the last one takes the condition with it."""
        if cohort is not None:
            watched.watchers.pop(cohort, None)
        if not watched.watchers and not watched.is_kept and watched.number in self._by_number:
            del self._by_number[watched.number]
            self._remove(watched)

    def keep(self, watched: Watched, is_kept: bool) -> None:
        """Keep a condition, though nobody may have it for a moment; or no longer."""
        watched.is_kept = is_kept
        self.unwatch(watched)

    def unlist_all(self) -> None:
        """Follow no members of any condition any longer."""
        for watched in self._by_number.values():
            if watched.is_asked:
                self.unlist(watched)

    def unlist(self, watched: Watched) -> None:
        """Follow a condition's members no longer: nobody knows them any more."""
        if watched.members is None or watched.number not in self._by_number:
            return
        for pk in watched.members | watched.unsure:
            _discard(self._member_of, (watched.condition.model, pk), watched.number)
        watched.members = None
        watched.unsure.clear()
        self._unlisted.setdefault(watched.condition.model, {})[watched.number] = watched

    def ahead(self, model: str, at: float, now: float) -> list[Watched]:
        """The conditions whose members may hold a change of this model already.

        It was committed at ``at`` and is reported ``now``, in seconds since the epoch.
        Who has one of them with an older list, or without, may show what was before.
        """
        return [each for each in self._recent(model, at, now) if each.was_ahead(at)]

    def reread(self, model: str, at: float, now: float) -> list[Watched]:
        """The conditions for which a view may have read what a change of this model made."""
        return [each for each in self._recent(model, at, now) if each.was_reread(at)]

    def note_reread(self, watched: Watched, until: float) -> None:
        """Note that a view has read what meets a condition, until then at the latest."""
        watched.reread = max(watched.reread, until)
        if watched.number in self._by_number:
            self._young[watched.number] = watched

    def _recent(self, model: str, at: float, now: float) -> list[Watched]:
        if now - at > YOUNG_SECONDS:
            return self.asked(model)
        for each in list(self._young.values()):
            if max(each.listed, each.reread) < now - YOUNG_SECONDS:
                del self._young[each.number]
        return [each for each in self._young.values() if each.condition.model == model]

    def asked(self, model: str) -> list[Watched]:
        """The conditions that only a row of this model can decide."""
        found = dict(self._rest.get(model, {}))
        for by_field in (self._by_value.get(model, {}), self._guarded.get(model, {})):
            for by_value in by_field.values():
                for those in by_value.values():
                    found |= those
        return list(found.values())

    def _add(self, condition: Condition, keys: Iterable[Key] | None, now: Position) -> Watched:
        self._numbers += 1
        members = None if keys is None else set(keys)
        watched = Watched(self._numbers, condition, members, now)
        self._watched[condition] = watched
        self._by_number[watched.number] = watched
        if condition.key is not None:
            self._by_key[condition.model, condition.key] = watched
        elif condition.is_any:
            self._any[condition.model] = watched
        else:
            self._add_asked(watched)
        return watched

    def _add_asked(self, watched: Watched) -> None:
        condition = watched.condition
        if condition.query and not condition.guard:
            self._rest.setdefault(condition.model, {})[watched.number] = watched
        for table, pairs in self._indexed(condition):
            by_field = table.setdefault(condition.model, {})
            for name, value in pairs:
                by_field.setdefault(name, {}).setdefault(value, {})[watched.number] = watched
        needed = self._fields.setdefault(condition.model, {})
        for name, _ in (*condition.equal, *condition.guard):
            needed[name] = needed.get(name, 0) + 1
        if watched.members is None:
            self._unlisted.setdefault(condition.model, {})[watched.number] = watched
        else:
            for pk in watched.members:
                self._member_of.setdefault((condition.model, pk), {})[watched.number] = watched

    def _remove(self, watched: Watched) -> None:
        condition = watched.condition
        self._young.pop(watched.number, None)
        if self._watched.get(condition) is watched:
            del self._watched[condition]
        if condition.key is not None:
            del self._by_key[condition.model, condition.key]
        elif condition.is_any:
            del self._any[condition.model]
        else:
            self._remove_asked(watched)

    def _remove_asked(self, watched: Watched) -> None:
        condition = watched.condition
        if condition.query and not condition.guard:
            _discard(self._rest, condition.model, watched.number)
        for table, pairs in self._indexed(condition):
            by_field = table[condition.model]
            for name, value in pairs:
                _discard(by_field[name], value, watched.number)
            for name in {name for name, _ in pairs if not by_field[name]}:
                del by_field[name]
        needed = self._fields[condition.model]
        for name, _ in (*condition.equal, *condition.guard):
            needed[name] -= 1
            if not needed[name]:
                del needed[name]
        if watched.members is None:
            _discard(self._unlisted, condition.model, watched.number)
        else:
            for pk in watched.members | watched.unsure:
                _discard(self._member_of, (condition.model, pk), watched.number)

    def _indexed(self, condition: Condition) -> Iterator[tuple[Any, Iterable[tuple[str, Any]]]]:
        """Where a condition is found by a row's values, and by which."""
        if condition.guard:
            yield self._guarded, condition.guard
        elif condition.equal:
            yield self._by_value, condition.equal[:1]

    # What a change touches

    def certain(self, change: Change) -> Iterator[Watched]:
        """The conditions that a change touches whatever the instance looks like."""
        for label in self.family(change.model):
            by_key = self._by_key.get((label, change.pk))
            if by_key is not None:
                yield by_key
            anything = self._any.get(label)
            if anything is not None:
                yield anything

    def asks(self, label: str) -> list[str]:
        """The models of the family with conditions that only an instance's row can decide."""
        return [
            model
            for model in self.family(label)
            if self._rest.get(model) or self._fields.get(model)
        ]

    def question(self, model: str, pk: Key) -> MatchJob:
        """What to ask the database about one instance: one query decides all conditions."""
        rest = self._rest.get(model, {})
        return MatchJob(
            model,
            pk,
            tuple(self._fields.get(model, {})),
            tuple((each.number, each.condition.query) for each in rest.values()),
        )

    def guarded(self, asked: str, pk: Key, values: dict[str, Any], newest: int) -> MatchJob | None:
        """What to ask next about an instance whose values are known; None if there is nothing.

        The queries up to ``newest`` that these values do not rule out.
        """
        found: dict[int, Watched] = {}
        for name, by_value in self._guarded.get(asked, {}).items():
            if name in values:
                found |= by_value.get(values[name], {})
        conditions = tuple(
            (number, each.condition.query) for number, each in found.items() if number <= newest
        )
        return MatchJob(asked, pk, (), conditions) if conditions else None

    def members_of(self, model: str, pk: Key) -> list[Watched]:
        """The listed conditions that the instance meets, or may, as far as is known."""
        return list(self._member_of.get((model, pk), {}).values())

    def unlisted(self, model: str) -> list[Watched]:
        """The conditions whose members are not followed."""
        return list(self._unlisted.get(model, {}).values())

    def watchers(self, model: str) -> set[str]:
        """The connections with a condition that only a row of this model can decide."""
        return {id for each in self.asked(model) for id in each.connections}

    def numbered(self, numbers: Iterable[int]) -> list[Watched]:
        """Those of these numbers that are still there."""
        return [self._by_number[each] for each in numbers if each in self._by_number]

    def watchers_of(self, numbers: Iterable[int]) -> set[str]:
        """The connections that have any of these conditions."""
        return {id for each in self.numbered(numbers) for id in each.connections}

    def met(self, model: str, result: MatchResult) -> list[Watched]:
        """The conditions that an instance meets, by the database's answer."""
        if result.values is None:
            return []
        found = [self._by_number[number] for number in result.met if number in self._by_number]
        for name, by_value in self._by_value.get(model, {}).items():
            if name in result.values:
                candidates = by_value.get(result.values[name], {})
                found += [each for each in candidates.values() if _meets(each, result.values)]
        return found

    def doubt(self, watched: Watched, pk: Key) -> None:
        """Note that nobody knows whether all watchers show an instance: its next change tells."""
        if watched.members is not None and watched.number in self._by_number:
            watched.unsure.add(pk)
            self._member_of.setdefault((watched.condition.model, pk), {})[watched.number] = watched

    def _be_sure(self, watched: Watched, pk: Key) -> None:
        if watched.members is not None and pk in watched.unsure:
            watched.unsure.discard(pk)
            if pk not in watched.members:
                _discard(self._member_of, (watched.condition.model, pk), watched.number)

    def move(self, watched: Watched, pk: Key, joined: bool, position: Position) -> None:
        """Note that an instance came to meet a condition, or stopped."""
        if watched.members is None or watched.number not in self._by_number:
            return
        self._be_sure(watched, pk)
        if (pk in watched.members) == joined:
            return
        if len(watched.moves) == MAX_MOVES:
            watched.known = watched.moves[0][0]
        watched.moves.append((position, pk, joined))
        key = (watched.condition.model, pk)
        if joined:
            watched.members.add(pk)
            self._member_of.setdefault(key, {})[watched.number] = watched
        else:
            watched.members.discard(pk)
            _discard(self._member_of, key, watched.number)


def _meets(watched: Watched, values: dict[str, Any]) -> bool:
    return all(name in values and values[name] == value for name, value in watched.condition.equal)


def _discard(table: dict[Any, dict[int, Watched]], key: Any, number: int) -> None:
    found = table.get(key)
    if found is not None:
        found.pop(number, None)
        if not found:
            del table[key]
