"""Every metric of the service, defined once: name, labels, meaning, buckets.

No label holds a sensor or an asset: their number has no bound. A gauge whose zero would be a claim
("batch 0", "the year 1970") is NaN until the fact is known, so that comparisons in alert rules stay false.

Not here: the moments at which a metric changes (``metrics``).
"""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "tidemark"

# Seconds. From Spark's quickest phase (a few ms) to a catch-up batch of several million records.
BATCH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300)
# Seconds. Measured: p50 10-32 ms, p98 40-84 ms; ends at the transaction time-out's default of 60 s.
TRANSACTION_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# Seconds. Measured: p50 1.3 s, p99 1.7 s; lateness and catching up add up to minutes.
EVENT_TO_ALERT_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900)
# Seconds. One bucket of sensors: from some tens of sensors (1 ms) to 20,000 with history to fill (10 s).
SCORE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class SourceFamilies:
    """What was read, how far behind it is, and what was not usable."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records_consumed = _counter(
            registry, "records_consumed", "Records read from Kafka in committed batches.", "topic"
        )
        self.records_rejected = _counter(
            registry, "records_rejected", "Records that could not be used, by reason.", "reason"
        )
        self.records_lost = _counter(
            registry,
            "records_lost",
            "Records that retention had deleted before they were read (source.on_data_loss: continue); topic * stands "
            "for several that one batch read.",
            "topic",
        )
        self.rows_late = _counter(
            registry,
            "late_rows_dropped",
            "Partial aggregates dropped as late: a sign of late records, known with the batch, and not their number.",
        )
        self.records_late = _counter(
            registry, "records_late", "Records that came after all of their windows had closed."
        )
        self.records_partly_late = _counter(
            registry,
            "records_partly_late",
            "Records that came after some of their windows had closed and count in the others.",
        )
        self.records_deduplicated = _counter(
            registry, "records_deduplicated", "Records left out because they repeat another one."
        )
        self.dead_letters = _counter(
            registry, "dead_letters_published", "Records published to the dead-letter topic.", "reason"
        )
        self.dead_letter_backlog = _unknown(
            registry,
            "dead_letter_backlog_batches",
            "Batches whose rejects and late records are not in the dead-letter topic yet.",
        )
        self.lag_records = _gauge(
            registry,
            "source_lag_records",
            "Records left unread when the last batch was planned.",
            "topic",
            "partition",
        )
        self.lag_seconds = _unknown(
            registry,
            "source_lag_seconds",
            "Age of the newest record that was read; 0 when none is left unread.",
        )
        self.reachable = _unknown(
            registry, "kafka_reachable", "1 while the brokers answer, 0 when they have been silent for seconds."
        )
        self.partition_skew = _unknown(
            registry,
            "partition_event_time_skew_seconds",
            "How far a partition of the last batch is behind the newest event time; over the lateness it loses some.",
        )
        self.lateness = _unknown(
            registry,
            "lateness_seconds",
            "How far the watermark stays behind the newest event time; more in a catch-up.",
        )
        self.watermark = _unknown(
            registry, "watermark_timestamp_seconds", "Event-time watermark of the last batch, epoch seconds."
        )


class QueryFamilies:
    """How the streaming query runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_duration = _histogram(
            registry,
            "batch_duration_seconds",
            "Duration of a batch by Spark's phase; triggerExecution is the whole.",
            BATCH_BUCKETS,
            "phase",
        )
        self.task_failures = _counter(
            registry,
            "task_failures",
            "Spark tasks that failed, each tried again: a Python worker or an executor that died, or an error in one.",
        )
        self.restarts = _counter(
            registry,
            "query_restarts",
            "Times the query was started again in the process after Kafka had not answered, by reason.",
            "reason",
        )
        self.last_success = _unknown(
            registry,
            "last_batch_success_timestamp_seconds",
            "When the last batch was committed, epoch seconds.",
        )
        self.last_batch = _unknown(registry, "last_committed_batch_id", "Number of the last committed batch.")
        self.state_rows = _unknown(registry, "state_rows", "Rows in the state stores of all operators.")
        self.state_memory = _unknown(
            registry, "state_memory_bytes", "Memory used by the state stores of all operators."
        )


class ScoringFamilies:
    """What was scored, and by which model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.windows_scored = _counter(registry, "windows_scored", "Windows that were given a score.")
        self.windowed_records = _counter(
            registry,
            "windowed_records",
            "Records in closed windows, once a window; where windows overlap a record counts in each of its own.",
        )
        self.score_duration = _histogram(
            registry,
            "score_duration_seconds",
            "Duration of scoring the windows of one bucket of sensors in one batch.",
            SCORE_BUCKETS,
        )
        self.sensors_active = _unknown(
            registry,
            "sensors_active",
            "Sensors that are followed, over the buckets heard from since the start.",
        )
        self.sensors_learning = _unknown(
            registry, "sensors_learning", "Sensors that are followed and have no model of their own yet."
        )
        self.incidents_open = _gauge(registry, "incidents_open", "Incidents that are open.", "severity")
        self.model_info = _gauge(
            registry,
            "model_info",
            "1 for the model that scores; its version and digest.",
            "version",
            "digest",
        )
        self.model_changes = _counter(
            registry,
            "model_changes",
            "Models that were promoted while it ran: taken, or refused, when the one before goes on.",
            "outcome",
        )
        self.model_trained = _unknown(
            registry, "model_trained_timestamp_seconds", "When that model was trained, epoch seconds."
        )


class AlertFamilies:
    """What was published, and how."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.published = _counter(registry, "alerts_published", "Alerts in committed transactions.", "kind", "severity")
        self.suppressed = _counter(registry, "alerts_suppressed", "Alerts that were held back, by reason.", "reason")
        self.transactions = _counter(registry, "transactions", "Transactions of the alert sink, by outcome.", "outcome")
        self.transaction_duration = _histogram(
            registry,
            "transaction_duration_seconds",
            "Duration of a transaction from its begin to its outcome.",
            TRANSACTION_BUCKETS,
        )
        self.event_to_alert = _histogram(
            registry,
            "event_to_alert_seconds",
            "From the newest record behind an alert reaching Kafka to the commit of its transaction.",
            EVENT_TO_ALERT_BUCKETS,
        )


def build_info(registry: CollectorRegistry) -> Gauge:
    """Define the gauge that names the versions of what runs."""
    return _gauge(registry, "build_info", "1 for the versions that run.", "version", "spark", "kafka_client")


def _counter(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, namespace=PREFIX, registry=registry)


def _gauge(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(name, meaning, labels, namespace=PREFIX, registry=registry)


def _unknown(registry: CollectorRegistry, name: str, meaning: str) -> Gauge:
    gauge = _gauge(registry, name, meaning)
    gauge.set(math.nan)
    return gauge


def _histogram(
    registry: CollectorRegistry, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    return Histogram(name, meaning, labels, namespace=PREFIX, registry=registry, buckets=buckets)
