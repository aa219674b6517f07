"""What a frame of decoded rows goes through: rejects are counted and left behind, heartbeats end behind the watermark.

Not here: decoding a row (``decode``), reading rejects again (``detector.kafka.dead_letter``).
"""

from __future__ import annotations

from typing import Final

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f

from detector.pipeline import columns as c
from detector.pipeline.decode import REJECT_REASONS

DECODED_OBSERVATION: Final = "decoded"
NEWEST_OBSERVED: Final = "newest_record"  # largest Kafka timestamp of the batch, epoch seconds
REJECT_BLOCKS: Final = "blocks"
LEADS_OBSERVED: Final = "leads"
BLOCK_OFFSETS: Final = 256  # offsets in a block that is re-read for a reject: about one fetch of small records


def observe_rejects(decoded: DataFrame, observation: Observation | None = None) -> DataFrame:
    """Count rejected rows per reason as they pass, and note the blocks of offsets that hold them.

    A batch hands in its own `Observation`; a stream reports under the name in each micro-batch's progress.

    The observation ``decoded`` has one count a reason, the largest Kafka timestamp, and ``blocks``: the distinct
    (topic_id, partition, offset // 256) of rejected rows: enough for the ledger to re-read only those. ``leads`` has
    (topic_id, partition, event time in microseconds) of the newest record of each partition in each Arrow batch.
    """
    reason = f.col(c.REJECT_REASON)
    block = f.struct(c.TOPIC_ID, c.PARTITION, (f.floor(f.col(c.OFFSET) / BLOCK_OFFSETS)).alias("block"))
    counts = [f.count(f.when(reason == name, 1)).alias(name) for name in REJECT_REASONS]
    blocks = f.collect_set(f.when(reason.isNotNull(), block)).alias(REJECT_BLOCKS)
    newest = (f.max(f.unix_micros(c.KAFKA_TIMESTAMP)) / 1e6).alias(NEWEST_OBSERVED)
    place = f.struct(c.TOPIC_ID, c.PARTITION, f.unix_micros(c.EVENT_TIME))
    leading = f.collect_set(f.when(f.col(c.LEADS), place)).alias(LEADS_OBSERVED)
    return decoded.observe(observation or DECODED_OBSERVATION, *counts, newest, blocks, leading)


def without_heartbeats(records: DataFrame) -> DataFrame:
    """Drop heartbeats behind the watermark; no part of the condition does without the event time.

    Spark pushes what does before the watermark, which would then never hear of them.
    """
    return records.where(f.col(c.SENSOR_ID).isNotNull() | f.col(c.EVENT_TIME).isNull())


def valid(decoded: DataFrame) -> DataFrame:
    """Keep the rows that decoded."""
    return decoded.where(f.col(c.REJECT_REASON).isNull()).drop(c.REJECT_REASON, c.LEADS)
