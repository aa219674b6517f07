"""The long-running application: start in the right order, watch, and stop at a batch boundary.

Not here: the pipeline (``stream``), the protocol of the sink (``detector.kafka.alert_sink``), what is measured
(``recording``).
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from pyspark.sql.streaming.query import StreamingQuery

from detector.app import session
from detector.app.catch_up import find_backlog
from detector.app.checkpoint import Checkpoint
from detector.app.judge import Judge, Model, judge_of_unfinished, load_judge
from detector.app.queries import Queries, failure, finished
from detector.app.recording import Recorder
from detector.app.rejects import FinishedBatch, LedgerWorker, gap
from detector.app.stream import Publisher
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import CommitLog, Marker
from detector.kafka.dead_letter import Ledger
from detector.kafka.preflight import Preflight, TopicFacts
from detector.kafka.sink_port import SinkSpec
from detector.observability.health import HealthServer, Readiness
from detector.observability.progress import BatchProgress
from detector.settings import Settings, specs

LEDGER_DRAIN_SECONDS: Final = 5.0
STALE_AFTER_SECONDS: Final = 60.0  # without a batch or an idle sign the application is not ready
WATCH_SECONDS: Final = 0.2

log = structlog.get_logger()


class _StoppedAtStartError(BaseException):
    """Unwinds a start that a signal ends; nothing has been read or published by then."""


@dataclass(frozen=True)
class Started:
    """What is known once the application serves.

    Parameters
    ----------
    url : str
        Of the HTTP server: ``/metrics``, ``/livez`` and ``/readyz`` are below it.
    model : Model
        What judges.
    """

    url: str
    model: Model


@dataclass
class Application:
    """One run of the query under one model.

    Parameters
    ----------
    settings : Settings
        Everything.
    take_over : bool
        Fence an owner that seems alive.
    on_started : callable
        Told once, when the query runs.
    on_batch : callable
        Told of each finished batch, for a terminal view.
    """

    settings: Settings
    take_over: bool = False
    on_started: Callable[[Started], None] = lambda _: None
    on_batch: Callable[[BatchProgress], None] = lambda _: None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _running: bool = False
    _on_stop: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Ask for a stop at the next batch boundary; safe from a signal handler or another thread."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT, also while the application still starts; main thread only."""

        def on_signal(*_: object) -> None:
            self.stop()
            if not self._running:
                raise _StoppedAtStartError

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)

    def run(self) -> None:
        """Run until `stop` is called or something fails.

        Raises
        ------
        DetectorError, ModelError
            What ended it; each class has an exit code and a reaction.
        """
        with contextlib.suppress(_StoppedAtStartError), session.named_jvm_end():
            self._run()

    def _run(self) -> None:
        settings = self.settings
        judge = load_judge(settings)
        checkpoint = Checkpoint(settings.state.checkpoint)
        readiness = Readiness(STALE_AFTER_SECONDS, time.monotonic)
        with contextlib.ExitStack() as stack:
            recorder = Recorder(checkpoint, readiness, self.on_batch)
            registry = recorder.metrics.registry
            server = HealthServer(settings.http.host, settings.http.port, registry, readiness.verdict)
            stack.callback(server.close)
            topics = _prepare_topics(settings)
            owner = checkpoint.claim(frozen_settings(settings))
            stack.enter_context(checkpoint.locked(take_over=self.take_over))
            spark = session.build(settings)
            sink, before = stack.enter_context(_started_sink(self, checkpoint, owner))
            worker = stack.enter_context(_started_worker(settings, checkpoint, recorder))
            recorder.attach(worker)
            listener = recorder.listener(specs.QUERY_NAME)
            spark.streams.addListener(listener)
            stack.callback(spark.streams.removeListener, listener)
            publisher = Publisher(sink, checkpoint, judge.digests, worker.wait_for_room, recorder.on_result)
            queries = Queries(spark, list(topics.partitions), publisher, recorder.judged_by)

            def on_stop() -> None:
                log.info("stopping at the next batch boundary")
                readiness.stopping()
                worker.release()

            self._on_stop = on_stop
            self._running = True
            earlier = judge_of_unfinished(before, checkpoint, judge)
            if earlier is not None and before is not None:
                self._finish(before.batch_id, earlier, queries)
            self._catch_up(judge, queries, topics, f"{server.url}/metrics")
            if not self._stopping.is_set():
                with queries.query(judge) as query:
                    log.info("running", metrics=f"{server.url}/metrics", model=judge.model.version)
                    self.on_started(Started(server.url, judge.model))
                    self._watch(query, publisher, lambda: False)

    def _finish(self, batch_id: int, judge: Judge, queries: Queries) -> None:
        """Let the judge of a published batch finish it."""
        log.info("a published batch is finished by its own judge first", batch=batch_id, model=judge.model.version)
        with queries.query(judge) as query:
            self._watch(query, queries.publisher, lambda: queries.publisher.checkpoint.last_committed() >= batch_id)

    def _catch_up(self, judge: Judge, queries: Queries, topics: TopicFacts, metrics: str) -> None:
        """Read what waits, up to its end of now, with a lateness that covers how far its partitions are apart."""
        while not self._stopping.is_set():
            backlog = find_backlog(judge.settings, queries.publisher.checkpoint, topics.partitions)
            if backlog is None:
                return
            skew = round(backlog.skew_seconds)
            log.info("catching up", metrics=metrics, records=backlog.records, skew_seconds=skew)
            with queries.query(judge, backlog) as query:
                self._watch(query, queries.publisher, partial(finished, query))

    def _watch(self, query: StreamingQuery, publisher: Publisher, done: Callable[[], bool]) -> None:
        while not done():
            if self._stopping.wait(WATCH_SECONDS):
                self._on_stop()
                return
            if not query.isActive and not done():
                raise failure(query, publisher)


