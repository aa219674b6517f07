"""What the running application measures: each event of query, sink and ledger becomes metrics.

Not here: the metrics themselves (``detector.observability.metrics``) and any decision.
"""

from __future__ import annotations

import importlib.metadata
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import confluent_kafka
import pyspark
import structlog

from detector.app.checkpoint import Checkpoint
from detector.app.heartbeat import Heartbeat
from detector.app.judge import Model
from detector.app.rejects import FinishedBatch, LedgerWorker, reject_blocks, reject_counts
from detector.app.rereading import between, ranges_of, reread_after, reread_whole
from detector.app.stream import BatchResult
from detector.kafka.dead_letter import PublishedLetters, Reread
from detector.kafka.source import Offsets
from detector.observability.health import Readiness
from detector.observability.listener import ProgressListener, QueryTermination
from detector.observability.metrics import BuildInfo, Metrics, SummaryFacts
from detector.observability.progress import BatchProgress
from detector.pipeline.decode import REJECT_REASONS
from detector.pipeline.decoded import DECODED_OBSERVATION, LEADS_OBSERVED, NEWEST_OBSERVED
from detector.pipeline.encode import BucketSummary
from detector.pipeline.lateness import LATE
from detector.pipeline.schema import topic_id
from detector.pipeline.skew import newest_and_skew

SEVERAL: Final = "*"  # in place of a topic, where a batch read several of them

log = structlog.get_logger()


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
        self._on_read: Callable[[float], None] = lambda _: None
        self._on_nothing: Callable[[], None] = lambda: None
        self._failed_tasks: Callable[[], int] = lambda: 0
        self._newest_event_time = -math.inf
        self._lateness = math.inf
        self._skewed = False  # by more than that, which was said
        self._counted_lost = 0  # at the start; Spark comes upon them once more
        self._losing = False  # records, which was said
        self._handed_over = -1  # newest batch that the ledger knows
        self._handed_over_end: Offsets | None = None

    def judged_by(self, model: Model, lateness_seconds: float) -> None:
        """Tell which model judges from now on, and how far the watermark is behind."""
        self._lateness = lateness_seconds
        self.metrics.set_lateness(lateness_seconds)
        trained_at = datetime.fromisoformat(model.manifest.created_at).timestamp()
        self.metrics.set_model(model.version, model.manifest.digest, trained_at)

    def attach(self, worker: LedgerWorker) -> None:
        """Hand finished batches to a ledger from now on; it knows those that were committed before."""
        self._worker = worker
        self._handed_over = self._checkpoint.last_committed()
        if self._handed_over >= 0:
            self._handed_over_end = self._checkpoint.offsets(self._handed_over).end

    def keep_alive(self, heartbeat: Heartbeat) -> None:
        """Tell a heartbeat from now on what is read, and when nothing is left."""
        self._on_read, self._on_nothing = heartbeat.read, heartbeat.idle

    def listener(self, query_name: str, failed_tasks: Callable[[], int]) -> ProgressListener:
        """Return the listener that feeds this recorder; `failed_tasks` counts Spark's since the session began."""
        self._failed_tasks = failed_tasks
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
        self._on_overtaken(result.batch_id, result.lost)
        metrics.record_summaries(_summary(bucket, summary) for bucket, summary in result.summaries.items())
        if result.published.outcome == "committed":
            for (event, severity), count in result.alerts.items():
                metrics.record_alerts(event, severity, count)
            for newest in result.newest:
                metrics.record_event_to_alert(max(0.0, now - newest))

    def on_dead_letters(self, letters: PublishedLetters) -> None:
        """Record what the ledger published of a batch."""
        self.metrics.record_dead_letters(letters.counts)
        self.metrics.record_late(letters.counts[LATE], letters.partly_late)
        if self._worker is not None:
            self.metrics.set_dead_letter_backlog(self._worker.backlog)

    def on_lost(self, counts: Mapping[str, int]) -> None:
        """Record what a start has found to be deleted before it was read, by topic."""
        self.metrics.record_lost(counts)
        self._counted_lost += sum(counts.values())

    def _on_overtaken(self, batch_id: int, offsets: int) -> None:
        """Record what retention overtook; Spark says how much of a batch that is, and not of which topic."""
        lost = max(0, offsets - self._counted_lost)
        self._counted_lost -= offsets - lost
        if lost:
            before = self._checkpoint.offsets(batch_id - 1).end if batch_id else self._checkpoint.first_offsets()
            topics = {each.topic for each in between(before, self._checkpoint.offsets(batch_id).end)}
            self.metrics.record_lost({topics.pop() if len(topics) == 1 else SEVERAL: lost})
            if not self._losing:
                log.warning(
                    "retention deletes records before they are read; they are counted", batch=batch_id, lost=lost
                )
        self._losing = lost > 0

    def _on_progress(self, progress: BatchProgress) -> None:
        self._readiness.progressed(progress.run_id)
        self.metrics.record_progress(progress)
        observed = progress.observed.get(DECODED_OBSERVATION, {})
        self.metrics.record_rejects(reject_counts(observed))
        newest = observed.get(NEWEST_OBSERVED)
        if newest is not None:
            behind = progress.finished_at - float(newest) if sum(progress.lag_records().values()) else 0.0
            self.metrics.set_source_lag_seconds(max(0.0, behind))
        leads = list(observed.get(LEADS_OBSERVED) or [])
        self._newest_event_time, skew = newest_and_skew(leads, self._newest_event_time)
        self.metrics.set_partition_skew(skew)
        if leads:
            self._on_read(self._newest_event_time)
        if (skew > self._lateness) != self._skewed:
            self._skewed = not self._skewed
            if self._skewed:
                log.warning(
                    "a partition is further behind than windows.lateness: its records are late",
                    skew_seconds=round(skew),
                    lateness_seconds=self._lateness,
                )
        self._hand_over(progress, observed)
        self.metrics.set_failed_tasks(self._failed_tasks())
        self._on_batch(progress)

    def _hand_over(self, progress: BatchProgress, observed: Mapping[str, object]) -> None:
        end = progress.sources[0].end if progress.sources else None
        if end is None or self._worker is None:
            return
        rereads = list(self._missed(progress.batch_id))
        start = progress.sources[0].start or self._checkpoint.first_offsets()
        blocks = reject_blocks(observed)
        if progress.rows_dropped_by_watermark:
            rereads.append(reread_whole(self._checkpoint, progress.batch_id, between(start, end)))
        elif blocks:
            topics = {topic_id(topic): topic for topic in end}  # a pattern may have found new ones
            rereads.append(Reread(ranges_of(blocks, topics, start, end)))
        self._worker.add(FinishedBatch(progress.batch_id, end, tuple(rereads)))
        self._handed_over, self._handed_over_end = progress.batch_id, end
        self.metrics.set_dead_letter_backlog(self._worker.backlog)

    def _missed(self, batch_id: int) -> tuple[Reread, ...]:
        """Return batches before this one that were committed and not reported: the query failed in between."""
        if batch_id <= self._handed_over + 1:
            return ()
        return reread_after(self._checkpoint, self._handed_over_end, batch_id - 1)

    def _on_idle(self, run_id: str) -> None:
        self._readiness.progressed(run_id)
        self.metrics.record_idle()
        self._on_nothing()
        self.metrics.set_failed_tasks(self._failed_tasks())  # Spark reports them a moment late

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
        windowed_records=summary.windowed_records,
    )
