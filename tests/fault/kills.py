"""Where a process is killed, and how: of the driver's Python, its JVM, or both.

Not here: what must be true afterwards (``test_kills``).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detector import failpoints
from tests.e2e.deployment import DEADLINE, Run
from tests.fault.processes import children_of

Target = Literal["Python", "JVM", "both"]
TARGETS: tuple[Target, ...] = ("Python", "JVM", "both")


@dataclass(frozen=True)
class Point:
    """A moment in the life of a micro-batch.

    Parameters
    ----------
    name : str
        For people.
    failpoint : str
        Where the process is held.
    after : float
        Seconds at most, of which the seed chooses, that it goes on before it is killed; 0 kills it where it is held.
    freeze_jvm : bool
        Whether Spark stands still meanwhile: Python goes on, Spark writes nothing any more. The JVM is then always
        among what is killed: woken up, it would write what it has not.
    """

    name: str
    failpoint: failpoints.Name
    after: float = 0.0
    freeze_jvm: bool = False


POINTS = (
    Point("offsets written", "batch planned"),
    Point("computing", "batch planned", after=1.5),
    Point("transaction begun", "transaction begun"),
    Point("alerts produced", "alerts produced"),
    Point("committing", "alerts produced", after=0.02),
    Point("committed", "committed"),
    Point("before Spark's commit", "published batch returned", after=0.1, freeze_jvm=True),
)


@dataclass(frozen=True)
class Kill:
    """A kill that is to come: armed by `arm`, done by `strike`; after one of them the checkpoint is lost."""

    point: Point
    target: Target
    after: float
    directory: Path
    loses_checkpoint: bool

    @property
    def environment(self) -> dict[str, str]:
        """What the process must be started with."""
        return {failpoints.ENVIRONMENT: f"{self.point.failpoint}:{self.directory}"}

    def arm(self) -> None:
        """From now on the process is held at the point."""
        (self.directory / failpoints.ARMED).touch()

    def strike(self, run: Run) -> None:
        """Wait until the process is at the point, and kill it."""
        wait_until((self.directory / failpoints.REACHED).exists, run)
        jvm = java_of(run.process.pid)
        if self.point.freeze_jvm:
            os.kill(jvm, signal.SIGSTOP)
        if self.point.after:
            (self.directory / failpoints.RESUME).touch()
            time.sleep(self.after)  # the fault itself: a kill after so long, not a wait for something
        if self.target in {"JVM", "both"}:
            os.kill(jvm, signal.SIGKILL)
        if self.target in {"Python", "both"}:
            run.process.kill()
        (self.directory / failpoints.RESUME).touch()
        run.process.wait(DEADLINE)


def kills(seed: int, directory: Path) -> list[Kill]:
    """Return one kill at every point; order, targets, delays and the loss are chosen by the seed."""
    rng = random.Random(seed)
    found = []
    lost = rng.choice([point for point in POINTS if not point.freeze_jvm])
    for number, point in enumerate(rng.sample(POINTS, len(POINTS))):
        place = directory / f"kill-{number}"
        place.mkdir()
        targets = [target for target in TARGETS if not point.freeze_jvm or target != "Python"]
        found.append(Kill(point, rng.choice(targets), rng.uniform(0, point.after), place, point == lost))
    return found


def java_of(pid: int) -> int:
    """Return the process id of the JVM that a process has started."""
    for child in children_of(pid):
        if Path(f"/proc/{child}/comm").read_text().strip() == "java":
            return child
    raise AssertionError(f"process {pid} has no JVM")


def wait_until(happened: Callable[[], bool], run: Run) -> None:
    """Wait for something that a living process does."""
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert run.process.poll() is None, run.log()
        assert time.monotonic() < deadline, run.log()
        time.sleep(0.001)
