"""Read raw records from Kafka: the stream, and a batch over given offsets.

Not here: what a record means (``detector.pipeline.decode``); Spark commits no offsets to Kafka, the
checkpoint holds them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.readwriter import DataFrameReader
    from pyspark.sql.streaming.readwriter import DataStreamReader

    from detector.kafka.connection import KafkaConnection

FIRST: Final = -2  # in place of an offset: the first record that the partition holds, as Spark's connector has it

Offsets: TypeAlias = Mapping[str, Mapping[int, int]]  # topic -> partition -> offset


@dataclass(frozen=True)
class SourceSpec:
    """What is read.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    topics : tuple of str
        Topics by name; empty where `topic_pattern` is given.
    topic_pattern : str or None
        Java regular expression of topic names.
    starting_offsets : {'earliest', 'latest'} or Offsets
        Where a stream without a checkpoint begins.
    max_records_per_batch : int
        Bound of one micro-batch.
    min_partitions : int or None
        Split Kafka partitions further, for more tasks than partitions.
    fail_on_data_loss : bool
        End the query where records are gone before they were read.
    """

    connection: KafkaConnection
    topics: tuple[str, ...] = ()
    topic_pattern: str | None = None
    starting_offsets: Literal["earliest", "latest"] | Offsets = "latest"
    max_records_per_batch: int = 1_000_000
    min_partitions: int | None = None
    fail_on_data_loss: bool = True

    def options(self) -> dict[str, str]:
        """Return the options of the connector that a stream and a batch share."""
        subscription = (
            {"subscribePattern": self.topic_pattern} if self.topic_pattern else {"subscribe": ",".join(self.topics)}
        )
        split = {"minPartitions": str(self.min_partitions)} if self.min_partitions else {}
        return {
            **self.connection.spark(),
            **subscription,
            **split,
            "kafka.isolation.level": "read_committed",
            "groupIdPrefix": "tidemark",
            "failOnDataLoss": str(self.fail_on_data_loss).lower(),
        }


def stream(spark: SparkSession, spec: SourceSpec) -> DataFrame:
    """Return the endless DataFrame of raw records (Spark's Kafka columns)."""
    reader: DataStreamReader = spark.readStream.format("kafka").options(**spec.options())
    start = spec.starting_offsets
    reader = reader.option("startingOffsets", start if isinstance(start, str) else to_json(start))
    return reader.option("maxOffsetsPerTrigger", str(spec.max_records_per_batch)).load()


def batch(spark: SparkSession, spec: SourceSpec, start: Offsets, end: Offsets) -> DataFrame:
    """Return the raw records of ``start <= offset < end`` for each topic and partition.

    Topics and partitions are those of the offsets: a manifest's ranges are read again also where the pattern or
    the topic list of `spec` has changed since, or a topic has got more partitions.
    """
    options = spec.options()
    for chosen in ("subscribe", "subscribePattern"):
        options.pop(chosen, None)
    options["assign"] = json.dumps({topic: sorted(parts) for topic, parts in start.items()})
    reader: DataFrameReader = spark.read.format("kafka").options(**options)
    return reader.option("startingOffsets", to_json(start)).option("endingOffsets", to_json(end)).load()


def complete(offsets: Offsets, partitions: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Return an offset for each partition: the one that is given, else its first record's.

    Spark refuses to begin with offsets that leave a partition out, or that name one which is not there.

    Parameters
    ----------
    offsets : Offsets
        Of some partitions.
    partitions : mapping of str to int
        Topics as they are now, and their number of partitions.
    """
    return {
        topic: {partition: offsets.get(topic, {}).get(partition, FIRST) for partition in range(count)}
        for topic, count in partitions.items()
    }


def to_json(offsets: Offsets) -> str:
    """Render offsets as Spark's connector reads them."""
    return json.dumps({t: {str(p): o for p, o in sorted(parts.items())} for t, parts in sorted(offsets.items())})


def from_json(text: str) -> dict[str, dict[int, int]]:
    """Parse offsets as Spark's connector writes them."""
    return {topic: {int(p): int(o) for p, o in parts.items()} for topic, parts in json.loads(text).items()}
