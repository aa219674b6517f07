"""What is late: the vectorised rule against the definition, window by window.

Not here: that it is Spark's rule too (``tests/spark/test_lateness_on_spark.py``).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.pipeline.lateness import NO_WATERMARK_US, lateness, watermark_us, window_ends
from detector.pipeline.windows import WindowSpec
from tests.reference import US, Shape

SHAPES = st.sampled_from([(10.0, 10.0), (12.0, 4.0), (0.3, 0.1), (3600.0, 60.0)])
TIMES = st.integers(-100 * US, 100 * US) | st.integers(-10, 10).map(lambda seconds: seconds * US)
TUMBLING = WindowSpec(10, 10)


def spec(shape: tuple[float, float]) -> WindowSpec:
    return WindowSpec(*shape)


def judged(event_us: int, closed_until_us: int, shape: WindowSpec) -> tuple[bool, bool]:
    found = lateness(np.array([event_us], np.int64), closed_until_us, shape)
    return bool(found.late[0]), bool(found.partly[0])


@given(st.lists(TIMES, max_size=20), TIMES, SHAPES)
def test_a_record_is_late_if_all_of_its_windows_were_closed_and_partly_if_some_were(
    times: list[int], closed_until_us: int, shape: tuple[float, float]
) -> None:
    found = lateness(np.array(times, np.int64), closed_until_us, spec(shape))

    reference = Shape(*shape)
    closed = [[reference.end(start) <= closed_until_us for start in reference.starts(at)] for at in times]
    assert found.late.tolist() == [all(each) for each in closed]
    assert found.partly.tolist() == [any(each) and not all(each) for each in closed]


@given(st.lists(TIMES, max_size=20), SHAPES)
def test_the_first_and_the_last_end_are_those_of_the_windows_that_hold_the_record(
    times: list[int], shape: tuple[float, float]
) -> None:
    first, last = window_ends(np.array(times, np.int64), spec(shape))

    reference = Shape(*shape)
    ends = [[reference.end(start) for start in reference.starts(at)] for at in times]
    assert first.tolist() == [min(each) for each in ends]
    assert last.tolist() == [max(each) for each in ends]


@given(st.lists(st.tuples(TIMES, TIMES), max_size=20), SHAPES)
def test_each_record_may_have_a_watermark_of_its_own(pairs: list[tuple[int, int]], shape: tuple[float, float]) -> None:
    times, closed = np.array(pairs, np.int64).reshape(-1, 2).T

    found = lateness(times, closed, spec(shape))

    assert list(zip(*found, strict=True)) == [judged(at, until, spec(shape)) for at, until in pairs]


@given(st.lists(TIMES, max_size=20), TIMES, SHAPES)
def test_with_deduplication_a_record_is_held_against_the_watermark_itself(
    times: list[int], closed_until_us: int, shape: tuple[float, float]
) -> None:
    found = lateness(np.array(times, np.int64), closed_until_us, WindowSpec(*shape, dedup="within_window"))

    assert found.late.tolist() == [at <= closed_until_us for at in times]
    assert not found.partly.any()


@pytest.mark.parametrize(("closed", "late"), [(20 * US - 1, False), (20 * US, True)])
def test_a_window_is_closed_when_the_watermark_has_reached_its_end(closed: int, late: bool) -> None:  # noqa: FBT001
    assert judged(15 * US, closed, TUMBLING) == (late, False)


def test_before_there_is_a_watermark_only_windows_before_1970_are_closed() -> None:
    assert watermark_us(None) == NO_WATERMARK_US
    assert judged(0, NO_WATERMARK_US, TUMBLING) == (False, False)
    assert judged(-1, NO_WATERMARK_US, TUMBLING) == (True, False)


@given(st.integers(0, 4 * 10**12))
def test_a_watermark_in_milliseconds_survives_its_way_as_seconds(milliseconds: int) -> None:
    assert watermark_us(milliseconds / 1000) == milliseconds * 1000
