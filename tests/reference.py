"""What windows should be: a plain-Python model with exact arithmetic, one record at a time.

Written from the definitions and not from the code: fractions instead of floating-point sums, lists instead of
aggregation buffers.

Not here: ``duplicates_indicated``, an estimate from hashes (its bounds are tested where it is used).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

US = 1_000_000  # microseconds in a second

WindowKey: TypeAlias = tuple[int, str, str]  # start (microseconds since 1970), asset, sensor


@dataclass(frozen=True)
class Record:
    """A valid record as decoding leaves it; times in microseconds since 1970."""

    asset: str
    sensor: str
    event_us: int
    reading: float
    partition: int = 0
    offset: int = 0
    kafka_us: int = 0
    topic: str = "plant"
    unit: str | None = None
    out_of_range: bool = False


@dataclass(frozen=True)
class Shape:
    """Length and slide of windows and the lateness of records, seconds."""

    length: float
    slide: float
    lateness: float = 0.0

    def starts(self, event_us: int) -> list[int]:
        """Return the starts of all windows that hold an instant."""
        length, slide = round(self.length * US), round(self.slide * US)
        last = event_us // slide * slide
        return [start for start in range(last, last - length, -slide) if start + length > event_us]

    def end(self, start: int) -> int:
        """Return the end of the window with this start."""
        return start + round(self.length * US)


def batch_windows(records: Iterable[Record], shape: Shape) -> dict[WindowKey, dict[str, Any]]:
    """Return all windows of a finite set of records, whatever its order."""
    held: dict[WindowKey, list[Record]] = defaultdict(list)
    for record in records:
        for start in shape.starts(record.event_us):
            held[start, record.asset, record.sensor].append(record)
    return {key: statistics(key[0], inside) for key, inside in held.items()}


def stream_windows(
    batches: Sequence[Sequence[Record]], shape: Shape
) -> tuple[dict[WindowKey, dict[str, Any]], list[tuple[WindowKey, Record]]]:
    """Return the windows that a stream of micro-batches has emitted at its end, and the records it left out.

    The watermark of micro-batch k is the newest event time of all batches before it less the lateness. Batch k
    leaves a record out of a window that ended by the watermark of batch k - 1, since that one was emitted then;
    a window leaves once the watermark has reached its end.
    """
    held: dict[WindowKey, list[Record]] = defaultdict(list)
    late: list[tuple[WindowKey, Record]] = []
    watermarks = [0]
    for k, batch in enumerate(batches):
        closed = watermarks[max(0, k - 1)]
        for record in batch:
            for start in shape.starts(record.event_us):
                key = (start, record.asset, record.sensor)
                if shape.end(start) <= closed:
                    late.append((key, record))
                else:
                    held[key].append(record)
        newest = max((record.event_us for record in batch), default=0)
        watermarks.append(max(watermarks[-1], (newest // 1000) * 1000 - round(shape.lateness * US)))
    emitted = {key: statistics(key[0], inside) for key, inside in held.items() if shape.end(key[0]) <= watermarks[-1]}
    return emitted, late


def statistics(start: int, records: Sequence[Record]) -> dict[str, Any]:
    """Return the statistics of one window, by the names of its columns."""
    ordered = sorted(records, key=lambda record: (record.event_us, record.partition, record.offset))
    readings = [Fraction(record.reading) for record in ordered]
    seconds = [Fraction(record.event_us - start, US) for record in ordered]
    n = len(ordered)
    units = {record.unit for record in ordered}
    return {
        "count": n,
        "mean": float(sum(readings) / n),
        "std": math.sqrt(_moment(readings, readings) / (n - 1)) if n > 1 else 0.0,
        "min": float(min(readings)),
        "max": float(max(readings)),
        "first": ordered[0].reading,
        "last": ordered[-1].reading,
        "slope": _slope(seconds, readings),
        "unit": units.pop() if len(units) == 1 else None,
        "unit_conflict": len({record.unit for record in ordered}) > 1,
        "partition_min": min(record.partition for record in ordered),
        "partition_max": max(record.partition for record in ordered),
        "offset_min": min(record.offset for record in ordered),
        "offset_max": max(record.offset for record in ordered),
        "kafka_timestamp_max": max(record.kafka_us for record in ordered),
        "out_of_range": sum(record.out_of_range for record in ordered),
        "topics": {record.topic for record in ordered},
    }


def repeated(records: Sequence[Record]) -> int:
    """Return how many records repeat the event time and reading of another one of the same sensor."""
    return len(records) - len({(r.asset, r.sensor, r.event_us, r.reading) for r in records})


def without_repeats(records: Iterable[Record]) -> list[Record]:
    """Keep the first of the records with the same asset, sensor, event time and reading."""
    kept: Mapping[tuple[str, str, int, float], Record] = {
        (r.asset, r.sensor, r.event_us, r.reading): r for r in reversed(list(records))
    }
    return list(kept.values())


def _moment(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """Return the sum of products of the deviations from the means."""
    n = len(left)
    mean_left, mean_right = sum(left) / Fraction(n), sum(right) / Fraction(n)
    return sum(((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True)), Fraction(0))


def _slope(seconds: Sequence[Fraction], readings: Sequence[Fraction]) -> float:
    spread = _moment(seconds, seconds)
    return float(_moment(seconds, readings) / spread) if spread else 0.0


def unpack_unit(high: int, low: int) -> str | None:
    """Return the unit that `pack_unit` packed."""
    raw = high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
    return raw.rstrip(b"\0").decode() or None
