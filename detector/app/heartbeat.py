"""Closes the last windows of a source that has fallen silent.

The watermark moves with records alone: when none come, the last windows stay open. Once nothing has come for
``source.heartbeat_after``, a heartbeat takes event time just so far that all windows with a record are closed. Its
event time follows from the records and not from a clock, and it is a record itself: a replay closes the same windows.

Not here: writing it (``detector.kafka.heartbeats``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from detector.pipeline.instants import iso

log = structlog.get_logger()


class Heartbeat:
    """Knows when a heartbeat is due.

    Parameters
    ----------
    write : callable
        Takes its event time, microseconds since 1970.
    after_seconds : float
        How long nothing must have come.
    ahead_seconds : float
        How far event time must go beyond the newest record: the length of a window, and the lateness.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        write: Callable[[int], None],
        after_seconds: float,
        ahead_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._after_seconds = after_seconds
        self._ahead_seconds = ahead_seconds
        self._clock = clock
        self._newest = self._written_for = -math.inf
        self._read_at = clock()

    def read(self, newest: float) -> None:
        """Note that records came, and the newest event time so far (epoch seconds)."""
        self._newest = newest
        self._read_at = self._clock()

    def idle(self) -> None:
        """Note that there is nothing to read in any partition."""
        if self._newest > self._written_for and self._clock() - self._read_at >= self._after_seconds:
            self._written_for = self._newest
            self._write(round((self._newest + self._ahead_seconds) * 1_000_000))
            log.info("nothing comes: a heartbeat closes the open windows", newest_event_time=iso(self._newest))
