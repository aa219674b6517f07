"""Decoding inside Spark: the same rows as the decoder gives, counted as they pass, huge ones kept out of Python.

Not here: what decodes how (``tests/unit/pipeline``), counting on a stream (``test_scored_stream``).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyspark.sql import Observation
from pyspark.sql import functions as f

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.decode import REJECT_REASONS, DecodeSpec, RecordDecoder, decode
from detector.pipeline.decoded import (
    BLOCK_OFFSETS,
    LEADS_OBSERVED,
    NEWEST_OBSERVED,
    REJECT_BLOCKS,
    observe_rejects,
    valid,
)
from detector.pipeline.identity import AssetRule
from detector.pipeline.schema import topic_id

RAW_COLUMNS = "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp"
RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPEC = DecodeSpec(asset=AssetRule(template="{topic}-{key}"), max_bytes=60)
PAYLOADS = [
    b'{"sensor_id":"a","timestamp":1795000000000,"value":1.5}',
    b'{"sensor_id":"a","timestamp":1795000000000,"value":1.5}'.ljust(60),
    b'{"sensor_id":"a","timestamp":1795000000000,"value":1.5}'.ljust(61),
    b"\xff" * 100_000,
    None,
    b"{}",
    b"\xff",
    b'{"sensor_id":"\\ud800","timestamp":1795000000000,"value":1}',
    b'{"sensor_id":7,"timestamp":1795000000000,"value":-2}',
]
REASONS = [None, None, "too_large", "too_large", "null_value", "missing_field", "invalid_utf8", "invalid_utf8", None]
OFFSETS = [0, 1, 2, 3, 255, 256, 300, 5_000, 5_001]


@pytest.fixture(scope="module")
def raw(spark):
    """Return raw rows as Spark's Kafka source gives them."""
    rows = [(b"k", payload, "plant", 1, at, RECEIVED) for payload, at in zip(PAYLOADS, OFFSETS, strict=True)]
    return spark.createDataFrame(rows, RAW_COLUMNS)


def test_spark_decodes_to_the_rows_of_the_decoder(raw):
    by_row = decode(raw, SPEC).drop(c.LEADS)  # which is of an Arrow batch, and those are Spark's own
    found = sorted(by_row.toArrow().to_pylist(), key=lambda row: row[c.OFFSET])

    n = len(PAYLOADS)
    kept = [payload if payload is None or len(payload) <= SPEC.max_bytes else None for payload in PAYLOADS]
    sizes = [None if payload is None else len(payload) for payload in PAYLOADS]
    columns = [[b"k"] * n, kept, sizes, ["plant"] * n, [1] * n, OFFSETS, [RECEIVED] * n]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema.RAW, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema.RAW)
    assert found == RecordDecoder(SPEC).decode(batch).drop_columns([c.LEADS]).to_pylist()
    assert [row[c.REJECT_REASON] for row in found] == REASONS
    assert found[0][c.ASSET_ID] == "plant-k"


def test_valid_rows_carry_no_reason(raw):
    rows = valid(decode(raw, SPEC))

    assert c.REJECT_REASON not in rows.columns
    assert sorted(row[c.OFFSET] for row in rows.collect()) == [0, 1, 5_001]


def test_rejects_are_counted_by_reason_with_the_blocks_that_hold_them(raw):
    observation = Observation("decoded")

    observe_rejects(decode(raw, SPEC), observation).write.format("noop").mode("overwrite").save()

    observed = observation.get
    counts = Counter(reason for reason in REASONS if reason is not None)
    assert {reason: observed[reason] for reason in REJECT_REASONS} == {name: counts[name] for name in REJECT_REASONS}
    blocks = {at // BLOCK_OFFSETS for at, reason in zip(OFFSETS, REASONS, strict=True) if reason is not None}
    assert {tuple(block) for block in observed[REJECT_BLOCKS]} == {(topic_id("plant"), 1, block) for block in blocks}
    assert observed[NEWEST_OBSERVED] == RECEIVED.timestamp()
    valid_times = [row[0] for row in valid(decode(raw, SPEC)).select(f.unix_micros(c.EVENT_TIME)).collect()]
    leads = [tuple(lead) for lead in observed[LEADS_OBSERVED]]
    assert {lead[:2] for lead in leads} == {(topic_id("plant"), 1)}
    assert max(lead[2] for lead in leads) == max(valid_times)


def test_the_jvm_leaves_out_payloads_that_are_too_large_before_python_reads_them(raw, capsys):
    decode(raw, SPEC).explain()

    above, python, below = capsys.readouterr().out.partition("MapInArrow")
    assert python
    assert "CASE WHEN (length(value#" in below
    assert "CASE WHEN" not in above


def test_the_kafka_key_stays_in_the_jvm_unless_the_template_names_it(raw, capsys):
    decode(raw, DecodeSpec()).explain()

    assert "null AS key" in capsys.readouterr().out.partition("MapInArrow")[2]
