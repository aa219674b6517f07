"""Records for the tests on Spark: generated ones, as decoded rows, as frames and as files of a stream.

Not here: what windows of them should be (``tests/reference.py``).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from detector.pipeline import columns as c
from detector.pipeline import schema
from tests.reference import US, Record, WindowKey

START_US = 1_795_000_000 * US  # 2026-11-18T11:06:40Z
VALID = pa.schema([field for field in schema.DECODED if field.name not in {c.REJECT_REASON, c.LEADS}])


def plant(seconds: int, seed: int = 0) -> list[Record]:
    """Return some records a second of four sensors, in the order of their offsets: noise on a slope on a level.

    Event times repeat across partitions, so that first and last depend on the place of a record. Two sensors
    have no unit, one changes it.
    """
    rng = random.Random(seed)
    kinds = [("pump-3", "temp", 50.0, "°C"), ("pump-3", "flow", 1e6, "m3/h"), ("kiln", "temp", -2e-3, None)]
    found = []
    for offset in range(6 * seconds):
        asset, sensor, level, unit = rng.choice([*kinds, ("kiln", "burst", 0.0, rng.choice([None, "bar", "Pa"]))])
        at = offset * US // 6 // 250_000 * 250_000
        reading = level * (1 + at / US * 1e-4) + rng.gauss() * (abs(level) * 1e-3 + 1e-6)
        found.append(
            Record(
                asset, sensor, START_US + at, reading, rng.randrange(3), offset, START_US + at + 1_000 * offset % US,
                rng.choice(["north", "south"]), unit, rng.random() < 0.1,
            )
        )  # fmt: skip
    return found


def disturbed(records: Sequence[Record], most_late_us: int, seed: int = 0) -> list[Record]:
    """Return the records as they might arrive: delayed by different times, and a tenth of them twice.

    A repeated record has a place of its own, as when a producer sends it again.
    """
    rng = random.Random(seed)
    again = [replace(record, offset=record.offset + 10**6) for record in records if rng.random() < 0.1]
    arrivals = [(record.event_us + rng.randrange(most_late_us), record) for record in [*records, *again]]
    return [record for _, record in sorted(arrivals, key=lambda arrival: (arrival[0], arrival[1].offset))]


def decoded(records: Sequence[Record]) -> pa.Table:
    """Return records as valid decoded rows."""
    event = np.array([record.event_us for record in records], np.int64)
    partition = np.array([record.partition for record in records], np.int32)
    offset = np.array([record.offset for record in records], np.int64)
    units = [schema.pack_unit(record.unit) for record in records]
    columns: list[Any] = [
        [schema.topic_id(record.topic) for record in records],
        partition,
        offset,
        [record.kafka_us for record in records],
        [record.asset for record in records],
        [record.sensor for record in records],
        event,
        [record.reading for record in records],
        [high for high, _ in units],
        [low for _, low in units],
        schema.record_order(event, partition, offset),
        [record.out_of_range for record in records],
    ]
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, VALID, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=VALID)


def frame(spark: SparkSession, records: Sequence[Record]) -> DataFrame:
    """Return records as a static frame of valid decoded rows."""
    return spark.createDataFrame(decoded(records), schema.ddl(VALID))


def files_of_stream(folder: Path, tables: Iterable[pa.Table]) -> Path:
    """Write one parquet file a micro-batch, to be read in this order."""
    folder.mkdir()
    for number, table in enumerate(tables):
        path = folder / f"{number:04d}.parquet"
        pq.write_table(table, path)
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))  # the source reads the oldest first
    return folder


def stream(spark: SparkSession, folder: Path, rows: pa.Schema) -> DataFrame:
    """Return a stream of the files of a folder, one file a micro-batch."""
    return spark.readStream.schema(schema.ddl(rows)).option("maxFilesPerTrigger", 1).parquet(str(folder))


def by_key(windows: DataFrame) -> dict[WindowKey, dict[str, Any]]:
    """Collect windows by (start, asset, sensor), instants in microseconds; a window that comes twice is an error."""
    plain = windows.withColumns(
        {name: f.unix_micros(name) for name in (c.WINDOW_START, c.WINDOW_END, c.KAFKA_TIMESTAMP_MAX)}
    ).drop(c.WINDOW)
    rows = [row.asDict() for row in plain.collect()]
    found = {(row[c.WINDOW_START], row[c.ASSET_ID], row[c.SENSOR_ID]): row for row in rows}
    assert len(found) == len(rows)
    return found
