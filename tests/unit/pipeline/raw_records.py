"""Raw Kafka rows for the tests of decoding, as Arrow batches.

Not here: what they should decode to (the tests), rows on Spark (``tests/spark``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from detector.pipeline import schema
from detector.pipeline.decode import DecodeSpec, RecordDecoder

RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)  # Kafka timestamp of every record
RECEIVED_US = int(RECEIVED.timestamp()) * 1_000_000
STAMP = 1_795_000_000_000  # epoch ms, 2026-11-18T11:06:40Z: some days before


def record(
    sensor: bytes = b'"temp"', stamp: bytes = b"1795000000000", value: bytes = b"20.5", more: bytes = b""
) -> bytes:
    """Return the bytes of a record with these JSON texts as its fields; `more` begins with a comma."""
    return b'{"sensor_id":' + sensor + b',"timestamp":' + stamp + b',"value":' + value + more + b"}"


def raw_batch(
    payloads: Sequence[bytes | None],
    topics: Sequence[str] | None = None,
    keys: Sequence[bytes | None] | None = None,
    max_bytes: int = 1_048_576,
) -> pa.RecordBatch:
    """Return raw rows in partition 3, offsets from 100; topic ``plant`` and no key unless they are given.

    As Spark and the ledger hand rows to the decoder, a payload over `max_bytes` is left out, its size is not.
    """
    n = len(payloads)
    columns = [
        list(keys or [None] * n),
        [payload if payload is None or len(payload) <= max_bytes else None for payload in payloads],
        [None if payload is None else len(payload) for payload in payloads],
        list(topics or ["plant"] * n),
        [3] * n,
        list(range(100, 100 + n)),
        [RECEIVED] * n,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema.RAW, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.RAW)


def decode_rows(payloads: Sequence[bytes | None], spec: DecodeSpec | None = None) -> list[dict[str, Any]]:
    """Decode payloads together and return the decoded rows."""
    spec = spec or DecodeSpec()
    rows: list[dict[str, Any]] = RecordDecoder(spec).decode(raw_batch(payloads, max_bytes=spec.max_bytes)).to_pylist()
    return rows


def decode_row(payload: bytes | None, spec: DecodeSpec | None = None) -> dict[str, Any]:
    """Decode one payload alone."""
    return decode_rows([payload], spec)[0]
