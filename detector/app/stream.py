"""The streaming job: the way of a record from Kafka to Kafka, and the micro-batch that publishes.

`scored_stream` is the pipeline, top to bottom. `Publisher` is what Spark calls with each micro-batch.

Not here: starting, watching and stopping the query (``lifecycle``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as f
from pyspark.storagelevel import StorageLevel

from detector.app.checkpoint import Checkpoint
from detector.app.judge import Judge
from detector.app.model_registry import located
from detector.app.session import lost_offsets
from detector.app.shards import ModelLoader
from detector.errors import DetectorError
from detector.failpoints import reach
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.sink_port import JudgedBy, Published
from detector.pipeline import columns as c
from detector.pipeline.adoption import Adopted, Adoption
from detector.pipeline.alerts import AlertContext
from detector.pipeline.decode import DecodeSpec, decode
from detector.pipeline.decoded import observe_rejects, valid, without_heartbeats
from detector.pipeline.encode import BucketSummary, alert_headers, read_summary
from detector.pipeline.event_time import with_watermark
from detector.pipeline.schema import topic_id
from detector.pipeline.scoring import ScoringSpec, score
from detector.pipeline.windows import WindowSpec, deduplicate, windows
from detector.settings import specs


def scored_stream(raw: DataFrame, decoding: DecodeSpec, shape: WindowSpec, scoring: ScoringSpec) -> DataFrame:
    """Lead raw Kafka rows to alerts: each room once, in order."""
    decoded = observe_rejects(decode(raw, decoding))
    records = without_heartbeats(with_watermark(valid(decoded), shape.lateness_seconds))
    records = deduplicate(records, shape)
    return score(windows(records, shape), scoring)


def scoring_spec(judge: Judge, topics: list[str], adoption: Adoption | None = None) -> ScoringSpec:
    """Return how windows are scored by a judge, after what another checkpoint has published."""
    settings, model = judge.settings, judge.model
    context = AlertContext(
        identity=specs.identity(settings),
        slide_us=round(model.manifest.slide_seconds * 1_000_000),
        model_version=model.version,
        model_digest=model.manifest.digest,
        config_digest=judge.digests.config,
        topics={topic_id(topic): topic for topic in topics},
        max_openings=settings.alerts.max_openings_per_bucket,
    )
    loader = ModelLoader(located(settings), model.version, model.manifest.digest)
    return ScoringSpec(
        buckets=settings.state.buckets,
        profile=model.manifest.profile,
        load_shard=loader.shard,
        alerts=context,
        stopwatch=time.perf_counter,
        load_population=loader.population,
        adopted=None if adoption is None else Adopted.of(adoption, context.slide_us),
    )


@dataclass(frozen=True)
class BatchResult:
    """What came of a micro-batch, for metrics.

    Parameters
    ----------
    batch_id : int
        Which.
    published : Published
        Outcome of the transaction.
    alerts : dict of (event, severity) to int
        Alerts of the batch.
    summaries : dict of int to BucketSummary
        By bucket.
    newest : tuple of float
        Kafka timestamps, epoch seconds, of the newest record behind each alert.
    lost : int
        Offsets that retention had deleted before they were read.
    """

    batch_id: int
    published: Published
    alerts: dict[tuple[str, str], int]
    summaries: dict[int, BucketSummary]
    newest: tuple[float, ...]
    lost: int


class StoppedError(Exception):
    """Ends the query before a batch, because it was asked to stop."""


@dataclass
class Publisher:
    """Publishes each micro-batch exactly once; Spark calls it, and calls again until it returns.

    Parameters
    ----------
    sink : AlertSink
        The protocol.
    checkpoint : Checkpoint
        Names each batch by its offsets.
    judged_by : JudgedBy
        What judges the batches of this query.
    before_batch : callable
        May hold the batch back (backlog of dead letters).
    on_result : callable
        Told what came of each batch.

    Attributes
    ----------
    failure : Exception or None
        What ended a batch.
    stopping : bool
        Set to refuse the next batch: the query then ends between two of them, however little time is between.
    """

    sink: AlertSink
    checkpoint: Checkpoint
    judged_by: JudgedBy
    before_batch: Callable[[], None]
    on_result: Callable[[BatchResult], None]
    failure: Exception | None = None
    stopping: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Publish one micro-batch; an error is kept in `failure`, since Spark hands on only its text."""
        if self.stopping:  # nothing is computed yet; the next start finds the batch planned and does it
            raise StoppedError
        with self._one_at_a_time:  # a query that was given up may still be here when the next one comes
            try:
                reach("batch planned")
                self.before_batch()
                if self._publish(rows, batch_id).outcome == "committed":
                    reach("published batch returned")
            except Exception as error:
                self.failure = error
                if isinstance(error, DetectorError):  # which the application says itself, Spark with its whole trace
                    rows.sparkSession.sparkContext.setLogLevel("OFF")  # until the next query starts
                raise

    def _publish(self, rows: DataFrame, batch_id: int) -> Published:
        # One action reads every partition, which completes the state commits; alerts then come from the cache.
        rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            summaries = self._summaries(rows)
            reach("batch computed")
            alerts = rows.where(f.col(c.ROW_KIND) == c.ALERT_ROW)
            counted = alerts.groupBy(c.EVENT, c.SEVERITY).count().collect() if summaries else []
            counts = {(str(row[0]), str(row[1])): int(row[2]) for row in counted}
            newest: list[float] = []

            def messages() -> Iterator[OutgoingMessage]:
                newest.clear()
                for row in alerts.toLocalIterator():
                    newest.append(float(row[c.NEWEST_RECORD]))
                    headers = alert_headers(row[c.ALERT_ID], row[c.EVENT], row[c.SEVERITY])
                    yield OutgoingMessage(bytes(row[c.MESSAGE_KEY]), bytes(row[c.MESSAGE_VALUE]), headers)

            batch = self.checkpoint.batch(batch_id)
            published = self.sink.publish(batch, self.judged_by, messages if counts else list, sum(counts.values()))
            lost = lost_offsets(rows.sparkSession)
            self.on_result(BatchResult(batch_id, published, counts, summaries, tuple(newest), lost))
        finally:
            rows.unpersist()
        return published

    def _summaries(self, rows: DataFrame) -> dict[int, BucketSummary]:
        summaries = rows.where(f.col(c.ROW_KIND) == c.SUMMARY_ROW).select(c.BUCKET, c.MESSAGE_VALUE)
        return {int(row[0]): read_summary(bytes(row[1])) for row in summaries.collect()}
