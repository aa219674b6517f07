"""The streaming job: the way of a record from Kafka to Kafka, and the micro-batch that publishes.

`scored_stream` is the pipeline, top to bottom. `Publisher` is what Spark calls with each micro-batch.

Not here: starting, watching and stopping the query (``lifecycle``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as f
from pyspark.storagelevel import StorageLevel

from detector.app.checkpoint import Checkpoint
from detector.app.shards import ModelLoader
from detector.errors import ContractError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.sink_port import Published
from detector.pipeline import columns as c
from detector.pipeline.alerts import AlertContext
from detector.pipeline.decode import DecodeSpec, decode, observe_rejects, valid
from detector.pipeline.encode import BucketSummary, alert_headers, read_summary
from detector.pipeline.event_time import with_watermark
from detector.pipeline.schema import topic_id
from detector.pipeline.scoring import ScoringSpec, score
from detector.pipeline.windows import WindowSpec, deduplicate, windows
from detector.settings import Settings, config_digest, specs
from models.artifact import Manifest
from models.registry import Registry


@dataclass(frozen=True)
class Model:
    """The model of a run: its version's name and what its manifest says."""

    version: str
    manifest: Manifest


def load_model(settings: Settings) -> Model:
    """Find the model to run and check that it fits the settings.

    Raises
    ------
    ContractError
        If it was trained for other windows or another number of buckets.
    RegistryError, ArtifactCorruptError, ArtifactIncompatibleError
        If there is none, or it cannot be used.
    """
    registry = Registry(Path(settings.model.registry))
    version = registry.resolve(settings.model.version)
    manifest = registry.manifest(version)
    shape = specs.windows(settings)
    wanted = {
        "windows.length (s)": (manifest.window_seconds, shape.length_seconds),
        "windows.slide (s)": (manifest.slide_seconds, shape.slide_seconds),
        "state.buckets": (manifest.buckets, settings.state.buckets),
    }
    wrong = [
        f"{name}: model {model!r}, setting {setting!r}" for name, (model, setting) in wanted.items() if model != setting
    ]
    if wrong:
        raise ContractError(
            f"model {version} of {settings.model.registry} is for other windows or buckets ({'; '.join(wrong)}); "
            "set them as the model has them, or train again"
        )
    return Model(version, manifest)


def scored_stream(raw: DataFrame, decoding: DecodeSpec, shape: WindowSpec, scoring: ScoringSpec) -> DataFrame:
    """Lead raw Kafka rows to alerts: each room once, in order."""
    decoded = observe_rejects(decode(raw, decoding))
    records = deduplicate(with_watermark(valid(decoded), shape.lateness_seconds), shape)
    return score(windows(records, shape), scoring)


def scoring_spec(settings: Settings, model: Model, topics: list[str]) -> ScoringSpec:
    """Return how windows are scored by a model."""
    context = AlertContext(
        identity=specs.identity(settings),
        slide_us=round(model.manifest.slide_seconds * 1_000_000),
        model_version=model.version,
        model_digest=model.manifest.digest,
        config_digest=config_digest(settings),
        topics={topic_id(topic): topic for topic in topics},
        max_openings=settings.alerts.max_openings_per_bucket,
    )
    loader = ModelLoader(str(Path(settings.model.registry).absolute()), model.version)
    return ScoringSpec(
        buckets=settings.state.buckets,
        profile=model.manifest.profile,
        load_shard=loader.shard,
        alerts=context,
        stopwatch=time.perf_counter,
        load_population=loader.population,
    )


@dataclass(frozen=True)
class BatchResult:
    """What came of a micro-batch, for metrics.

    Parameters
    ----------
    published : Published
        Outcome of the transaction.
    alerts : dict of (event, severity) to int
        Alerts of the batch.
    summaries : dict of int to BucketSummary
        By bucket.
    newest : tuple of float
        Kafka timestamps, epoch seconds, of the newest record behind each alert.
    """

    published: Published
    alerts: dict[tuple[str, str], int]
    summaries: dict[int, BucketSummary]
    newest: tuple[float, ...]


@dataclass
class Publisher:
    """Publishes each micro-batch exactly once; Spark calls it, and calls again until it returns.

    Parameters
    ----------
    sink : AlertSink
        The protocol.
    checkpoint : Checkpoint
        Names each batch by its offsets.
    before_batch : callable
        May hold the batch back (backlog of dead letters).
    on_result : callable
        Told what came of each batch.
    """

    sink: AlertSink
    checkpoint: Checkpoint
    before_batch: Callable[[], None]
    on_result: Callable[[BatchResult], None]
    failure: Exception | None = None

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Publish one micro-batch; an error is kept in `failure`, since Spark hands on only its text."""
        try:
            self.before_batch()
            self._publish(rows, batch_id)
        except Exception as error:
            self.failure = error
            raise

    def _publish(self, rows: DataFrame, batch_id: int) -> None:
        # One action reads every partition, which completes the state commits; alerts then come from the cache.
        rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            summaries = self._summaries(rows)
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
            published = self.sink.publish(batch, messages if counts else list, sum(counts.values()))
            self.on_result(BatchResult(published, counts, summaries, tuple(newest)))
        finally:
            rows.unpersist()

    def _summaries(self, rows: DataFrame) -> dict[int, BucketSummary]:
        summaries = rows.where(f.col(c.ROW_KIND) == c.SUMMARY_ROW).select(c.BUCKET, c.MESSAGE_VALUE)
        return {int(row[0]): read_summary(bytes(row[1])) for row in summaries.collect()}
