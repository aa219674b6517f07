"""Types of the rows between rooms, and the fixed-width codes that keep the window aggregation fast.

Spark aggregates in a hash map only where every buffer has a fixed width: one string, struct or binary
buffer turns the whole aggregation into a sort. So the record order, the unit and the topic travel as
numbers, and are turned back once per closed window instead of once per record.

Not here: column names (``columns``).
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detector.pipeline import columns as c

KEY_SEPARATOR: Final = "\x1f"  # ASCII unit separator; identifiers with control characters are rejected
UNIT_BYTES: Final = 16  # longer units are cut; UCUM's longest everyday units have fewer
OFFSET_BITS: Final = 47  # of record_order; 1.4e14 records a partition, above any Kafka log

RAW: Final = pa.schema(
    [
        (c.KEY, pa.binary()),
        (c.PAYLOAD, pa.binary()),
        (c.PAYLOAD_BYTES, pa.int32()),
        (c.TOPIC, pa.string()),
        (c.PARTITION, pa.int32()),
        (c.OFFSET, pa.int64()),
        (c.KAFKA_TIMESTAMP, pa.timestamp("us", "UTC")),
    ]
)

DECODED: Final = pa.schema(
    [
        (c.TOPIC_ID, pa.int64()),
        (c.PARTITION, pa.int32()),
        (c.OFFSET, pa.int64()),
        (c.KAFKA_TIMESTAMP, pa.timestamp("us", "UTC")),
        (c.ASSET_ID, pa.string()),
        (c.SENSOR_ID, pa.string()),
        (c.EVENT_TIME, pa.timestamp("us", "UTC")),
        (c.READING, pa.float64()),
        (c.UNIT_HIGH, pa.int64()),
        (c.UNIT_LOW, pa.int64()),
        (c.RECORD_ORDER, pa.decimal128(38, 0)),
        (c.OUT_OF_RANGE, pa.bool_()),
        (c.REJECT_REASON, pa.string()),
        (c.LEADS, pa.bool_()),
    ]
)

SCORED: Final = pa.schema(
    [
        (c.ROW_KIND, pa.string()),
        (c.BUCKET, pa.int32()),
        (c.MESSAGE_KEY, pa.binary()),
        (c.MESSAGE_VALUE, pa.binary()),
        (c.ALERT_ID, pa.string()),
        (c.EVENT, pa.string()),
        (c.SEVERITY, pa.string()),
        (c.NEWEST_RECORD, pa.float64()),
    ]
)

_SPARK_TYPES: Final = {
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.bool_(): "boolean",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.decimal128(38, 0): "decimal(38,0)",
}


def ddl(schema: pa.Schema) -> str:
    """Return Spark's DDL text of one of this module's Arrow schemas."""
    return ", ".join(f"`{field.name}` {_SPARK_TYPES[field.type]}" for field in schema)


@lru_cache(maxsize=4096)
def topic_id(topic: str) -> int:
    """Return the 32-bit code of a topic's name (CRC-32 of its UTF-8 bytes)."""
    return zlib.crc32(topic.encode())


@lru_cache(maxsize=65_536)
def pack_unit(unit: str | None) -> tuple[int, int]:
    """Return a unit's first 16 UTF-8 bytes as two signed 64-bit numbers; no unit is (0, 0).

    A character that the cut splits is dropped whole: Spark's ``decode`` fails on half of one.
    """
    cut = (unit or "").encode()[:UNIT_BYTES].decode(errors="ignore")
    raw = cut.encode().ljust(UNIT_BYTES, b"\0")
    return int.from_bytes(raw[:8], "big", signed=True), int.from_bytes(raw[8:], "big", signed=True)


def record_order(event_us: NDArray[np.int64], partition: NDArray[np.int32], offset: NDArray[np.int64]) -> pa.Array:
    """Pack (event time, partition, offset) into numbers that compare in that order.

    Parameters
    ----------
    event_us : ndarray of int64, shape (n,)
        Event time in microseconds since 1970.
    partition, offset : ndarray, shape (n,)
        Place of the record in its topic.

    Returns
    -------
    pyarrow.Array of decimal128(38, 0), shape (n,)
        Event time in the upper 64 bits, partition and offset in the lower ones.
    """
    words = np.empty((len(event_us), 2), np.uint64)
    words[:, 0] = (partition.astype(np.uint64) << np.uint64(OFFSET_BITS)) | offset.astype(np.uint64)
    words[:, 1] = event_us.view(np.uint64)
    return pa.Array.from_buffers(pa.decimal128(38, 0), len(words), [None, pa.py_buffer(words)])
