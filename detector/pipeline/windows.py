"""Event-time windows: one row of statistics per (asset, sensor, window).

Native Spark aggregation with fixed-width buffers only (``schema`` says why), the same for a stream and for
a batch. The columns are part of the checkpoint: adding one later makes old checkpoints unreadable, so
provenance and data-quality columns are here from the first day.

Defined values: a window of one record has standard deviation and slope 0, so has a constant one; a window
without records is no row.

Not here: the watermark (``event_time``) and scores (``scoring``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from detector.pipeline import columns as c

SEEN_BITS: Final = 128  # hash bits that a window keeps of its records, in two 64-bit words
WORD_BITS: Final = 64
NOISE_SIGMAS: Final = 4  # chance collisions of those bits that are not taken for duplicates

_SECONDS: Final = "window_seconds"
_PLACE: Final = "seen_place"
_SEEN: Final = ("seen_0", "seen_1")
_UNITS: Final = ("unit_high_min", "unit_high_max", "unit_low_min", "unit_low_max")


@dataclass(frozen=True)
class WindowSpec:
    """Shape of the windows.

    Parameters
    ----------
    length_seconds, slide_seconds : float
        Length of a window and the distance between two starts; equal for tumbling windows. The slide
        divides the length.
    lateness_seconds : float
        How much later than the newest record a record may come.
    dedup : {'none', 'within_window'}
        ``within_window`` keeps one of the records with the same asset, sensor, event time and reading.
    """

    length_seconds: float = 10.0
    slide_seconds: float = 10.0
    lateness_seconds: float = 30.0
    dedup: Literal["none", "within_window"] = "none"


def deduplicate(records: DataFrame, spec: WindowSpec) -> DataFrame:
    """Keep one of the records with the same asset, sensor, event time and reading, if the spec says so."""
    if spec.dedup == "none":
        return records
    return records.dropDuplicates([c.ASSET_ID, c.SENSOR_ID, c.EVENT_TIME, c.READING])


def in_record_order(records: DataFrame) -> DataFrame:
    """Bring a *batch* of records into the order (event time, partition, offset) per sensor.

    Sums of floating-point numbers depend on their order in the last digits. A model must not: training on the
    same records gives the same bytes, whatever the number of cores or partitions.
    """
    together = records.repartition(c.ASSET_ID, c.SENSOR_ID)
    return together.sortWithinPartitions(c.ASSET_ID, c.SENSOR_ID, c.EVENT_TIME, c.PARTITION, c.OFFSET)


def windows(records: DataFrame, spec: WindowSpec) -> DataFrame:
    """Aggregate valid records into windows.

    Parameters
    ----------
    records : DataFrame
        Columns of `schema.DECODED` without the reject reason; on a stream with a watermark on the event time.
    spec : WindowSpec
        Shape of the windows.

    Returns
    -------
    DataFrame
        ``window``, its start and end, asset_id, sensor_id; count; mean, sample standard deviation, min, max,
        first, last (by event time, partition, offset) in the sensor's unit; slope in units per second by least
        squares; unit and whether records disagree about it; smallest and largest partition, offset and topic
        code; largest Kafka timestamp; ``duplicates_indicated``, a cautious count of repeated (event time,
        reading) pairs; count of readings out of their physical range.
    """
    length, slide = (f"{round(s * 1000)} milliseconds" for s in (spec.length_seconds, spec.slide_seconds))
    placed = records.withColumn(c.WINDOW, f.window(c.EVENT_TIME, length, slide))
    placed = placed.withColumn(
        _SECONDS, (f.unix_micros(c.EVENT_TIME) - f.unix_micros(f.col(f"{c.WINDOW}.start"))) / 1e6
    ).withColumn(_PLACE, f.pmod(f.xxhash64(c.EVENT_TIME, c.READING), f.lit(SEEN_BITS)).cast("int"))
    return _readable(placed.groupBy(c.WINDOW, c.ASSET_ID, c.SENSOR_ID).agg(*_aggregates()))


def _aggregates() -> list[Column]:
    reading = f.col(c.READING)
    return [
        f.count("*").alias(c.COUNT),
        f.avg(reading).alias(c.MEAN),
        f.stddev_samp(reading).alias(c.STD),
        f.min(reading).alias(c.MIN),
        f.max(reading).alias(c.MAX),
        f.min_by(reading, c.RECORD_ORDER).alias(c.FIRST),
        f.max_by(reading, c.RECORD_ORDER).alias(c.LAST),
        f.regr_slope(reading, f.col(_SECONDS)).alias(c.SLOPE),
        f.min(c.PARTITION).alias(c.PARTITION_MIN),
        f.max(c.PARTITION).alias(c.PARTITION_MAX),
        f.min(c.OFFSET).alias(c.OFFSET_MIN),
        f.max(c.OFFSET).alias(c.OFFSET_MAX),
        f.min(c.TOPIC_ID).alias(c.TOPIC_ID_MIN),
        f.max(c.TOPIC_ID).alias(c.TOPIC_ID_MAX),
        f.max(c.KAFKA_TIMESTAMP).alias(c.KAFKA_TIMESTAMP_MAX),
        f.sum(f.col(c.OUT_OF_RANGE).cast("long")).alias(c.OUT_OF_RANGE),
        *(f.bit_or(_bit(word)).alias(name) for word, name in enumerate(_SEEN)),
        f.min(c.UNIT_HIGH).alias(_UNITS[0]),
        f.max(c.UNIT_HIGH).alias(_UNITS[1]),
        f.min(c.UNIT_LOW).alias(_UNITS[2]),
        f.max(c.UNIT_LOW).alias(_UNITS[3]),
    ]


def _bit(word: int) -> Column:
    """Return the bit of a record's hash if it lies in this word, else 0."""
    place = f.col(_PLACE) - WORD_BITS * word
    bit = f.expr(f"shiftleft(1L, {_PLACE} - {WORD_BITS * word})")
    return f.when((place >= 0) & (place < WORD_BITS), bit).otherwise(f.lit(0).cast("long"))


