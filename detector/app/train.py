"""Train a model: a Spark batch read of historical topics through the same functions as the stream.

Not here: the mathematics (``models.training``), what the command prints (``detector.cli``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pandas as pd
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as f
from pyspark.storagelevel import StorageLevel

from detector.app.model_registry import signing_key
from detector.kafka import source
from detector.kafka.preflight import Preflight
from detector.kafka.source import Offsets
from detector.pipeline import columns as c
from detector.pipeline.decode import REJECT_REASONS, decode
from detector.pipeline.decoded import observe_rejects, valid
from detector.pipeline.schema import KEY_SEPARATOR
from detector.pipeline.scoring import to_batch, with_bucket
from detector.pipeline.windows import deduplicate, in_record_order, windows
from detector.settings import Settings, config_digest, specs
from models.artifact import population_to_bytes, shard_to_bytes
from models.errors import InsufficientDataError
from models.features import WINDOW_FEATURES, History
from models.manifest import Manifest
from models.population import PopulationSample, fit_population
from models.profile import ScoringProfile
from models.registry import Registry
from models.training import BucketReport, TrainingConfig, require_trained, sample_bucket, train_bucket

FITTED: Final = f"{c.BUCKET} int, shard binary, report binary, sample binary"
Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingRange:
    """Which records are trained on.

    Parameters
    ----------
    start, end : Offsets
        ``start <= offset < end`` of each topic and partition.
    event_from, event_to : datetime or None
        Event times, from inclusive, to exclusive; None is open.
    """

    start: Offsets
    end: Offsets
    event_from: datetime | None = None
    event_to: datetime | None = None


@dataclass(frozen=True)
class TrainingResult:
    """What a training made.

    Parameters
    ----------
    version, digest : str
        The model in the registry.
    records, rejected : int
        Records read, and those of them that did not decode.
    windows, sensors : int
        Windows trained on, and sensors that got a model.
    missing : mapping of str to int
        ``asset/sensor`` without a model, and how many more windows each needs.
    """

    version: str
    digest: str
    records: int
    rejected: int
    windows: int
    sensors: int
    missing: Mapping[str, int]


def training_config(settings: Settings) -> TrainingConfig:
    """Return what determines a model besides its history."""
    model = settings.model
    profile = ScoringProfile(
        false_alarm_rate=model.false_alarm_rate,
        close_ratio=model.close_ratio,
        quiet_windows=model.quiet_windows,
        population=model.population,
    )
    return TrainingConfig(profile, model.fit_share, model.min_windows, model.seed)


def find_range(
    settings: Settings, event_from: datetime | None = None, event_to: datetime | None = None
) -> TrainingRange:
    """Find the offsets of a span of event time.

    Kafka timestamps only narrow the offsets: no record may be further ahead of its Kafka timestamp than
    ``records.future_bound``, so nothing that is wanted lies before that. A record may come as late as it
    likes, so the range goes to the end.
    """
    spec = specs.source(settings)
    preflight = Preflight(spec.connection)
    facts = preflight.check_source(spec.topics, spec.topic_pattern, require_log_append_time=False)
    earliest = None if event_from is None else (event_from - settings.records.future_bound).timestamp()
    return TrainingRange(
        start=preflight.offsets(facts.partitions, at=earliest),
        end=preflight.offsets(facts.partitions, end=True),
        event_from=event_from,
        event_to=event_to,
    )


def range_of(manifest: Manifest) -> TrainingRange:
    """Return the range that a model was trained on, to train it again."""
    training = manifest.training
    offsets = {
        topic: {int(p): (int(first), int(last)) for p, (first, last) in parts.items()}
        for topic, parts in training["offsets"].items()
    }
    return TrainingRange(
        start={topic: {p: first for p, (first, _) in parts.items()} for topic, parts in offsets.items()},
        end={topic: {p: last for p, (_, last) in parts.items()} for topic, parts in offsets.items()},
        event_from=_instant(training["event_from"]),
        event_to=_instant(training["event_to"]),
    )


def train(spark: SparkSession, settings: Settings, wanted: TrainingRange, say: Say) -> TrainingResult:
    """Train a version and publish it in the registry; the alias is the caller's business.

    Parameters
    ----------
    spark : SparkSession
        Where it runs.
    settings : Settings
        Records, windows, model and buckets.
    wanted : TrainingRange
        Which records.
    say : callable
        Told what is being done.

    Raises
    ------
    InsufficientDataError
        If the range holds no records, or no sensor has enough windows; names them and what is missing.
    """
    records = sum(last - wanted.start[t][p] for t, parts in wanted.end.items() for p, last in parts.items())
    if records <= 0:
        need = (
            f"at least {settings.model.min_windows} windows of {settings.windows.length.total_seconds():g} s per sensor"
        )
        raise InsufficientDataError(
            f"topic {', '.join(sorted(wanted.start))} holds no records in the range; send history first, {need}, "
            "or widen --from and --to"
        )
    key = signing_key(settings)
    config = training_config(settings)
    observation = Observation("training")
    history = training_windows(spark, settings, wanted, observation)
    fitted = fit(history, settings, config).persist(StorageLevel.DISK_ONLY)
    say(f"reading {records:,} records and fitting {settings.state.buckets} buckets")
    try:
        rows = sorted(fitted.select(c.BUCKET, "report", "sample").collect())
        reports = {int(row[0]): msgspec.json.decode(bytes(row[1]), type=BucketReport) for row in rows}
        _require_trained(reports)
        rejects = {reason: int(observation.get[reason]) for reason in REJECT_REASONS}
        draft = _draft(settings, config, wanted, reports, rejects)
        registry = Registry(settings.model.registry)  # who publishes needs to trust nobody
        say("publishing the model")
        samples = (PopulationSample.from_bytes(bytes(row[2])) for row in rows)
        population = fit_population(samples, config.seed) if config.profile.population else None
        stored = population_to_bytes(population) if population else None
        version = registry.publish(draft, _shards(fitted), stored, key)
        return TrainingResult(
            version=version,
            digest=registry.manifest(version).digest,
            records=records,
            rejected=sum(rejects.values()),
            windows=sum(report.windows for report in reports.values()),
            sensors=sum(report.trained for report in reports.values()),
            missing={_readable(key): short for report in reports.values() for key, short in report.missing.items()},
        )
    finally:
        fitted.unpersist()


def training_windows(
    spark: SparkSession, settings: Settings, wanted: TrainingRange, observation: Observation
) -> DataFrame:
    """Read a range and aggregate it: the stream's functions, in the stream's order, without a watermark."""
    shape = specs.windows(settings)
    raw = source.batch(spark, specs.source(settings), wanted.start, wanted.end)
    records = valid(observe_rejects(decode(raw, specs.decode(settings)), observation))
    if wanted.event_from is not None:
        records = records.where(f.col(c.EVENT_TIME) >= f.lit(wanted.event_from))
    if wanted.event_to is not None:
        records = records.where(f.col(c.EVENT_TIME) < f.lit(wanted.event_to))
    return windows(in_record_order(deduplicate(records, shape)), shape)


def fit(history: DataFrame, settings: Settings, config: TrainingConfig) -> DataFrame:
    """Fit every bucket on the executors; one row a bucket: its shard, report and share in the population."""
    slide_us = round(specs.windows(settings).slide_seconds * 1_000_000)
    needed = [c.BUCKET, c.ASSET_ID, c.SENSOR_ID, c.WINDOW_END, *WINDOW_FEATURES.names]

    def fit_bucket(key: tuple[int], frame: pd.DataFrame) -> pd.DataFrame:
        _, batch = to_batch(frame, slide_us)
        past = History.from_windows(batch)
        shard, report = train_bucket(past, config)
        stored = shard_to_bytes(shard, config.profile) if len(shard) else None
        sample = sample_bucket(past, config, buckets).to_bytes()
        return pd.DataFrame([(key[0], stored, msgspec.json.encode(report), sample)], columns=columns)

    buckets, columns = settings.state.buckets, [c.BUCKET, "shard", "report", "sample"]
    bucketed = with_bucket(history, buckets).select(*needed)
    return bucketed.groupBy(c.BUCKET).applyInPandas(fit_bucket, FITTED)


def _require_trained(reports: Mapping[int, BucketReport]) -> None:
    try:
        require_trained(reports.values())
    except InsufficientDataError as error:
        raise InsufficientDataError(_readable(str(error))) from None


def _draft(
    settings: Settings,
    config: TrainingConfig,
    wanted: TrainingRange,
    reports: Mapping[int, BucketReport],
    rejects: Mapping[str, int],
) -> Manifest:
    shape = specs.windows(settings)
    training: dict[str, Any] = {
        "topics": sorted(wanted.start),
        "offsets": {
            topic: {str(p): [wanted.start[topic][p], last] for p, last in sorted(parts.items())}
            for topic, parts in sorted(wanted.end.items())
        },
        "event_from": wanted.event_from.isoformat() if wanted.event_from else None,
        "event_to": wanted.event_to.isoformat() if wanted.event_to else None,
        "config_digest": config_digest(settings),
        "training": config.to_json(),
        "seed": config.seed,
        "rejected": {reason: count for reason, count in rejects.items() if count},
        "windows": sum(report.windows for report in reports.values()),
        "sensors": sum(report.trained for report in reports.values()),
        "sensors_without_model": sum(len(report.missing) for report in reports.values()),
    }
    return Manifest(
        buckets=settings.state.buckets,
        window_seconds=shape.length_seconds,
        slide_seconds=shape.slide_seconds,
        profile=config.profile,
        training=training,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _shards(fitted: DataFrame) -> Iterator[tuple[int, bytes]]:
    """Yield one shard at a time, in bucket order, so that the driver holds one."""
    stored = fitted.where(f.col("shard").isNotNull()).select(c.BUCKET, "shard").orderBy(c.BUCKET)
    for row in stored.toLocalIterator():
        yield int(row[0]), bytes(row[1])


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _readable(key: str) -> str:
    return key.replace(KEY_SEPARATOR, "/")