def frozen_settings(settings: Settings) -> Mapping[str, Any]:
    """Return what a checkpoint freezes: its state has no meaning under other values."""
    shape = specs.windows(settings)
    return {
        "state.buckets": settings.state.buckets,
        "state.shuffle_partitions": settings.state.shuffle_partitions,
        "windows.length": shape.length_seconds,
        "windows.slide": shape.slide_seconds,
        "windows.dedup": shape.dedup,
    }


def _prepare_topics(settings: Settings) -> TopicFacts:
    reading = specs.source(settings)
    preflight = Preflight(reading.connection)
    strict = settings.source.require_log_append_time
    facts = preflight.check_source(reading.topics, reading.topic_pattern, require_log_append_time=strict)
    for warning in facts.warnings:
        log.warning("preflight", what=warning)
    outputs = (settings.alerts.topic, settings.dead_letter.topic, settings.alerts.commits_topic)
    preflight.ensure_outputs(*outputs, settings.kafka.replication_factor)
    return facts


@contextlib.contextmanager
def _started_sink(
    application: Application, checkpoint: Checkpoint, owner: str
) -> Iterator[tuple[AlertSink, Marker | None]]:
    settings = application.settings
    log_spec = specs.log(settings)
    sink_spec = SinkSpec(
        deployment=log_spec.transactional_id,
        marker_interval_seconds=settings.alerts.marker_interval.total_seconds(),
        take_over=application.take_over,
    )
    sink = AlertSink(CommitLog(log_spec), sink_spec)
    try:
        before = sink.start(checkpoint.facts(owner))
        log.info(
            "owner", id=log_spec.transactional_id, start=sink.marker.generation, published=before and before.batch_id
        )
        yield sink, before
    finally:
        sink.close()


@contextlib.contextmanager
def _started_worker(settings: Settings, checkpoint: Checkpoint, recorder: Recorder) -> Iterator[LedgerWorker]:
    ledger = Ledger(specs.ledger(settings), specs.decode(settings))
    worker = LedgerWorker(ledger, settings.dead_letter.max_backlog_batches, recorder.on_dead_letters)
    committed = checkpoint.last_committed()
    if committed >= 0:
        end = checkpoint.offsets(committed).end
        worker.add(FinishedBatch(-1, end, gap(ledger.progress() or checkpoint.first_offsets(), end)))
    worker.start()
    try:
        yield worker
    finally:
        if not worker.stop(LEDGER_DRAIN_SECONDS):
            log.warning("dead letters are left for the next start", batches=worker.backlog)
