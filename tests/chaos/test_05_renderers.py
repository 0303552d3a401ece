"""A renderer killed, hung, or raising in the middle of a job."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import requests

from tests.live.clients import browse
from tests.live.processes import Live, wait_until

from . import stories
from .crowd import Crowd, Member
from .history import Commit, History
from .views_faults import FAULTY, HEALTHY

UPDATES = ("map", "own", "view", "matched")
# Faults whose job is done again, and those that are reported instead.
RETRIED, REPORTED = ("kill", "sit", "garbage"), ("kill twice", "hang", "raise", "nan")
FINE = "fine"
ARRIVING = (*RETRIED, FINE)
RENDERERS = 2
SMALL = {"kill": 1, "sit": 1, "kill twice": 1, "hang": 1, "raise": 4, "nan": 1, "garbage": 1}
FULL = {"kill": 50, "sit": 30, "kill twice": 10, "hang": 20, "raise": 100, "nan": 10, "garbage": 10}


@dataclass(frozen=True)
class Fault:
    pk: int
    kind: str
    name: str

    @property
    def update(self) -> str:
        return f"faulty{self.pk}"

    @property
    def told(self) -> str:
        """What the log says of it, as a pattern."""
        why = {
            "kill twice": "its renderer died, 2 times",
            "hang": "no result within 1 s",
            "nan": "gave what JSON can't hold",
            "raise": rf"raised \w+: {re.escape(self.name)}",
        }
        return rf"update '{self.update}' of project\.[Aa]uthor {self.pk}: .*{why[self.kind]}"

    def note_in(self, folder: Path) -> Callable[[], str]:
        """Reads who serializes it, as soon as that is known."""
        path = folder / self.name
        return lambda: path.read_text() if path.exists() else ""


@dataclass
class Site:
    live: Live
    crowd: Crowd
    members: list[Member]
    loaded: float
    commits: list[Commit] = field(default_factory=list)

    def save(self, pk: int, name: str) -> None:
        self.commits.append(stories.saved(pk, stories.version_of(name)))
        url = f"{self.live.url}/author/{pk}/save/"
        requests.get(url, {"name": name}, timeout=20).raise_for_status()

    def metric(self, name: str) -> int:
        text = requests.get(f"{self.live.notifier_url}/metrics", timeout=20).text
        found = re.search(rf"^serverpush_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def is_healthy(self) -> bool:
        health = requests.get(f"{self.live.notifier_url}/health", timeout=20)
        return health.status_code == 200 and health.json()["renderers"] == RENDERERS


@pytest.fixture
def site(tmp_path, size):
    notes = tmp_path / "notes"
    notes.mkdir()
    environ = {
        "LIVE_URLS": "tests.chaos.views_faults",
        "LIVE_RENDERERS": str(RENDERERS),
        "LIVE_RENDER_TIMEOUT": "1",
        "LIVE_NOTES": str(notes),
    }
    with Live(tmp_path, environ) as live:
        live.start()
        live.shell(
            "from tests.project.models import Author\n"
            f"Author.objects.create(pk={HEALTHY}, name='healthy 0.')\n"
            f"for pk in {FAULTY}: Author.objects.create(pk=pk, name='{FINE}:0.')"
        )
        loaded = time.time()
        auth = {"page": browse(f"{live.url}/faults/")[1]["page"]}
        with Crowd(live.port, live.url) as crowd:
            members = [
                crowd.join(auth, User_Agent=f"client {number}") for number in range(size(10, 50))
            ]
            commits = [stories.saved(pk, 0) for pk in (HEALTHY, *FAULTY)]
            yield Site(live, crowd, members, loaded, commits)


def plan(counts):
    """Rounds of what goes wrong with which author; each kind is spread over all rounds.

    In the last one nothing goes wrong.
    """
    spread = sorted(
        (place / count, kind) for kind, count in counts.items() for place in range(count)
    )
    kinds = [*(kind for _, kind in spread), *[FINE] * (-len(spread) % len(FAULTY) + len(FAULTY))]
    faults = [
        Fault(pk, kind, f"{kind}:{number}.")
        for number, (kind, pk) in enumerate(zip(kinds, cycle(FAULTY), strict=False), start=1)
    ]
    return [faults[start : start + len(FAULTY)] for start in range(0, len(faults), len(FAULTY))]


def run(site, rounds, notes):
    """Let everything of a round go wrong at once, and wait for what has to come of it."""
    reported = 0
    for number, faults in enumerate(rounds, start=1):
        for each in faults:
            site.save(each.pk, each.name)
        site.save(HEALTHY, f"healthy {number}.")
        for each in faults:
            if each.kind == "sit":
                os.kill(int(wait_until(each.note_in(notes), each.name)), signal.SIGKILL)
        reported += sum(each.kind in REPORTED for each in faults)
        for member in site.members:
            is_done = partial(has_all, member, f"healthy {number}.", faults, reported)
            wait_until(is_done, f"a client has all of round {number}: {faults}", timeout=60)


def has_all(member, healthy, faults, reported):
    return (
        all(healthy in str(member.last(update)) for update in UPDATES)
        and all(member.last(each.update) == each.name for each in faults if each.kind in ARRIVING)
        and len(member.of("serverpush:refresh")) >= reported
    )


def check_clients(site, rounds):
    """Each client has had each event once and in order, and was told of each failure once."""
    faults = [each for faults in rounds for each in faults]
    arrived = {
        f"faulty{pk}": [each.name for each in faults if each.pk == pk and each.kind in ARRIVING]
        for pk in FAULTY
    }
    reported = sum(each.kind in REPORTED for each in faults)
    for member in site.members:
        assert {name: [each.payload for each in member.of(name)] for name in arrived} == arrived
        told = [each.payload["reason"] for each in member.of("serverpush:refresh")]
        assert told == ["error"] * reported
        for update in UPDATES:
            assert len(member.of(update)) == len(rounds)
        agents = {each.payload["agent"] for each in member.of("own")}
        assert len(agents) == 1
        ids = [each.meta["id"] for each in member.events if "id" in each.meta]
        assert len(ids) == len(set(ids))
    check_history(site)


def check_history(site):
    pks = dict.fromkeys(UPDATES, HEALTHY) | {f"faulty{pk}": pk for pk in FAULTY}
    told = {
        f"client {number}": stories.story(pks, site.loaded, each.events)
        for number, each in enumerate(site.members)
    }
    History(site.commits, stories=told).check(stories.rows(site.live.author_names()))


def check_log(site, rounds):
    """Each failure is one line that names the update, and nothing else is an error."""
    lines = [line for line in site.live.push.lines if re.search(r"update 'faulty", line)]
    expected = Counter()
    for each in (each for faults in rounds for each in faults):
        if each.kind in REPORTED:
            expected[each.told] += 1
    found = Counter(told for line in lines for told in expected if re.search(told, line))
    assert found == expected
    assert len(lines) == sum(expected.values())
    assert "Traceback" not in site.live.push.output


def test_each_update_arrives_or_is_reported(site, size, figures, tmp_path):
    began = time.monotonic()
    counts = size(SMALL, FULL)
    rounds = plan(counts)
    run(site, rounds, tmp_path / "notes")
    check_clients(site, rounds)
    check_log(site, rounds)
    wait_until(site.is_healthy, "all renderers are ready")
    kills = counts["kill"] + counts["sit"] + 2 * counts["kill twice"]
    assert site.metric('renderers_replaced_total{reason="died"}') == kills + counts["garbage"]
    assert site.metric('renderers_replaced_total{reason="timeout"}') == counts["hang"]
    figures.say(
        5,
        "renderers killed, hung, raising",
        clients=str(len(site.members)),
        kills=str(kills),
        hangs=str(counts["hang"]),
        raises=str(counts["raise"]),
        bad_results=str(counts["nan"] + counts["garbage"]),
        events=f"{sum(len(each.events) for each in site.members):,}",
        lost="0",
        took=f"{time.monotonic() - began:.1f} s",
    )
