"""What a process holds, by /proc: memory, open files, threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# The push server may have grown by so much between two quiet moments.
MEMORY_SHARE = 0.05
MEMORY_BYTES = 5_000_000

ESTABLISHED = "01"


@dataclass(frozen=True)
class Holding:
    """Of one process: bytes of resident memory, open files, threads."""

    memory: int
    files: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """Of all processes at one time, in seconds since the start."""

    at: float
    clients: int
    push: Holding
    renderers: dict[int, Holding]


def sample(at: float, clients: int, pid: int, notifier_port: int) -> Sample:
    push = holding(pid, _connections_to(notifier_port))
    return Sample(at, clients, push, {each: holding(each) for each in children(pid)})


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holding(pid: int, without: frozenset[str] = frozenset()) -> Holding:
    """What a process holds; ``without`` are sockets that don't count, as /proc names them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    files = [file for file in _files(pid) if file not in without]
    return Holding(int(status["VmRSS"][0]) * 1024, len(files), int(status["Threads"][0]))


def _files(pid: int) -> list[str]:
    folder, found = f"/proc/{pid}/fd", []
    for each in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{each}"))
        except FileNotFoundError:
            continue  # closed since
    return found


def _connections_to(port: int) -> frozenset[str]:
    """The sockets of those who report changes, which come and go with their processes."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED]
    return frozenset(f"socket:[{row[9]}]" for row in mine)


def problems(before: Sample, after: Sample) -> list[str]:
    """What has grown from one quiet moment to another."""
    found = []
    if before.renderers.keys() != after.renderers.keys():
        found.append("renderers were replaced")
    pairs = {"the push server": (before.push, after.push)}
    for pid in before.renderers.keys() & after.renderers.keys():
        pairs[f"renderer {pid}"] = (before.renderers[pid], after.renderers[pid])
    for name, (one, other) in pairs.items():
        for what in ("files", "threads"):
            if getattr(one, what) != getattr(other, what):
                found.append(f"{name} had {getattr(one, what)} {what}, has {getattr(other, what)}")
        if other.memory - one.memory > max(MEMORY_BYTES, MEMORY_SHARE * one.memory):
            found.append(f"{name} grew from {megabytes(one.memory)} to {megabytes(other.memory)}")
    return found


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
