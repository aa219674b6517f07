"""The skew of a backlog covers everything that is unread, whenever each partition has been read to the same share."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.pipeline.backlog import INTERVALS, Place, Span, event_time_skew, places

HOUR = 3600.0


def sampled(times: Sequence[float]) -> list[Span | None]:
    """Return samples of one record each, and of the last one."""
    at = [min(place, len(times) - 1) for place in places(0, len(times))]
    return [(times[place], times[place]) for place in at]


def line(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * number / count for number in range(count)]


def worst(backlogs: Sequence[Sequence[float]], batches: int) -> float:
    """Read the same share of each partition a batch, as Spark does, and return how old an unread record gets."""
    found = 0.0
    for batch in range(1, batches):
        read = [len(times) * batch // batches for times in backlogs]
        newest = max((times[count - 1] for times, count in zip(backlogs, read, strict=True) if count), default=0.0)
        unread = [times[count] for times, count in zip(backlogs, read, strict=True) if count < len(times)]
        found = max(found, newest - min(unread)) if any(read) else found
    return found


@given(
    partitions=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(1, 500)), min_size=1, max_size=5),
    batches=st.integers(2, 60),
)
def test_no_unread_record_is_ever_older_than_the_skew_allows(
    partitions: list[tuple[float, float, int]], batches: int
) -> None:
    backlogs = [line(start, start + span, count) for start, span, count in partitions]
    samples: dict[Place, list[Span | None]] = {("t", p): sampled(times) for p, times in enumerate(backlogs)}
    assert event_time_skew(samples) >= worst(backlogs, batches) - 1e-6


def test_two_partitions_an_hour_apart_need_an_hour_and_a_little() -> None:
    samples: dict[Place, list[Span | None]] = {
        ("t", 0): sampled(line(0, HOUR, 7_200)),
        ("t", 1): sampled(line(HOUR, 2 * HOUR, 7_200)),
    }
    assert HOUR < event_time_skew(samples) < 1.1 * HOUR


def test_partitions_side_by_side_need_little() -> None:
    samples: dict[Place, list[Span | None]] = {("t", p): sampled(line(0, HOUR, 7_200)) for p in range(4)}
    assert event_time_skew(samples) == pytest.approx(HOUR / INTERVALS, rel=0.1)


def test_what_does_not_decode_says_nothing_and_a_backlog_of_it_has_no_skew() -> None:
    nothing: list[Span | None] = [None] * (INTERVALS + 1)
    assert event_time_skew({("t", 0): nothing}) == 0
    assert event_time_skew({}) == 0
    assert event_time_skew({("t", 0): nothing, ("t", 1): sampled(line(0, HOUR, 100))}) > 0


def test_places_are_in_order_from_the_first_record_to_the_end() -> None:
    assert places(100, 100 + INTERVALS) == list(range(100, 101 + INTERVALS))
    assert places(5, 6)[0] == 5
    assert places(5, 6)[-1] == 6
