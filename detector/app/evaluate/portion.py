"""One portion of series: its records as windows on disk, and what the executors say of each entity in it.

Records pass through the functions of the stream and of training, in their order: decode, deduplicate, record order,
windows. Only what reads the files is of its own.

Not here: what is done with one entity's windows (``entity``), the order of things (``job``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.storagelevel import StorageLevel

from detector.app.evaluate.entity import EntityResult, history_of, judge_entity
from detector.app.evaluate.plan import Portion
from detector.app.evaluate.timeline import Timeline
from detector.app.series import Clock, Entity, Series, clock_of, read_series, record
from detector.errors import ConfigError
from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.decode import REJECT_REASONS, DecodeSpec, decode
from detector.pipeline.decoded import observe_rejects, valid
from detector.pipeline.identity import AssetRule
from detector.pipeline.json_records import RecordLayout
from detector.pipeline.scoring import to_batch
from detector.pipeline.windows import WindowSpec, deduplicate, in_record_order, windows
from models.features import WINDOW_FEATURES
from models.population import Population, PopulationSample
from models.training import TrainingConfig, sample_bucket

DECODING: Final = DecodeSpec(layout=RecordLayout(timestamp_format="iso8601"), asset=AssetRule(source="field"))

BATCH_RECORDS: Final = 10_000  # as many as Spark itself hands to Python at once

_RAW: Final = pa.schema([each for each in schema.RAW if each.name != c.PAYLOAD_BYTES])
_NEEDED: Final = (c.ASSET_ID, c.SENSOR_ID, c.WINDOW_END, *WINDOW_FEATURES.names)
_ANSWER: Final = f"{c.ASSET_ID} string, answer binary"
_TOPIC: Final = "series"
_EVENT_TIME: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Closed:
    """A portion whose windows are all closed.

    Attributes
    ----------
    portion : Portion
    windows : DataFrame
        On disk until it is released; an asset's rows stand in one partition.
    clocks, timelines : mapping
        By entity.
    records, window_count : int
        Records read, and windows of the valid ones.
    rejected : mapping of str to int
        Records that did not decode, by reason; 0 for most.
    """

    portion: Portion
    windows: DataFrame
    clocks: Mapping[str, Clock]
    timelines: Mapping[str, Timeline]
    records: int
    window_count: int
    rejected: Mapping[str, int]

    def samples(self, config: TrainingConfig, entities: int) -> list[PopulationSample]:
        """Draw what each entity contributes to the population's model, in the order of the portion.

        Parameters
        ----------
        config : TrainingConfig
        entities : int
            How many contribute to it, in this portion and others.
        """
        timelines = self.timelines

        def draw(key: tuple[str], frame: pd.DataFrame) -> pd.DataFrame:
            timeline = timelines[key[0]]
            _, batch = to_batch(frame, timeline.length_us)
            return _answer(key[0], sample_bucket(history_of(batch, timeline), config, entities).to_bytes())

        answers = self._ask(draw)
        names = (subject.entity.name for subject in self.portion.subjects)
        return [PopulationSample.from_bytes(answers[name]) for name in names if name in answers]

    def judge(self, config: TrainingConfig, population: Population | None) -> dict[str, EntityResult]:
        """Train and judge every entity that has windows."""
        timelines = self.timelines

        def judge(key: tuple[str], frame: pd.DataFrame) -> pd.DataFrame:
            timeline = timelines[key[0]]
            _, batch = to_batch(frame, timeline.length_us)
            result = judge_entity(batch, timeline, config, population, time.perf_counter)
            return _answer(key[0], msgspec.msgpack.encode(result))

        return {name: msgspec.msgpack.decode(told, type=EntityResult) for name, told in self._ask(judge).items()}

    def release(self) -> None:
        """Take the windows off the disk."""
        self.windows.unpersist()

    def _ask(self, ask: Callable[[tuple[str], pd.DataFrame], pd.DataFrame]) -> dict[str, bytes]:
        rows = self.windows.groupBy(c.ASSET_ID).applyInPandas(ask, _ANSWER).collect()
        return {str(row[0]): bytes(row[1]) for row in rows}


def close_portion(spark: SparkSession, portion: Portion, dedup: Literal["none", "within_window"]) -> Closed:
    """Read a portion's files and aggregate the records.

    Parameters
    ----------
    spark : SparkSession
        Where it runs.
    portion : Portion
        Which entities, and how long a window is.
    dedup : {'none', 'within_window'}
        As in `detector.pipeline.windows.WindowSpec`.

    Raises
    ------
    ConfigError
        If a file is not of the form, or an entity has nothing to judge.
    """
    length = portion.length_ms / 1000
    shape = WindowSpec(length, length, 0, dedup)
    series = [read_series(subject.entity) for subject in portion.subjects]
    clocks = {each.entity.name: clock_of(each.rows) for each in series}
    timelines = {each.entity.name: _timeline(each, clocks[each.entity.name], portion.length_ms) for each in series}
    observation = Observation("evaluation")
    raw = _raw(spark, [subject.entity for subject in portion.subjects])
    records = valid(observe_rejects(decode(raw, DECODING), observation))
    aggregated = windows(in_record_order(deduplicate(records, shape)), shape).select(*_NEEDED)
    closed = aggregated.repartition(c.ASSET_ID).persist(StorageLevel.DISK_ONLY)
    return Closed(
        portion=portion,
        windows=closed,
        clocks=clocks,
        timelines=timelines,
        records=sum(int(each.rows["value"].count()) for each in series),
        window_count=closed.count(),
        rejected={reason: int(observation.get[reason]) for reason in REJECT_REASONS},
    )


def _timeline(series: Series, clock: Clock, length_ms: int) -> Timeline:
    entity = series.entity
    if not 0 < entity.train < len(clock.us):
        raise ConfigError(
            f"{entity.name} has {len(clock.us)} timestamps, {entity.train} of them to train on; it needs at least "
            "one to train on and one more. Correct train_timestamps, or leave the entity out"
        )
    return Timeline(clock.us, entity.train, length_ms * 1000)


def _raw(spark: SparkSession, entities: Sequence[Entity]) -> DataFrame:
    """Return the records of entities as Kafka's source gives them; the executors read the files."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _records(read_series(entities[number]), number).to_batches(BATCH_RECORDS)

    return spark.range(0, len(entities), 1, len(entities)).mapInArrow(read, schema.ddl(_RAW))


def _records(series: Series, number: int) -> pa.Table:
    """Return the records of an entity as rows of a partition of its own, created when they were measured."""
    rows = series.rows.dropna(subset=["value"])
    name = series.entity.name
    fields = (rows[column].tolist() for column in ("sensor_id", "timestamp", "value"))
    n = len(rows)
    columns = {
        c.KEY: pa.nulls(n, pa.binary()),
        c.PAYLOAD: pa.array([record(name, *parts) for parts in zip(*fields, strict=True)], pa.binary()),
        c.TOPIC: pa.repeat(_TOPIC, n),
        c.PARTITION: pa.repeat(pa.scalar(number, pa.int32()), n),
        c.OFFSET: pa.array(np.arange(n)),
        c.KAFKA_TIMESTAMP: pa.array(rows["us"].to_numpy(np.int64)).cast(_EVENT_TIME),
    }
    return pa.table([columns[each.name] for each in _RAW], schema=_RAW)


def _answer(entity: str, told: bytes) -> pd.DataFrame:
    return pd.DataFrame({c.ASSET_ID: [entity], "answer": [told]})
