"""Alerts and summaries become the bytes that leave the executors.

Not here: what they say (``alerts``), sending them (``detector.kafka.alert_sink``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

CONTENT_TYPE: Final = b"application/json"


class BucketSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one bucket did in one micro-batch; feeds metrics, never published.

    Attributes
    ----------
    windows_scored : int
        Windows that got a score.
    windowed_records : int
        Records in the windows that closed, once a window.
    sensors, sensors_learning : int
        Sensors the bucket knows, and those of them without a model.
    incidents_open : dict of str to int
        Open incidents by severity, after the batch.
    openings_held_back : int
        Openings beyond the cap of a bucket.
    score_seconds : float
        Time spent in the models.
    """

    windows_scored: int
    windowed_records: int
    sensors: int
    sensors_learning: int
    incidents_open: dict[str, int]
    openings_held_back: int
    score_seconds: float


def alert_key(alert: Mapping[str, Any]) -> bytes:
    """Return the Kafka key: the subject of the incident, so that its alerts keep their order."""
    return f"{alert['asset_id']}/{alert['sensor_id']}".encode()


def alert_value(alert: Mapping[str, Any]) -> bytes:
    """Return the Kafka value: the alert as JSON."""
    return msgspec.json.encode(alert)


def alert_headers(alert_id: str, event: str, severity: str) -> list[tuple[str, bytes]]:
    """Return the Kafka headers, for consumers that filter without parsing."""
    return [
        ("content-type", CONTENT_TYPE),
        ("alert_id", alert_id.encode()),
        ("event", event.encode()),
        ("severity", severity.encode()),
    ]


def summary_value(summary: BucketSummary) -> bytes:
    """Encode a summary for the driver."""
    return msgspec.json.encode(summary)


def read_summary(value: bytes) -> BucketSummary:
    """Decode what `summary_value` encoded."""
    return msgspec.json.decode(value, type=BucketSummary)
