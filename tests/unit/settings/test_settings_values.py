from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.settings.values import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1h30m", 5_400_000),
        ("1s500ms", 1_500),
        ("90m", 5_400_000),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_with_its_units(text, milliseconds):
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("text", ["", "s", "1.5h", "-1s", "10 s", "1x", "1h30", "30m1h", "1m1m", "1sec", "٣s x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="write"):
        parse_duration(text)


def test_a_bare_number_is_refused_with_the_right_form():
    with pytest.raises(ValueError, match=r"'10' has no unit; write 10s"):
        parse_duration("10")


def test_an_absurdly_long_duration_is_refused_and_does_not_overflow():
    with pytest.raises(ValueError, match="longest allowed"):
        parse_duration("9" * 40 + "d")


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=3650 * 86_400_000))
def test_every_duration_survives_being_written_and_read(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=1 << 50))
def test_every_size_survives_being_written_and_read(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(("text", "size"), [("1MiB", 1 << 20), ("64KiB", 65_536), ("2 GiB", 1 << 31), ("5B", 5)])
def test_a_size_is_read_with_its_unit(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1024", "1MB", "1kb", "1.5MiB", "-1B", ""])
def test_a_size_without_a_clear_unit_is_refused(text):
    with pytest.raises(ValueError, match="1MiB"):
        parse_size(text)
