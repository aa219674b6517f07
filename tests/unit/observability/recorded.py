"""Progress of real runs of Spark 4.2 on a Kafka topic, shortened to what is read from it."""

from __future__ import annotations

from typing import Any

from pyspark.sql.streaming.listener import StreamingQueryProgress

QUERY_ID = "59025715-fd89-4dd3-b086-ddc7698c9468"
RUN_ID = "301c0dcd-f584-40be-a63d-a3fe7e3e3526"

_STATE = {
    "operatorName": "stateStoreSave",
    "numRowsUpdated": 50,
    "allUpdatesTimeMs": 10,
    "numRowsRemoved": 0,
    "allRemovalsTimeMs": 4,
    "commitTimeMs": 124,
    "numShufflePartitions": 1,
    "numStateStoreInstances": 1,
}
_RATES = {"inputRowsPerSecond": 100.0, "processedRowsPerSecond": 54.4}

# The first batch of a checkpoint: Spark knows neither a start offset nor a watermark.
FIRST_BATCH: dict[str, Any] = {
    "id": QUERY_ID,
    "runId": RUN_ID,
    "name": "tidemark",
    "timestamp": "2026-11-22T16:17:11.200Z",
    "batchId": 0,
    "batchDuration": 7462,
    "numInputRows": 200,
    **_RATES,
    "durationMs": {"addBatch": 5757, "commitOffsets": 59, "latestOffset": 671, "triggerExecution": 7453},
    "eventTime": {
        "avg": "2023-11-14T22:15:00.000Z",
        "max": "2023-11-14T22:16:39.000Z",
        "min": "2023-11-14T22:13:21.000Z",
        "watermark": "1970-01-01T00:00:00.000Z",
    },
    "stateOperators": [
        {**_STATE, "numRowsTotal": 100, "memoryUsedBytes": 4340, "numRowsDroppedByWatermark": 0},
    ],
    "sources": [
        {
            "description": "KafkaV2[Subscribe[sensors]]",
            "startOffset": None,
            "endOffset": {"sensors": {"0": 100, "1": 100}},
            "latestOffset": {"sensors": {"0": 100, "1": 100}},
            "numInputRows": 200,
            **_RATES,
        },
    ],
    "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
    "observedMetrics": {"intake": {"records": 200, "bad_json": 20, "parts": [0, 1]}},
}

# A later, rate-limited batch of two stateful operators.
LATER_BATCH: dict[str, Any] = {
    **FIRST_BATCH,
    "timestamp": "2026-11-22T16:17:24.000Z",
    "batchId": 2,
    "batchDuration": 1837,
    "numInputRows": 100,
    "durationMs": {"addBatch": 1625, "triggerExecution": 1836},
    "eventTime": {"watermark": "2023-11-14T22:16:34.000Z"},
    "stateOperators": [
        {**_STATE, "numRowsTotal": 55, "memoryUsedBytes": 15636, "numRowsDroppedByWatermark": 3},
        {
            **_STATE,
            "operatorName": "dedupe",
            "numRowsTotal": 2,
            "memoryUsedBytes": 1000,
            "numRowsDroppedByWatermark": 1,
            "customMetrics": {"numDroppedDuplicateRows": 7, "rocksdbGetCount": 12},
        },
    ],
    "sources": [
        {
            "description": "KafkaV2[Subscribe[sensors]]",
            "startOffset": {"sensors": {"0": 100, "1": 100}},
            "endOffset": {"sensors": {"0": 150, "1": 150}},
            "latestOffset": {"sensors": {"0": 170, "1": 150}},
            "numInputRows": 100,
            **_RATES,
        },
    ],
    "observedMetrics": {"intake": {"records": 100, "bad_json": None, "parts": []}},
}


def report(batch: dict[str, Any], **changes: Any) -> StreamingQueryProgress:
    """Build what Spark hands to a listener, without a JVM."""
    return StreamingQueryProgress.fromJson({**batch, **changes})


def source(**changes: Any) -> dict[str, Any]:
    """Build a source of `LATER_BATCH` with other values."""
    return {**LATER_BATCH["sources"][0], **changes}
