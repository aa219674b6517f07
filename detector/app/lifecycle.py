"""The long-running application: start in the right order, and stop at a batch boundary.

Not here: the queries (``serving``), the pipeline (``stream``), the protocol of the sink
(``detector.kafka.alert_sink``), what is measured (``recording``).
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

from detector.app import data_loss, session
from detector.app.adopt import look_up, why_nothing
from detector.app.alias_watch import AliasWatch
from detector.app.catch_up import find_backlog
from detector.app.checkpoint import Checkpoint
from detector.app.checkpoint_lock import locked
from detector.app.heartbeat import Heartbeat
from detector.app.judge import Judge, Model, judge_of_version, load_judge
from detector.app.model_registry import open_registry
from detector.app.outages import Notice, Patience
from detector.app.queries import Queries
from detector.app.recording import Recorder
from detector.app.rejects import FinishedBatch, LedgerWorker
from detector.app.rereading import reread_after
from detector.app.serving import Serving
from detector.app.stream import Publisher
from detector.app.succession import Succession
from detector.kafka.alert_sink import AlertSink
from detector.kafka.broker_watch import BrokerWatch
from detector.kafka.commit_log import CommitLog
from detector.kafka.dead_letter import Ledger
from detector.kafka.heartbeats import HeartbeatWriter
from detector.kafka.marker import Marker
from detector.kafka.preflight import Preflight, TopicFacts
from detector.kafka.sink_port import SinkSpec
from detector.observability.health import HealthServer, Readiness
from detector.observability.progress import BatchProgress
from detector.settings import Settings, specs

LEDGER_DRAIN_SECONDS: Final = 5.0
STALE_AFTER_SECONDS: Final = 60.0  # without a batch or an idle sign the application is not ready

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
    adopt : bool
        Let an empty checkpoint carry on what another one has published.
    on_started : callable
        Told once, when the query runs.
    on_batch : callable
        Told of each finished batch, for a terminal view.
    """

    settings: Settings
    take_over: bool = False
    adopt: bool = False
    on_started: Callable[[Started], None] = lambda _: None
    on_batch: Callable[[BatchProgress], None] = lambda _: None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _running: bool = False
    _told: bool = False

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
            try:
                self._run()
            except Exception as error:  # a library in C that the signal interrupts reports it as an error of its own
                if self._running or not self._stopping.is_set():
                    raise
                log.info("stopped while it started", met=f"{type(error).__name__}: {error}".splitlines()[0])

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
            topics = _prepare_topics(settings, checkpoint)
            notice = Notice(settings.kafka.bootstrap_servers, readiness, recorder.metrics)
            watch = BrokerWatch(specs.connection(settings), settings.alerts.commits_topic, notice)
            stack.enter_context(watch.watching())
            owner = checkpoint.claim(frozen_settings(settings))
            stack.enter_context(locked(checkpoint.directory, take_over=self.take_over))
            recorder.on_lost(_lost(settings, checkpoint, topics))
            spark = session.build(settings)
            sink, before = stack.enter_context(_started_sink(self, topics, checkpoint, owner))
            worker = stack.enter_context(_started_worker(settings, checkpoint, recorder))
            recorder.attach(worker)
            stack.enter_context(_heartbeat(settings, recorder))
            listener = recorder.listener(specs.QUERY_NAME, partial(session.failed_tasks, spark))
            spark.streams.addListener(listener)
            stack.callback(spark.streams.removeListener, listener)
            publisher = Publisher(sink, checkpoint, judge.digests, worker.wait_for_room, recorder.on_result)
            queries = Queries(spark, list(topics.partitions), publisher, recorder.judged_by)
            url = f"{server.url}/metrics"

            def on_stop() -> None:
                log.info("stopping at the next batch boundary")
                readiness.stopping()
                worker.release()

            def on_running() -> None:
                if not self._told:
                    self._told = True
                    self.on_started(Started(server.url, judge.model))

            patience = Patience(watch.answered_since, checkpoint.last_committed, self._stopping)
            on_restart = recorder.metrics.record_query_restart
            backlog = partial(find_backlog, settings, checkpoint)
            succession = stack.enter_context(_succession(settings, judge, recorder))
            on_succession = partial(recorder.metrics.record_model_change, "taken")
            serving = Serving(
                judge, queries, backlog, sink, patience, url, self._stopping, on_stop, on_running, on_restart,
                succession, on_succession,
            )  # fmt: skip
            self._running = True
            serving.run(before)


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


