from __future__ import annotations

from math import inf

from detector.pipeline.skew import newest_and_skew


def test_the_skew_is_how_far_the_last_partition_of_a_batch_is_behind_the_newest_so_far() -> None:
    assert newest_and_skew({"newest_0": 90_000_000, "newest_1": 30_000_000, "newest_2": None}, -inf) == (90.0, 60.0)
    assert newest_and_skew({"newest_0": None, "newest_1": 40_000_000, "newest_2": None}, 90.0) == (90.0, 50.0)


def test_a_batch_that_reads_nothing_has_no_skew() -> None:
    assert newest_and_skew({"newest_0": None, "newest_1": None}, 90.0) == (90.0, 0.0)
    assert newest_and_skew({}, -inf) == (-inf, 0.0)
