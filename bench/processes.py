"""Memory and processor time of a process and all below it, sampled from /proc while it runs.

Memory is the proportional set size: pages that processes share count once, so that the sum over processes is what
the machine really holds.

Not here: starting processes (``running``). Linux only.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

SAMPLE_SECONDS: Final = 1.0  # reading a process of some GB costs the kernel some 10 ms
ROLES: Final = ("JVM", "Python workers", "driver")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Sample:
    """One look: memory in bytes and processor seconds since the start, by role."""

    at: float
    memory: dict[str, int]
    cpu: dict[str, float]

    @property
    def total(self) -> int:
        """Bytes of all roles."""
        return sum(self.memory.values())


@dataclass
class Sampler:
    """Looks at a process tree once a second until it is left.

    Parameters
    ----------
    root : int
        Process id of the top.
    """

    root: int
    samples: list[Sample] = field(default_factory=list)
    _cpu: dict[int, tuple[str, float]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def peak(self) -> Sample:
        """Return the look at which the tree held most."""
        return max(self.samples, key=lambda sample: sample.total)

    def cpu_between(self, start: float, end: float) -> dict[str, float]:
        """Return the processor seconds used between two times (`time.time`), by role, to one sample's accuracy."""
        first = min(self.samples, key=lambda sample: abs(sample.at - start))
        last = min(self.samples, key=lambda sample: abs(sample.at - end))
        return {role: last.cpu[role] - first.cpu[role] for role in ROLES}

    def _run(self) -> None:
        self.samples.append(self._look())
        while not self._stopping.wait(SAMPLE_SECONDS):
            self.samples.append(self._look())

    def _look(self) -> Sample:
        memory = dict.fromkeys(ROLES, 0)
        for pid in tree(self.root):
            try:
                role = _role(pid, self.root)
                memory[role] += _proportional_bytes(pid)
                self._cpu[pid] = (role, _cpu_seconds(pid))
            except (FileNotFoundError, ProcessLookupError):  # it ended while it was looked at
                continue
        cpu = dict.fromkeys(ROLES, 0.0)
        for role, used in self._cpu.values():  # what ended processes have used still counts
            cpu[role] += used
        return Sample(time.time(), memory, cpu)


def tree(root: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(children.get(pid, []))


def _role(pid: int, root: int) -> str:
    if pid == root:
        return "driver"
    command = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    return "JVM" if command[0].endswith(b"java") else "Python workers"


def _proportional_bytes(pid: int) -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` from the state on; the name before may hold anything."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