def _prepare_topics(settings: Settings, checkpoint: Checkpoint) -> TopicFacts:
    reading = specs.stream_source(settings, checkpoint.read_offsets())
    preflight = Preflight(reading.connection)
    if settings.source.heartbeat_after is not None:
        preflight.ensure(settings.source.heartbeat_topic, 1, settings.kafka.replication_factor, {})
    strict = settings.source.require_log_append_time
    facts = preflight.check_source(reading.topics, reading.topic_pattern, require_log_append_time=strict)
    for warning in facts.warnings:
        log.warning("preflight", what=warning)
    outputs = (settings.alerts.topic, settings.dead_letter.topic, settings.alerts.commits_topic)
    preflight.ensure_outputs(*outputs, settings.kafka.replication_factor)
    return facts


def _lost(settings: Settings, checkpoint: Checkpoint, topics: TopicFacts) -> Mapping[str, int]:
    first = Preflight(specs.connection(settings)).offsets(topics.partitions)
    return data_loss.settle(settings, checkpoint.finished_offsets(), first)


@contextlib.contextmanager
def _started_sink(
    application: Application, topics: TopicFacts, checkpoint: Checkpoint, owner: str
) -> Iterator[tuple[AlertSink, Marker | None]]:
    settings = application.settings
    log_spec = specs.log(settings)
    sink_spec = SinkSpec(
        deployment=log_spec.transactional_id,
        marker_interval_seconds=settings.alerts.marker_interval.total_seconds(),
        take_over=application.take_over,
        topic_uuids=topics.uuids,
    )

    adopted = False

    def adopt(marker: Marker) -> None:
        nonlocal adopted
        adopted = True
        adoption = look_up(settings, topics, marker)
        if adoption is not None:
            checkpoint.keep_adoption(adoption)

    sink = AlertSink(CommitLog(log_spec), sink_spec)
    try:
        facts = checkpoint.facts(owner)
        before = sink.start(facts, adopt if application.adopt else None)
        published = {"published_batch": before.batch_id} if before is not None and before.batch_id >= 0 else {}
        log.info("owner", id=log_spec.transactional_id, start=sink.marker.generation, **published)
        if application.adopt and not adopted:
            log.info("nothing is adopted", why=why_nothing(facts, before))
        yield sink, before
    finally:
        sink.close()


@contextlib.contextmanager
def _succession(settings: Settings, judge: Judge, recorder: Recorder) -> Iterator[Succession | None]:
    """Watch the alias that chose the model; None where a version was named, which is meant to stay."""
    if judge.model.version == settings.model.version:
        yield None
        return
    registry = open_registry(settings)
    watch = AliasWatch(partial(registry.resolve, settings.model.version), judge.model.version)
    refused = partial(recorder.metrics.record_model_change, "refused")
    succession = Succession(watch, partial(judge_of_version, settings), refused)
    with succession.watching():
        yield succession


@contextlib.contextmanager
def _heartbeat(settings: Settings, recorder: Recorder) -> Iterator[None]:
    after = settings.source.heartbeat_after
    if after is None:
        yield
        return
    writer = HeartbeatWriter(specs.connection(settings), settings.source.heartbeat_topic)
    ahead = settings.windows.length + settings.windows.lateness
    recorder.keep_alive(Heartbeat(writer.write, after.total_seconds(), ahead.total_seconds()))
    with contextlib.closing(writer):
        yield


@contextlib.contextmanager
def _started_worker(settings: Settings, checkpoint: Checkpoint, recorder: Recorder) -> Iterator[LedgerWorker]:
    ledger = Ledger(specs.ledger(settings), specs.decode(settings), specs.windows(settings))
    worker = LedgerWorker(ledger, settings.dead_letter.max_backlog_batches, recorder.on_dead_letters)
    committed = checkpoint.last_committed()
    if committed >= 0:
        rereads = reread_after(checkpoint, ledger.progress(), committed)
        worker.add(FinishedBatch(-1, checkpoint.offsets(committed).end, rereads))
    worker.start()
    try:
        yield worker
    finally:
        if not worker.stop(LEDGER_DRAIN_SECONDS):
            log.warning("dead letters are left for the next start", batches=worker.backlog)
