"""Medians, percentiles and tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Spread, Table, percentiles


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_the_median_lies_between_the_lowest_and_the_highest(values):
    assert min(values) <= Spread(tuple(values)).median <= max(values)


def test_a_spread_is_written_with_its_lowest_and_highest():
    assert Spread((300_000.0, 310_000.0, 250_000.0)).text() == "300,000 (250,000 to 310,000)"
    assert Spread((1.25,)).text(1) == "1.2"


def test_nothing_measured_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no measurement"):
        Spread(())
    with pytest.raises(ValueError, match="no measurement"):
        percentiles([], (50,))


def test_percentiles_of_a_hundred_steps_are_the_steps():
    assert percentiles(list(range(101)), (50, 95, 99)) == (50.0, 95.0, 99.0)


def test_a_table_is_markdown_with_its_notes_below():
    table = Table("Speed", ("what", "records/s"), (("a | b", "1"), ("c", "2")), ("Warm.",))
    assert table.markdown() == (
        "### Speed\n\n| what | records/s |\n| --- | ---: |\n| a \\| b | 1 |\n| c | 2 |\n\n- Warm.\n"
    )
