"""Makes the archive of Spark's classes: runs the pipeline once over a handful of records and lets the JVM write it.

Not here: where it is and how it is used (``class_archive``).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from detector.app import class_archive, session
from detector.app.stream import scored_stream
from detector.kafka.java import Java
from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.alerts import AlertContext
from detector.pipeline.decode import DecodeSpec, decode
from detector.pipeline.decoded import valid
from detector.pipeline.identity import AssetRule
from detector.pipeline.scoring import ScoringSpec
from detector.pipeline.windows import WindowSpec, windows
from detector.settings import load
from models.profile import ScoringProfile

SECONDS: Final = 60  # of made records; windows are of one second
END_SECONDS: Final = 120.0  # for the JVM to write its 170 MB and end; 8 s on an idle machine
SHORT_LIVED: Final = f"spark.conf.{session.JVM_OPTIONS}={session.SHORT_LIVED}"
DECODING: Final = DecodeSpec(asset=AssetRule(source="field"))
SHAPE: Final = WindowSpec(1, 1, 1)
RAW: Final = pa.schema([field for field in schema.RAW if field.name != c.PAYLOAD_BYTES])


def prepare(java: Java, say: Callable[[str], None]) -> None:
    """Make the archive; older ones of the same environment go.

    Parameters
    ----------
    java : Java
        That will run Spark.
    say : callable
        Takes a line before what lasts.
    """
    target = class_archive.archive_path(java)
    directory = target.parent
    if not _writable(directory):
        say(f"{directory} cannot be written, so Spark starts some seconds slower than it could")
        return
    say("recording the classes that Spark loads, once: half a minute")
    with tempfile.TemporaryDirectory(dir=directory) as workspace:
        made = Path(workspace) / target.name
        _record(Path(workspace), made)
        for old in directory.glob("spark-*.jsa"):
            old.unlink(missing_ok=True)
        if made.is_file():
            made.replace(target)
        else:
            say("this Java does not record classes, so Spark starts some seconds slower than it could")


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def _record(workspace: Path, made: Path) -> None:
    settings = load(
        None, ("source.topics=[none]", "spark.master=local[2]", "state.shuffle_partitions=2", SHORT_LIVED), {}
    )
    with (workspace / "jvm.log").open("w") as log:
        spark = session.build(settings, log, record_classes=made)
        try:
            _batch_and_stream(spark, workspace)
        finally:
            _end(spark)


def _batch_and_stream(spark: SparkSession, workspace: Path) -> None:
    """Run what training and streaming run, without models."""
    source = workspace / "source"
    source.mkdir()
    pq.write_table(_records(), source / "records.parquet")
    raw_schema = schema.ddl(RAW)
    windows(valid(decode(spark.read.schema(raw_schema).parquet(str(source)), DECODING)), SHAPE).collect()
    stream = scored_stream(spark.readStream.schema(raw_schema).parquet(str(source)), DECODING, SHAPE, _scoring())
    query = (
        stream.writeStream.foreachBatch(_collect)
        .option("checkpointLocation", str(workspace / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


def _collect(rows: DataFrame, _: int) -> None:
    rows.persist().collect()
    rows.unpersist()


def _scoring() -> ScoringSpec:
    context = AlertContext(
        identity="none", slide_us=1_000_000, model_version="none", model_digest="", config_digest="", topics={},
        max_openings=1,
    )  # fmt: skip
    return ScoringSpec(2, ScoringProfile(), _no_shard, context, time.perf_counter)


def _no_shard(_: int) -> None:
    return None


def _records() -> pa.Table:
    start = 1_795_000_000
    return pa.Table.from_pylist(
        [
            {
                c.PAYLOAD: b'{"asset_id":"a","sensor_id":"s","timestamp":%d,"value":1.0}' % (1000 * (start + second)),
                c.TOPIC: "none",
                c.PARTITION: 0,
                c.OFFSET: second,
                c.KAFKA_TIMESTAMP: 1_000_000 * (start + second),
            }
            for second in range(SECONDS)
        ],
        schema=RAW,
    )


def _end(spark: SparkSession) -> None:
    """Let the JVM end, which writes the archive; Spark's own way leaves it to the end of this process."""
    gateway: Any = spark.sparkContext._gateway  # noqa: SLF001 - there is no other way to it
    spark.stop()
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001
    gateway.shutdown()
    if gateway.proc.stdin is not None:
        gateway.proc.stdin.close()
    gateway.proc.wait(END_SECONDS)
