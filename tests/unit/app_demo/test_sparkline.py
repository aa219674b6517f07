from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.app.demo.sparkline import BLOCKS, Scale, decimals

values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@settings(max_examples=50)
@given(values, values)
def test_every_value_that_is_shown_has_a_block(past: list[float], shown: list[float]) -> None:
    scale = Scale.of(past, shown)
    assert {scale.sign(value) for value in shown} <= set(BLOCKS)


def test_the_extremes_that_are_shown_have_the_outermost_blocks() -> None:
    scale = Scale.of([0, 1, 2, 3], [0, 1, 2, 3])
    assert "".join(scale.sign(value) for value in (0, 1, 2, 3)) == "▁▃▅▇"


def test_a_little_noise_within_a_wide_past_stays_in_the_middle() -> None:
    scale = Scale.of(list(range(100)), [50.0, 50.5, 49.5])
    assert {scale.sign(value) for value in (50.0, 50.5, 49.5)} <= set(BLOCKS[2:5])


def test_a_constant_is_a_line_of_middle_height() -> None:
    assert Scale.of([5.0], [5.0]).sign(5.0) == BLOCKS[3]


def test_a_sensor_has_as_many_decimals_as_give_four_digits() -> None:
    assert [decimals([value]) for value in (1480.0, 62.1, 6.2, 0.004, 0.0)] == [0, 2, 3, 3, 1]
    assert decimals([-999.0, 1.0]) == 1
