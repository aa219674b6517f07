"""Instants from the timestamps of records, and which of them are plausible.

Not here: the watermark, which only a stream shows (``tests/spark``).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from detector.pipeline.event_time import EARLIEST_US, LATEST_US, UNPARSED_US, implausible_future, microseconds

SECOND = 1_795_000_000
US = SECOND * 1_000_000


def instant(text: str) -> int:
    """Return microseconds of an ISO instant with an offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("timestamp_format", "stamp", "expected"),
    [
        ("epoch_s", SECOND, US),
        ("epoch_s", SECOND + 0.25, US + 250_000),
        ("epoch_s", -1, -1_000_000),
        ("epoch_ms", SECOND * 1_000 + 7, US + 7_000),
        ("epoch_ms", SECOND * 1_000 + 0.5, US + 500),
        ("epoch_us", US + 3, US + 3),
        ("epoch_ns", US * 1_000 + 999, US),
        ("epoch_ns", -1, -1),
        ("epoch_ns", -(2**63), -(2**63) // 1_000),
        ("epoch_ns", 2**63, 2**63 // 1_000),
        ("epoch_us", EARLIEST_US, EARLIEST_US),
        ("epoch_us", LATEST_US, LATEST_US),
    ],
)
@pytest.mark.parametrize("neighbour", [0, 0.5, 2**70], ids=["int", "fraction", "huge"])
def test_numbers_count_from_1970_in_the_configured_unit_whatever_stands_beside_them(
    timestamp_format, stamp, expected, neighbour
):
    assert microseconds([stamp], timestamp_format, "UTC").tolist() == [expected]
    assert microseconds([stamp, neighbour], timestamp_format, "UTC")[0] == expected


@pytest.mark.parametrize(
    ("timestamp_format", "stamp"),
    [
        ("epoch_us", EARLIEST_US - 1),
        ("epoch_us", LATEST_US + 1),
        ("epoch_s", 10**12),
        ("epoch_ms", 2**64),
        ("epoch_ns", 10**30),
        ("epoch_s", 1e300),
        ("epoch_s", float("inf")),
        ("epoch_s", float("nan")),
        ("epoch_s", "0"),
    ],
)
def test_numbers_outside_the_years_1_to_9999_and_other_types_are_no_timestamps(timestamp_format, stamp):
    assert microseconds([stamp, 0], timestamp_format, "UTC").tolist() == [UNPARSED_US, 0]
    assert microseconds([stamp, 0.0, 1], timestamp_format, "UTC")[0] == UNPARSED_US


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-18T11:06:40Z", US),
        ("2026-11-18T12:06:40+01:00", US),
        ("2026-11-18 11:06:40.000001+00:00", US + 1),
        ("20261118T110640Z", US),
        ("2026-11-18T11:06:40.123456789Z", US + 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", EARLIEST_US),
        ("9999-12-31T23:59:59.999999Z", LATEST_US),
    ],
)
def test_iso_texts_with_an_offset_mean_the_same_in_every_zone(text, expected):
    for zone in ("UTC", "Europe/Berlin", "Pacific/Kiritimati"):
        assert microseconds([text], "iso8601", zone).tolist() == [expected]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-18T25:00:00Z", None, 5, "1795000000"]
)
def test_other_texts_are_no_timestamps(text):
    assert microseconds([text, "1970-01-01T00:00:00Z"], "iso8601", "UTC").tolist() == [UNPARSED_US, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00+00:00"),
        ("2026-12-01T12:00:00", "2026-12-01T11:00:00+00:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),  # twice on the clock: the earlier
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00+00:00"),  # never on the clock: as if it had not been set yet
    ],
)
def test_naive_times_are_read_in_the_configured_zone_also_where_clocks_change(text, expected):
    assert microseconds([text], "iso8601", "Europe/Berlin").tolist() == [instant(expected)]


def test_naive_times_near_the_ends_of_the_calendar_are_no_error():
    out = microseconds(["0001-01-01T00:00:00", "9999-12-31T23:59:59"], "iso8601", "Pacific/Kiritimati")

    assert all(us == UNPARSED_US or EARLIEST_US - 86_400_000_000 <= us <= LATEST_US for us in out.tolist())


def test_only_records_ahead_by_more_than_the_bound_are_implausible():
    kafka = np.full(4, instant("2026-11-22T12:00:00+00:00"))
    ahead = np.array([-(10**15), 0, 5_000_000, 5_000_001])

    assert implausible_future(kafka + ahead, kafka, 5_000_000).tolist() == [False, False, False, True]


def test_no_timestamps_give_an_empty_array_of_microseconds():
    for timestamp_format in ("epoch_ms", "iso8601"):
        out = microseconds([], timestamp_format, "UTC")
        assert (out.dtype, out.shape) == (np.dtype(np.int64), (0,))
