"""What an outage of Kafka means for the process: it is not ready, it stays alive, and it begins again afterwards.

Not here: asking the brokers (``detector.kafka.broker_watch``), the queries that begin again (``serving``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from detector.errors import TransientError
from detector.observability.health import Readiness
from detector.observability.metrics import Metrics

MAX_IN_A_ROW: Final = 5  # restarts without a finished batch in between, though Kafka answered: no outage that passes
FIRST_PAUSE_SECONDS: Final = 1.0  # before the second restart in a row; doubles, 15 s in all
LOOK_SECONDS: Final = 0.2

log = structlog.get_logger()


@dataclass
class Notice:
    """Tells readiness, metrics and log whether Kafka answers.

    Parameters
    ----------
    servers : str
        Where Kafka should be, for people.
    readiness : Readiness
        Is not ready meanwhile.
    metrics : Metrics
        Show it.
    """

    servers: str
    readiness: Readiness
    metrics: Metrics
    _away: bool = False

    def __call__(self, silence: float | None) -> None:
        """Take what a look at the brokers found: seconds of silence, None if they answer."""
        away = silence is not None
        self.metrics.set_kafka_reachable(reachable=not away)
        self.readiness.outage(f"Kafka at {self.servers} does not answer since {silence:.0f} s" if away else None)
        if away and not self._away:
            log.warning("Kafka does not answer; not ready until it does", servers=self.servers)
        elif self._away and not away:
            log.info("Kafka answers again", servers=self.servers)
        self._away = away


@dataclass
class Patience:
    """Waits an outage out, unless waiting is of no use.

    Parameters
    ----------
    answered_since : callable
        Tells whether Kafka has answered since a moment (`time.monotonic`).
    last_committed : callable
        Newest batch that Spark finished.
    stopping : threading.Event
        Ends every wait.
    """

    answered_since: Callable[[float], bool]
    last_committed: Callable[[], int]
    stopping: threading.Event
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    _finished: int | None = field(default=None, init=False)
    _in_a_row: int = field(default=0, init=False)

    def wait_out(self, error: TransientError) -> bool:
        """Return when Kafka has answered again; False if a stop was asked for instead.

        Raises
        ------
        TransientError
            If Kafka answers each time and yet no batch has finished over several restarts.
        """
        failed_at = time.monotonic()
        finished = self.last_committed()
        self._in_a_row = self._in_a_row + 1 if finished == self._finished else 0
        self._finished = finished
        if self._in_a_row >= MAX_IN_A_ROW:
            raise TransientError(
                f"{error}. No batch was finished over {MAX_IN_A_ROW} restarts of the query though Kafka answered in "
                "between: look at what it says above, and at partitions without a leader"
            ) from error
        log.warning("the query starts again when Kafka answers", why=str(error))
        if self._in_a_row:
            self.stopping.wait(self.first_pause_seconds * 2 ** (self._in_a_row - 1))
        while not self.answered_since(failed_at):
            if self.stopping.wait(LOOK_SECONDS):
                break
        return not self.stopping.is_set()
