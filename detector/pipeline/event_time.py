"""Event time: what a record's timestamp means, whether it is plausible, and the watermark.

A record from the far future would move the watermark there and make every good record after it late, so
it is rejected first. The bound is held against the record's Kafka timestamp and not against the local
clock: a replay then rejects the same records.

Not here: windows (``windows``) and the topic's timestamp type (``detector.kafka.preflight``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from detector.pipeline import columns as c

TimestampFormat = Literal["epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "iso8601"]

EARLIEST_US: Final = -62_135_596_800_000_000  # 0001-01-01, the first instant Spark and Python both hold
LATEST_US: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999
UNSET_CLOCK_US: Final = (0, 365 * 86_400_000_000)  # the year 1970: a clock never set, or a number in another unit
UNPARSED_US: Final = np.iinfo(np.int64).min  # stands for "not a timestamp" in an array of microseconds

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_US: Final = 1_000_000  # microseconds in a second
_PER_SECOND: Final = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}


def microseconds(stamps: Sequence[object], timestamp_format: TimestampFormat, timezone: str) -> NDArray[np.int64]:
    """Turn timestamps as they stand in records into event times.

    Parameters
    ----------
    stamps : sequence of int, float or str, length n
        Numbers for the epoch formats (fractions allowed), text for ISO 8601.
    timestamp_format : {'epoch_s', 'epoch_ms', 'epoch_us', 'epoch_ns', 'iso8601'}
        What the numbers count, or that they are text.
    timezone : str
        IANA zone of ISO timestamps without an offset. Where clocks go back, the earlier instant is meant.

    Returns
    -------
    ndarray of int64, shape (n,)
        Microseconds since 1970; nanoseconds are cut. ``UNPARSED_US`` where the text is no timestamp or
        the instant is outside the years 1 to 9999.
    """
    if timestamp_format == "iso8601":
        return _from_text(stamps, ZoneInfo(timezone))
    return _from_numbers(stamps, _PER_SECOND[timestamp_format])


def _from_text(stamps: Sequence[object], zone: ZoneInfo) -> NDArray[np.int64]:
    out = np.full(len(stamps), UNPARSED_US, np.int64)
    parse: Callable[[str], datetime] = datetime.fromisoformat
    for i, text in enumerate(stamps):
        try:
            instant = parse(text)  # type: ignore[arg-type]  # a wrong type raises TypeError, which is meant
            out[i] = ((instant if instant.tzinfo else instant.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND
        except (TypeError, ValueError, OverflowError):
            continue
    return out


def _from_numbers(stamps: Sequence[object], per_second: int) -> NDArray[np.int64]:
    earliest, latest = EARLIEST_US * per_second // 1_000_000, LATEST_US * per_second // 1_000_000
    try:
        whole = np.array(stamps)
    except (OverflowError, ValueError):
        whole = np.array([], object)
    if whole.dtype == np.int64 and len(whole):
        legal = (whole >= max(earliest, -(2**63))) & (whole <= min(latest, 2**63 - 1))
        kept = np.where(legal, whole, 0)
        scaled = kept // (per_second // _US) if per_second > _US else kept * (_US // per_second)
        return np.where(legal, scaled, UNPARSED_US)
    return np.array([_from_number(stamp, per_second) for stamp in stamps], np.int64)


def _from_number(stamp: object, per_second: int) -> int:
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        return UNPARSED_US
    try:
        us = stamp * 1_000_000 // per_second if isinstance(stamp, int) else round(stamp * (1e6 / per_second))
    except (OverflowError, ValueError):
        return UNPARSED_US
    return us if EARLIEST_US <= us <= LATEST_US else UNPARSED_US


def implausible_future(event_us: NDArray[np.int64], kafka_us: NDArray[np.int64], bound_us: int) -> NDArray[np.bool_]:
    """Tell which records claim an event time more than the bound after Kafka received them.

    Parameters
    ----------
    event_us, kafka_us : ndarray of int64, shape (n,)
        Event time and Kafka timestamp, microseconds since 1970.
    bound_us : int
        How far a device's clock may be ahead, microseconds.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return event_us > kafka_us + bound_us


def with_watermark(records: DataFrame, lateness_seconds: float) -> DataFrame:
    """Declare how late a record may come: the watermark follows the newest event time by that much."""
    return records.withWatermark(c.EVENT_TIME, f"{round(lateness_seconds * 1000)} milliseconds")
