"""Which query runs when: a published batch is finished, a backlog is read, then what comes.

It begins again after an outage, and under another model once one was promoted.

Not here: what must be there first, and the end of it all (``lifecycle``); a query itself (``queries``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from pyspark.sql.streaming.query import StreamingQuery

from detector.app.catch_up import Backlog
from detector.app.judge import Judge, judge_of_unfinished
from detector.app.outages import Patience
from detector.app.queries import Queries, failure, finished
from detector.app.succession import Succession
from detector.errors import TransientError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.marker import Marker
from detector.observability.metrics import RestartReason

WATCH_SECONDS: Final = 0.2

log = structlog.get_logger()


@dataclass
class Serving:
    """The queries of one process, one after another.

    Parameters
    ----------
    judge : Judge
        What judges; its successor follows it.
    queries : Queries
        Starts and ends them.
    find_backlog : callable
        Measures what waits; None if one micro-batch can read it.
    sink : AlertSink
        Publishes; it has started.
    patience : Patience
        Waits outages out.
    metrics : str
        Address of the metrics, for people.
    stopping : threading.Event
        Ends it at the next batch boundary.
    on_stop : callable
        Told once, when the stop begins.
    on_running : callable
        Told whenever the endless query runs.
    on_restart : callable
        Told what an outage has ended, before it begins again.
    succession : Succession or None
        Has the model that is to follow, None if the model never changes.
    on_succession : callable
        Told when another model has taken over.
    """

    judge: Judge
    queries: Queries
    find_backlog: Callable[[], Backlog | None]
    sink: AlertSink
    patience: Patience
    metrics: str
    stopping: threading.Event
    on_stop: Callable[[], None]
    on_running: Callable[[], None]
    on_restart: Callable[[RestartReason], None]
    succession: Succession | None = None
    on_succession: Callable[[], None] = lambda: None

    def run(self, before: Marker | None) -> None:
        """Run until a stop is asked for.

        Parameters
        ----------
        before : Marker or None
            Of the last batch that was published before this process.

        Raises
        ------
        DetectorError
            What ended it. Kafka's silence does not, unless it seems to be for ever.
        """
        marker, lost = before, False
        while True:
            try:
                if lost:
                    marker, lost = self.sink.resume(), False
                self._run_in_order(marker)
                while self._succeed():
                    self._run_in_order(self.sink.marker)
            except TransientError as error:
                publisher = self.queries.publisher
                reason: RestartReason = "publishing" if publisher.failure is error else "reading"
                publisher.failure = None
                if not self.patience.wait_out(error):
                    self.on_stop()
                    return
                self.on_restart(reason)
                lost = True
            else:
                return

    def _run_in_order(self, marker: Marker | None) -> None:
        earlier = judge_of_unfinished(marker, self.queries.publisher.checkpoint, self.judge)
        if earlier is not None and marker is not None:
            self._finish(marker.batch_id, earlier)
        self._catch_up()
        if not self.stopping.is_set():
            with self.queries.query(self.judge) as query:
                log.info("running", metrics=self.metrics, model=self.judge.model.version)
                self.on_running()
                self._watch(query, self.succession.waiting if self.succession else lambda: False)

    def _succeed(self) -> bool:
        """Let the successor judge from here on; tell whether there is one and no stop was asked for."""
        judge = self.succession.take() if self.succession and not self.stopping.is_set() else None
        if judge is None:
            return False
        log.info("another model from here on", model=judge.model.version, before=self.judge.model.version)
        self.judge = judge
        self.on_succession()
        return True

    def _finish(self, batch_id: int, judge: Judge) -> None:
        """Let the judge of a published batch finish it."""
        log.info("a published batch is finished by its own judge first", batch=batch_id, model=judge.model.version)
        checkpoint = self.queries.publisher.checkpoint
        with self.queries.query(judge) as query:
            self._watch(query, lambda: checkpoint.last_committed() >= batch_id)

    def _catch_up(self) -> None:
        """Read what waits, up to its end of now, with a lateness that covers how far its partitions are apart."""
        while not self.stopping.is_set():
            backlog = self.find_backlog()
            if backlog is None:
                return
            skew = round(backlog.skew_seconds)
            log.info("catching up", metrics=self.metrics, records=backlog.records, skew_seconds=skew)
            with self.queries.query(self.judge, backlog) as query:
                self._watch(query, partial(finished, query))

    def _watch(self, query: StreamingQuery, done: Callable[[], bool]) -> None:
        while not done():
            if self.stopping.wait(WATCH_SECONDS):
                self.on_stop()
                return
            if not query.isActive and not done():
                raise failure(query, self.queries.publisher)
