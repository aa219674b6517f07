"""Runs the main job and follows what it reports.

Not here: what the job does (``job``), what is made of the figures (the parts).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from bench.processes import Sampler
from detector.errors import DetectorError

ROOT: Final = Path(__file__).resolve().parent.parent
LOOK_SECONDS: Final = 0.2
STOP_SECONDS: Final = 60.0  # a job drains for at most 20 s
LOG_LINES: Final = 15


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes
    ----------
    number, rows : int
        Spark's number, and records read.
    started : float
        When it was triggered, epoch seconds.
    seconds : float
        From there until it was committed.
    phases : dict of str to int
        Spark's phases, milliseconds.
    operators : list of dict
        Spark's report of the state operators, in the order of the plan from its end: scoring, windows.
    sums : dict of str to float
        The product's metrics after it; empty if the job ended before they were written.
    """

    number: int
    rows: int
    started: float
    seconds: float
    phases: dict[str, int]
    operators: list[dict[str, Any]]
    sums: dict[str, float]

    @property
    def ended(self) -> float:
        """When it was committed, epoch seconds."""
        return self.started + self.seconds


class MainJob:
    """The main job from start to stop; a context manager.

    Parameters
    ----------
    settings : Path
        Its settings file; log and progress are written beside it.
    """

    def __init__(self, settings: Path) -> None:
        self._settings = settings
        self._log = settings.with_suffix(".log")
        self._progress = settings.with_suffix(".progress")
        self._stack = ExitStack()
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start it and begin to sample its processes."""
        log = self._stack.enter_context(self._log.open("wb"))
        command = [sys.executable, "-m", "bench.job", str(self._settings), str(self._progress)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )
        self._stack.callback(self._end)
        self.sampler = self._stack.enter_context(Sampler(self._process.pid))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._stack.close()

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has reported so far."""
        if not self._progress.exists():
            return []
        text = self._progress.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def batches(self) -> list[Batch]:
        """Return the batches so far, in order."""
        lines = self.lines()
        sums = {line["batch"]: line["sums"] for line in lines if line["kind"] == "metrics"}
        return [
            parse_batch(line["progress"], sums.get(line["progress"]["batchId"], {}))
            for line in lines
            if line["kind"] == "batch"
        ]

    def facts(self) -> dict[str, Any]:
        """Return what it said when it started: model and profile digest."""
        return next(line for line in self.lines() if line["kind"] == "started")

    def wait_until_started(self, seconds: float) -> float:
        """Wait until the query runs; return how long that took since the process was started."""
        self._wait(lambda lines: any(line["kind"] == "started" for line in lines), seconds, "its query does not run")
        return time.monotonic() - self._started

    def wait_until_idle(self, records: int, seconds: float) -> None:
        """Wait until so many records are read, and a look for more has found none."""

        def idle(lines: list[dict[str, Any]]) -> bool:
            read = sum(line["progress"]["numInputRows"] for line in lines if line["kind"] == "batch")
            return bool(read >= records and lines[-1]["kind"] == "idle")

        self._wait(idle, seconds, f"it has not worked off {records:,} records")

    def _wait(self, done: Callable[[list[dict[str, Any]]], bool], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not done(self.lines()):
            self._check()
            if time.monotonic() > until:
                raise DetectorError(f"the main job takes more than {seconds:.0f} s: {what}.\n{self._tail()}")
            time.sleep(LOOK_SECONDS)

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise DetectorError(f"the main job ended with code {self._process.returncode}.\n{self._tail()}")

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return f"The end of {self._log}:\n" + "\n".join(lines)

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def parse_batch(progress: dict[str, Any], sums: dict[str, float]) -> Batch:
    """Read Spark's report of a batch."""
    return Batch(
        number=progress["batchId"],
        rows=progress["numInputRows"],
        started=datetime.fromisoformat(progress["timestamp"]).timestamp(),
        seconds=progress["durationMs"]["triggerExecution"] / 1000,
        phases=progress["durationMs"],
        operators=progress["stateOperators"],
        sums=sums,
    )


def growth(batches: list[Batch], name: str) -> float:
    """Return how much a metric grew from the first to the last batch."""
    return batches[-1].sums.get(name, 0.0) - batches[0].sums.get(name, 0.0)
