"""What the running application measures: each event of query, sink and ledger becomes metrics.

Not here: the metrics themselves (``detector.observability.metrics``) and any decision.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import confluent_kafka
import pyspark

from detector.app.checkpoint import Checkpoint
from detector.app.judge import Model
from detector.app.rejects import FinishedBatch, LedgerWorker, ranges_of, reject_blocks, reject_counts
from detector.app.stream import BatchResult
from detector.observability.health import Readiness
from detector.observability.listener import ProgressListener, QueryTermination
from detector.observability.metrics import BuildInfo, Metrics, SummaryFacts
from detector.observability.progress import BatchProgress
from detector.pipeline.decode import DECODED_OBSERVATION, NEWEST_OBSERVED, REJECT_REASONS
from detector.pipeline.encode import BucketSummary
from detector.pipeline.schema import topic_id


class Recorder:
    """Feeds the metrics of one run, and hands finished batches to the dead-letter ledger.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the query began to read.
    readiness : Readiness
        Told of every sign of life.
    on_batch : callable
        Told of each finished batch, after the metrics.
    """

    def __init__(self, checkpoint: Checkpoint, readiness: Readiness, on_batch: Callable[[BatchProgress], None]) -> None:
        library = confluent_kafka.libversion()[0]
        self.metrics = Metrics(BuildInfo(importlib.metadata.version("tidemark"), pyspark.__version__, library))
        self.metrics.record_rejects(dict.fromkeys(REJECT_REASONS, 0))
        self._checkpoint = checkpoint
        self._readiness = readiness
        self._on_batch = on_batch
        self._worker: LedgerWorker | None = None

    def judged_by(self, model: Model) -> None:
        """Tell which model judges from now on."""
        trained_at = datetime.fromisoformat(model.manifest.created_at).timestamp()
        self.metrics.set_model(model.version, model.manifest.digest, trained_at)

    def attach(self, worker: LedgerWorker) -> None:
        """Hand finished batches to a ledger from now on."""
        self._worker = worker

    def listener(self, query_name: str) -> ProgressListener:
        """Return the listener that feeds this recorder."""
        return ProgressListener(
            query_name,
            on_started=self._readiness.query_started,
            on_batch=self._on_progress,
            on_idle=self._on_idle,
            on_terminated=self._on_terminated,
        )

    def on_result(self, result: BatchResult) -> None:
        """Record what the sink did with a batch."""
        now = time.time()
        metrics = self.metrics
        if result.published.outcome != "empty":
            metrics.record_transaction(result.published.outcome, result.published.seconds)
        for _ in range(result.published.uncertain):
            metrics.record_transaction("uncertain")
        for _ in range(result.published.aborted):
            metrics.record_transaction("aborted")
        metrics.record_summaries(_summary(bucket, summary) for bucket, summary in result.summaries.items())
        if result.published.outcome == "committed":
            for (event, severity), count in result.alerts.items():
                metrics.record_alerts(event, severity, count)
            for newest in result.newest:
                metrics.record_event_to_alert(max(0.0, now - newest))

    def on_dead_letters(self, counts: Mapping[str, int]) -> None:
        """Record rejects that were published, by reason."""
        self.metrics.record_dead_letters(counts)

    def _on_progress(self, progress: BatchProgress) -> None:
        self._readiness.progressed(progress.run_id)
        self.metrics.record_progress(progress)
        observed = progress.observed.get(DECODED_OBSERVATION, {})
        self.metrics.record_rejects(reject_counts(observed))
        newest = observed.get(NEWEST_OBSERVED)
        if newest is not None:
            behind = progress.finished_at - float(newest) if sum(progress.lag_records().values()) else 0.0
            self.metrics.set_source_lag_seconds(max(0.0, behind))
        self._hand_over(progress, observed)
        self._on_batch(progress)

    def _hand_over(self, progress: BatchProgress, observed: Mapping[str, object]) -> None:
        end = progress.sources[0].end if progress.sources else None
        if end is None or self._worker is None:
            return
        start = progress.sources[0].start or self._checkpoint.first_offsets()
        topics = {topic_id(topic): topic for topic in end}  # a pattern may have found new ones
        ranges = ranges_of(reject_blocks(observed), topics, start, end)
        self._worker.add(FinishedBatch(progress.batch_id, end, ranges))
        self.metrics.set_dead_letter_backlog(self._worker.backlog)

    def _on_idle(self, run_id: str) -> None:
        self._readiness.progressed(run_id)
        self.metrics.record_idle()

    def _on_terminated(self, end: QueryTermination) -> None:
        self._readiness.query_terminated(end.run_id, end.error_class or ("failed" if end.error else None))


def _summary(bucket: int, summary: BucketSummary) -> SummaryFacts:
    return SummaryFacts(
        bucket=bucket,
        windows_scored=summary.windows_scored,
        sensors_active=summary.sensors,
        sensors_learning=summary.sensors_learning,
        score_seconds=summary.score_seconds,
        incidents_open=summary.incidents_open,
        openings_suppressed={"bucket_cap": summary.openings_held_back},
    )
