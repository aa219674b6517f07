"""When windows from Spark agree with the plain-Python reference, and with each other.

Not here: the reference itself (``tests/reference.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from detector.pipeline import columns as c
from detector.pipeline.schema import topic_id
from tests.reference import WindowKey

SUMS = (c.MEAN, c.STD, c.SLOPE)  # depend on the order of additions in the last digits
PLACES = (c.PARTITION_MIN, c.PARTITION_MAX, c.OFFSET_MIN, c.OFFSET_MAX, c.KAFKA_TIMESTAMP_MAX)
EXACT = (c.COUNT, c.MIN, c.MAX, c.FIRST, c.LAST, c.UNIT, c.UNIT_CONFLICT, c.OUT_OF_RANGE)


def assert_agree(
    found: Mapping[WindowKey, Mapping[str, Any]],
    expected: Mapping[WindowKey, Mapping[str, Any]],
    *,
    places: bool = True,
) -> None:
    """Assert that both have the same windows and statistics: sums within 1e-9 relative, all else exactly.

    `places` leaves out partitions, offsets and topics, which are those of any one of some repeated records.
    """
    assert set(found) == set(expected)
    for key, want in expected.items():
        have = found[key]
        scale = abs(want["max"] - want["min"])
        for name in SUMS:
            # a deviation or slope near zero is compared with the spread it was taken from
            assert have[name] == pytest.approx(want[name], rel=1e-9, abs=1e-9 * scale), (key, name)
        names = [*EXACT, *PLACES] if places else EXACT
        assert {name: have[name] for name in names} == {name: want[name] for name in names}, key
        if places:
            codes = {topic_id(topic) for topic in want["topics"]}
            assert (have[c.TOPIC_ID_MIN], have[c.TOPIC_ID_MAX]) == (min(codes), max(codes))


def assert_same(one: Mapping[WindowKey, Mapping[str, Any]], other: Mapping[WindowKey, Mapping[str, Any]]) -> None:
    """Assert that two computations on Spark gave the same windows: sums within 1e-9 relative, all else exactly."""
    assert set(one) == set(other)
    for key, want in one.items():
        scale = abs(want[c.MAX] - want[c.MIN])
        for name, value in want.items():
            close = pytest.approx(value, rel=1e-9, abs=1e-9 * scale) if name in SUMS else value
            assert other[key][name] == close, (key, name)