def _readable(aggregated: DataFrame) -> DataFrame:
    unit_bytes = f.concat(*(f.unhex(f.lpad(f.hex(name), 16, "0")) for name in (_UNITS[1], _UNITS[3])))
    unit = f.nullif(f.rtrim(f.translate(f.decode(unit_bytes, "UTF-8"), "\0", " ")), f.lit(""))
    conflict = (f.col(_UNITS[0]) != f.col(_UNITS[1])) | (f.col(_UNITS[2]) != f.col(_UNITS[3]))
    return aggregated.select(
        c.WINDOW,
        f.col(f"{c.WINDOW}.start").alias(c.WINDOW_START),
        f.col(f"{c.WINDOW}.end").alias(c.WINDOW_END),
        c.ASSET_ID,
        c.SENSOR_ID,
        c.COUNT,
        c.MEAN,
        f.coalesce(c.STD, f.lit(0.0)).alias(c.STD),
        c.MIN,
        c.MAX,
        c.FIRST,
        c.LAST,
        f.coalesce(c.SLOPE, f.lit(0.0)).alias(c.SLOPE),
        f.when(~conflict, unit).alias(c.UNIT),
        conflict.alias(c.UNIT_CONFLICT),
        c.PARTITION_MIN,
        c.PARTITION_MAX,
        c.OFFSET_MIN,
        c.OFFSET_MAX,
        c.TOPIC_ID_MIN,
        c.TOPIC_ID_MAX,
        c.KAFKA_TIMESTAMP_MAX,
        _duplicates().alias(c.DUPLICATES),
        c.OUT_OF_RANGE,
    )


def _duplicates() -> Column:
    """Count duplicates cautiously: records beyond what the occupied hash bits and chance explain.

    Linear counting (Whang, Vander-Zanden, Taylor 1990, section 2) estimates the distinct records from the
    occupied bits; n distinct ones collide sqrt(n (n - 1) / (2 bits)) times by chance. Once the bits are
    saturated (some 300 records) nothing is indicated.
    """
    occupied = f.bit_count(_SEEN[0]) + f.bit_count(_SEEN[1])
    distinct = -SEEN_BITS * f.log(1 - occupied / SEEN_BITS)
    n = f.col(c.COUNT).cast("double")
    noise = NOISE_SIGMAS * f.sqrt(n * (n - 1) / (2 * SEEN_BITS))
    saturated = occupied >= SEEN_BITS - 8
    indicated = f.greatest(f.lit(0), f.ceil(n - distinct - noise))
    return f.when(saturated, f.lit(0)).otherwise(indicated).cast("long")
