"""From raw rows to alerts on a stream of files: the streaming operator gives what the pure function gives.

Not here: Kafka (``tests/integration``), the values of alerts (``tests/unit/pipeline``).
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from detector.app.stream import scored_stream
from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.alerts import AlertContext
from detector.pipeline.decode import REJECT_REASONS, DecodeSpec, decode
from detector.pipeline.decoded import BLOCK_OFFSETS, DECODED_OBSERVATION, REJECT_BLOCKS, valid
from detector.pipeline.encode import read_summary
from detector.pipeline.identity import AssetRule
from detector.pipeline.schema import topic_id
from detector.pipeline.scoring import ScoringSpec, score_bucket, to_batch, with_bucket
from detector.pipeline.windows import WindowSpec, in_record_order, windows
from models.ensemble import ModelShard
from models.features import History
from models.profile import ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.spark.records import START_US as LIVE_US
from tests.spark.records import files_of_stream, stream

BUCKETS = 4
TRAINED, LIVE, FLUSH = 150, 40, 10  # windows of one second; the last ones only close those before them
SHAPE = WindowSpec(1, 1, 2)
DECODING = DecodeSpec(asset=AssetRule(source="field"))
PROFILE = ScoringProfile(quiet_windows=2)
SENSORS = [("pump-3", "temp"), ("pump-3", "flow"), ("kiln", "temp"), ("mill", "speed")]
FAULTS = {("pump-3", "flow"): range(10, 20), ("mill", "speed"): range(15, 25)}
RAW_SOURCE = pa.schema([field for field in schema.RAW if field.name != c.PAYLOAD_BYTES])
POISON = [b"x", None, b"\xff", b"{}", b'{"sensor_id":"\\ud800","timestamp":0,"value":1,"asset_id":"a"}', b"[" * 10_000]


def raw_rows(seconds: range, faults: dict[tuple[str, str], range]) -> list[dict[str, Any]]:
    """Return raw rows, three records a second of each sensor; second 0 begins at `LIVE_US`."""
    rng = random.Random(seconds.start)
    rows = []
    for second in seconds:
        for asset, sensor in SENSORS:
            level = 50.0 + (20.0 if second in faults.get((asset, sensor), ()) else 0.0)
            for part in range(3):
                at = LIVE_US + second * 1_000_000 + part * 300_000
                value = {"asset_id": asset, "sensor_id": sensor, "timestamp": at // 1000, "value": rng.gauss(level)}
                rows.append({c.PAYLOAD: json.dumps(value).encode(), c.KAFKA_TIMESTAMP: at + 50_000})
    return rows


def as_table(rows: list[dict[str, Any]], first_offset: int) -> pa.Table:
    """Return raw rows as Spark's Kafka source gives them, with offsets in their order."""
    placed = [
        {c.KEY: None, c.TOPIC: "plant", c.PARTITION: 0, c.OFFSET: first_offset + i, **row} for i, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(placed, schema=RAW_SOURCE)


def batch_windows(spark: SparkSession, tables: list[pa.Table]) -> pd.DataFrame:
    """Return windows with their buckets, the way training gets them."""
    raw = spark.createDataFrame(pa.concat_tables(tables), schema.ddl(RAW_SOURCE))
    closed = with_bucket(windows(in_record_order(valid(decode(raw, DECODING))), SHAPE), BUCKETS)
    return closed.drop(c.WINDOW).toPandas()


def trained(history: pd.DataFrame) -> dict[int, ModelShard]:
    """Train a model of each bucket."""
    config = TrainingConfig(PROFILE)
    return {
        int(bucket): train_bucket(History.from_windows(to_batch(part, 1_000_000)[1]), config)[0]
        for bucket, part in history.groupby(c.BUCKET)
    }


def without_digits(alert: dict[str, Any]) -> dict[str, Any]:
    """Return what of an alert does not depend on the last digits of sums."""
    names = ("alert_id", "incident_id", "event", "severity", "asset_id", "sensor_id", "window", "source", "model")
    return {name: alert[name] for name in names}


def read_alerts(rows: list[tuple[str, bytes]]) -> dict[str, dict[str, Any]]:
    alerts = [json.loads(bytes(value)) for kind, value in rows if kind == c.ALERT_ROW]
    found = {alert["alert_id"]: alert for alert in alerts}
    assert len(found) == len(alerts)
    return found


def run(scored: DataFrame, checkpoint: Path, name: str) -> tuple[list[tuple[str, bytes]], list[dict[str, Any]]]:
    """Run a stream until all is read; return kind and value of its rows, and what each batch observed."""
    writer = scored.writeStream.format("memory").queryName(name).outputMode("append")
    query = writer.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start()
    query.awaitTermination()
    observed = [p.observedMetrics[DECODED_OBSERVATION] for p in query.recentProgress if p.observedMetrics]
    rows = scored.sparkSession.table(name).select(c.ROW_KIND, c.MESSAGE_VALUE).collect()
    return [(row[0], row[1]) for row in rows], [row.asDict() for row in observed]


def test_a_stream_of_files_gives_the_alerts_of_the_pure_function_and_counts_what_it_rejects(spark, tmp_path):
    history = batch_windows(spark, [as_table(raw_rows(range(-TRAINED, 0), {}), 0)])
    shards = trained(history)
    context = AlertContext("plant.main", 1_000_000, "v1", "d", "c", {topic_id("plant"): "plant"})
    spec = ScoringSpec(BUCKETS, PROFILE, shards.get, context, time.perf_counter)
    tables = [as_table(raw_rows(range(at, at + 14), FAULTS), 1_000 * at) for at in (0, 14, 28)]
    poison = as_table([{c.PAYLOAD: payload, c.KAFKA_TIMESTAMP: LIVE_US} for payload in POISON], 100_000)
    flush = as_table(raw_rows(range(42, 42 + FLUSH), {}), 200_000)
    files = files_of_stream(tmp_path / "files", [*tables[:2], pa.concat_tables([poison, tables[2]]), flush])

    rows, observed = run(
        scored_stream(stream(spark, files, RAW_SOURCE), DECODING, SHAPE, spec), tmp_path / "checkpoint", "scored"
    )

    live = batch_windows(spark, [*tables, flush])
    newest = live[c.WINDOW_END].max()
    closed = live[live[c.WINDOW_END] <= newest - pd.Timedelta(seconds=SHAPE.lateness_seconds + 1)]
    expected_rows: list[tuple[str, bytes]] = []
    for bucket, part in closed.groupby(c.BUCKET):
        scored, _ = score_bucket(int(bucket), part, None, spec)
        expected_rows += list(zip(scored[c.ROW_KIND], scored[c.MESSAGE_VALUE], strict=True))
    expected, found = read_alerts(expected_rows), read_alerts(rows)
    assert {(a["asset_id"], a["sensor_id"]) for a in found.values() if a["event"] == "opened"} >= set(FAULTS)
    assert found.keys() == expected.keys()
    for alert_id, want in expected.items():
        assert without_digits(found[alert_id]) == without_digits(want)
        assert found[alert_id]["score"] == pytest.approx(want["score"], rel=1e-6)
    scored_windows = sum(read_summary(bytes(value)).windows_scored for kind, value in rows if kind == c.SUMMARY_ROW)
    assert scored_windows == len(closed)

    counts = Counter({reason: sum(row[reason] for row in observed) for reason in REJECT_REASONS})
    assert +counts == Counter(bad_json=2, null_value=1, invalid_utf8=2, missing_field=1)
    blocks = [dict(block) for row in observed for block in row[REJECT_BLOCKS] or ()]
    assert blocks == [{c.TOPIC_ID: topic_id("plant"), c.PARTITION: 0, "block": 100_000 // BLOCK_OFFSETS}]
