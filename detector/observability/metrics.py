"""The service's metrics, told as events: a batch ended, a bucket was scored, a transaction committed.

Not here: the definition of each metric (``families``), serving them over HTTP (``health``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from detector.observability.families import (
    AlertFamilies,
    QueryFamilies,
    ScoringFamilies,
    SourceFamilies,
    build_info,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from detector.observability.progress import BatchProgress

TransactionOutcome: TypeAlias = Literal["committed", "aborted", "skipped_replay", "uncertain"]
RestartReason: TypeAlias = Literal["reading", "publishing"]
ModelChange: TypeAlias = Literal["taken", "refused"]


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """The versions of what runs: Tidemark, Spark, and the Kafka client (librdkafka) of the alert sink."""

    version: str
    spark: str
    kafka_client: str


@dataclass(frozen=True, slots=True)
class SummaryFacts:
    """The summary row of one bucket of sensors in one batch.

    Attributes
    ----------
    bucket : int
        The state bucket.
    windows_scored : int
        Windows that got a score in this batch.
    windowed_records : int
        Records in the windows that closed in this batch, once a window.
    sensors_active, sensors_learning : int
        Sensors in the bucket's state now; those among them that the model cannot judge yet.
    incidents_open : mapping of str to int
        Severity -> incidents open now.
    openings_suppressed : mapping of str to int
        Reason -> incidents of this batch whose opening was not published.
    score_seconds : float
        Duration of the bucket's scoring in this batch.
    """

    bucket: int
    windows_scored: int
    sensors_active: int
    sensors_learning: int
    score_seconds: float
    incidents_open: Mapping[str, int] = field(default_factory=dict)
    openings_suppressed: Mapping[str, int] = field(default_factory=dict)
    windowed_records: int = 0


class Metrics:
    """All metrics of one process, in a registry of its own; safe to call from several threads.

    Counts given as mappings may contain zeros: a zero makes the series visible before its first event, which
    lets ``rate()`` see that event.

    Parameters
    ----------
    build : BuildInfo
        The versions to show.

    Attributes
    ----------
    registry : CollectorRegistry
        What a scrape reads. Its standard ``process_*`` are those of the Python process, without Spark's JVM.
    """

    def __init__(self, build: BuildInfo) -> None:
        # Process-wide; else the text format shows a second series for the creation time of each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._source = SourceFamilies(self.registry)
        self._query = QueryFamilies(self.registry)
        self._scoring = ScoringFamilies(self.registry)
        self._alerts = AlertFamilies(self.registry)
        build_info(self.registry).labels(build.version, build.spark, build.kafka_client).set(1)
        for outcome in get_args(TransactionOutcome):
            self._alerts.transactions.labels(outcome)
        for reason in get_args(RestartReason):
            self._query.restarts.labels(reason)
        self._lock = Lock()
        self._failed_tasks = 0
        self._partitions: set[tuple[str, int]] = set()
        self._severities: set[str] = set()
        self._summaries: dict[int, SummaryFacts] = {}

    def record_progress(self, progress: BatchProgress) -> None:
        """Count a committed batch: records by topic, lag, watermark, durations, state."""
        for topic, records in progress.records_by_topic().items():
            self._source.records_consumed.labels(topic).inc(records)
        self._source.rows_late.inc(progress.rows_dropped_by_watermark)
        self._source.records_deduplicated.inc(progress.duplicates_dropped)
        self._set_lag(progress.lag_records())
        if progress.watermark is not None:
            self._source.watermark.set(progress.watermark)
        for phase, milliseconds in progress.phase_ms.items():
            self._query.batch_duration.labels(phase).observe(milliseconds / 1000)
        self._query.last_success.set(progress.finished_at)
        self._query.last_batch.set(progress.batch_id)
        self._query.state_rows.set(progress.state_rows)
        self._query.state_memory.set(progress.state_memory_bytes)

    def set_kafka_reachable(self, *, reachable: bool) -> None:
        """Set whether the brokers answer."""
        self._source.reachable.set(reachable)

    def record_query_restart(self, reason: RestartReason) -> None:
        """Count a query that was started again, by what Kafka's silence had ended."""
        self._query.restarts.labels(reason).inc()

    def set_failed_tasks(self, total: int) -> None:
        """Count Spark's failed tasks by their number since the session began."""
        with self._lock:
            self._query.task_failures.inc(max(0, total - self._failed_tasks))
            self._failed_tasks = max(total, self._failed_tasks)

    def record_idle(self) -> None:
        """Set the lag to zero: the source was polled and had nothing new."""
        self._set_lag(dict.fromkeys(self._partitions, 0))
        self._source.lag_seconds.set(0)

    def set_source_lag_seconds(self, seconds: float) -> None:
        """Set the age of the newest record that was read, or 0 when none is left unread."""
        self._source.lag_seconds.set(seconds)

    def set_lateness(self, seconds: float) -> None:
        """Set how far the watermark is behind the newest event time."""
        self._source.lateness.set(seconds)

    def set_partition_skew(self, seconds: float) -> None:
        """Set how far apart in event time the partitions of the last batch were."""
        self._source.partition_skew.set(seconds)

    def record_rejects(self, counts: Mapping[str, int]) -> None:
        """Count records that could not be used, by reason."""
        for reason, count in counts.items():
            self._source.records_rejected.labels(reason).inc(count)

    def record_lost(self, counts: Mapping[str, int]) -> None:
        """Count records that were deleted before they were read, by topic."""
        for topic, count in counts.items():
            self._source.records_lost.labels(topic).inc(count)

    def record_dead_letters(self, counts: Mapping[str, int]) -> None:
        """Count records published to the dead-letter topic, by reason."""
        for reason, count in counts.items():
            self._source.dead_letters.labels(reason).inc(count)

    def record_late(self, late: int, partly_late: int) -> None:
        """Count records that came too late for all of their windows, and for some."""
        self._source.records_late.inc(late)
        self._source.records_partly_late.inc(partly_late)

    def set_dead_letter_backlog(self, batches: int) -> None:
        """Set how many batches the ledger has not been through yet."""
        self._source.dead_letter_backlog.set(batches)

    def record_summaries(self, summaries: Iterable[SummaryFacts]) -> None:
        """Count what the buckets did in a batch, and set the gauges to the sum of each bucket's latest row.

        A bucket reports when it has windows: after a start the gauges cover the buckets heard from since.
        """
        with self._lock:
            for row in summaries:
                self._scoring.windows_scored.inc(row.windows_scored)
                self._scoring.windowed_records.inc(row.windowed_records)
                self._scoring.score_duration.observe(row.score_seconds)
                for reason, count in row.openings_suppressed.items():
                    self._alerts.suppressed.labels(reason).inc(count)
                self._summaries[row.bucket] = row
            latest = self._summaries.values()
            self._scoring.sensors_active.set(sum(row.sensors_active for row in latest))
            self._scoring.sensors_learning.set(sum(row.sensors_learning for row in latest))
            self._set_incidents(latest)

    def set_model(self, version: str, digest: str, trained_at: float) -> None:
        """Name the one model that scores from now on; `trained_at` in epoch seconds."""
        self._scoring.model_info.clear()
        self._scoring.model_info.labels(version, digest).set(1)
        self._scoring.model_trained.set(trained_at)

    def record_model_change(self, outcome: ModelChange) -> None:
        """Count a model that was promoted while another ran."""
        self._scoring.model_changes.labels(outcome).inc()

    def record_transaction(self, outcome: TransactionOutcome, seconds: float | None = None) -> None:
        """Count a transaction and its duration; a replay that was skipped has none."""
        self._alerts.transactions.labels(outcome).inc()
        if seconds is not None:
            self._alerts.transaction_duration.observe(seconds)

    def record_alerts(self, kind: str, severity: str, count: int) -> None:
        """Count alerts after the commit of their transaction."""
        self._alerts.published.labels(kind, severity).inc(count)

    def record_event_to_alert(self, seconds: float) -> None:
        """Observe, for one alert, the time from the newest record behind it reaching Kafka to the commit."""
        self._alerts.event_to_alert.observe(seconds)

    def _set_lag(self, lag: Mapping[tuple[str, int], int]) -> None:
        for (topic, partition), records in lag.items():
            self._source.lag_records.labels(topic, str(partition)).set(records)
        for topic, partition in self._partitions - lag.keys():  # a topic that is gone must not lag for ever
            self._source.lag_records.remove(topic, str(partition))
        self._partitions = set(lag)

    def _set_incidents(self, latest: Iterable[SummaryFacts]) -> None:
        totals: Counter[str] = Counter()
        for row in latest:
            totals.update(row.incidents_open)
        self._severities |= totals.keys()
        for severity in self._severities:  # one that is in no row any more has no open incident left
            self._scoring.incidents_open.labels(severity).set(totals[severity])
