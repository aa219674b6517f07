"""The processes that a process has started, as Linux knows them.

Not here: which of them is killed, and when.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's children, whichever thread has started them."""
    found = []
    with contextlib.suppress(OSError):  # the process has ended meanwhile
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # the thread has
                found += [int(child) for child in children.read_text().split()]
    return found


def python_workers_of(jvm: int) -> list[int]:
    """Return the Python workers of a JVM: Spark forks them from a daemon."""
    return [worker for daemon in children_of(jvm) for worker in children_of(daemon)]


def is_busy(pid: int) -> bool:
    """Tell whether a process is computing now, and does not wait for anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:  # it has ended
        return False


def kill(*pids: int) -> None:
    """SIGKILL processes, unless they have ended meanwhile."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
