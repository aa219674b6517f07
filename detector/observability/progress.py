"""What one micro-batch of the streaming query did, as plain frozen data.

Not here: receiving progress from Spark (``listener``), exporting it (``metrics``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

DUPLICATES: Final = "numDroppedDuplicateRows"  # Spark's name, among the metrics that only some operators have

Offsets: TypeAlias = Mapping[str, Mapping[int, int]]
"""Topic -> partition -> offset of the next record to read."""


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """What one source of the query read in a batch.

    Attributes
    ----------
    description : str
        Spark's name of the source, e.g. ``KafkaV2[Subscribe[sensors]]``.
    input_rows : int
        Rows that were read from it.
    start, end, latest : mapping of topic to partition to offset, or None
        Where the batch began, where it ended (exclusive), and the end of the log when it was planned.
        None where Spark does not know: `start` of a checkpoint's first batch, or a source other than Kafka.
    """

    description: str
    input_rows: int
    start: Offsets | None
    end: Offsets | None
    latest: Offsets | None


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """One successful micro-batch.

    Attributes
    ----------
    query_id, run_id : str
        The query's identity, kept by its checkpoint, and that of this start of it.
    batch_id : int
        Number of the batch; counts up without gaps over restarts.
    finished_at : float
        When the batch was committed, epoch seconds.
    input_rows : int
        Rows read from all sources.
    rows_dropped_by_watermark : int
        State operators' own count. It counts *partially aggregated* rows, so it is a sign of late records and
        not their number.
    duplicates_dropped : int
        Records that repeat another one, by the operator of ``windows.dedup``; 0 without it.
    phase_ms : mapping of str to int
        Duration of each of Spark's phases, milliseconds; ``triggerExecution`` is the whole.
    watermark : float or None
        Event-time watermark that the batch ran with, epoch seconds; None before the first one.
    sources : tuple of SourceBatch
        One entry per source.
    state_rows, state_memory_bytes : int
        Sums over all state operators.
    observed : mapping of str to mapping of str to Any
        Observation name -> column -> value, as ``DataFrame.observe`` produced it. A value may be a number,
        None (an aggregate of no rows), a Row or a list of them.
    """

    query_id: str
    run_id: str
    batch_id: int
    finished_at: float
    input_rows: int
    rows_dropped_by_watermark: int
    duplicates_dropped: int
    phase_ms: Mapping[str, int]
    watermark: float | None
    sources: tuple[SourceBatch, ...]
    state_rows: int
    state_memory_bytes: int
    observed: Mapping[str, Mapping[str, Any]]

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Count the records left unread when the batch was planned, by (topic, partition)."""
        return {
            (topic, partition): max(0, latest - (source.end or {}).get(topic, {}).get(partition, 0))
            for source in self.sources
            for topic, partitions in (source.latest or {}).items()
            for partition, latest in partitions.items()
        }

    def records_by_topic(self) -> dict[str, int]:
        """Count the records read, by topic; a source's topics sum to exactly its `input_rows`.

        Spark counts rows per source only. The rows of a source with several topics are split in proportion to
        how far each topic's offsets moved, which is exact unless transactions leave gaps in them.
        """
        totals: dict[str, int] = {}
        for source in self.sources:
            for topic, rows in _split(source).items():
                totals[topic] = totals.get(topic, 0) + rows
        return totals


def parse_progress(progress: Mapping[str, Any]) -> BatchProgress:
    """Turn Spark's progress report into plain data.

    Parameters
    ----------
    progress : mapping
        A ``StreamingQueryProgress`` (it is a dict); needs no JVM.

    Returns
    -------
    BatchProgress
        The same facts with offsets, times and observations decoded.
    """
    sources = tuple(_source(source) for source in progress["sources"])
    operators = progress["stateOperators"]
    rows = progress["numInputRows"]
    return BatchProgress(
        query_id=str(progress["id"]),
        run_id=str(progress["runId"]),
        batch_id=progress["batchId"],
        finished_at=_epoch_seconds(progress["timestamp"]) + progress["batchDuration"] / 1000,
        input_rows=sum(source.input_rows for source in sources) if rows is None else rows,
        rows_dropped_by_watermark=sum(operator["numRowsDroppedByWatermark"] for operator in operators),
        duplicates_dropped=sum(operator["customMetrics"].get(DUPLICATES, 0) for operator in operators),
        phase_ms=dict(progress["durationMs"]),
        watermark=_watermark(progress["eventTime"]),
        sources=sources,
        state_rows=sum(operator["numRowsTotal"] for operator in operators),
        state_memory_bytes=sum(operator["memoryUsedBytes"] for operator in operators),
        observed={name: row.asDict() for name, row in progress["observedMetrics"].items()},
    )


def _source(source: Mapping[str, Any]) -> SourceBatch:
    return SourceBatch(
        description=source["description"],
        input_rows=source["numInputRows"],
        start=_offsets(source["startOffset"]),
        end=_offsets(source["endOffset"]),
        latest=_offsets(source["latestOffset"]),
    )


def _offsets(text: str) -> Offsets | None:
    # An offset that Spark does not know is a Java null, which pyspark hands over as the text "None".
    if text in {"None", "null", ""}:
        return None
    decoded = json.loads(text)
    if not isinstance(decoded, dict):  # a source with a plain counter, such as "rate"
        return None
    return {
        topic: {int(partition): offset for partition, offset in partitions.items()}
        for topic, partitions in decoded.items()
    }


def _watermark(event_time: Mapping[str, str]) -> float | None:
    # Spark reports the epoch itself until the first watermark is known.
    return _epoch_seconds(event_time["watermark"]) or None if "watermark" in event_time else None


def _epoch_seconds(iso8601: str) -> float:
    return datetime.fromisoformat(iso8601).timestamp()


def _split(source: SourceBatch) -> dict[str, int]:
    moved = {
        topic: sum(
            max(0, offset - (source.start or {}).get(topic, {}).get(partition, 0))
            for partition, offset in partitions.items()
        )
        for topic, partitions in (source.end or {}).items()
    }
    shares: dict[str, int] = {}
    rows_left, moved_left = source.input_rows, sum(moved.values())
    for topic, distance in moved.items():
        shares[topic] = round(rows_left * distance / moved_left) if moved_left else 0
        rows_left -= shares[topic]
        moved_left -= distance
    return shares
