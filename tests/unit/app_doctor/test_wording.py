"""Numbers as people say them."""

from __future__ import annotations

import pytest

from detector.app.doctor.wording import counted, names, size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "4 ms"),
        (1.26, "1.3 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7_199, "119 minutes"),
        (7_200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
    ],
)
def test_a_length_of_time_is_told_in_a_unit_that_counts_at_least_two(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (1_536, "1.5 KiB"), (1 << 25, "32 MiB"), (1 << 42, "4.0 TiB")]
)
def test_a_size_is_told_in_its_largest_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_of_many_names_the_first_are_listed() -> None:
    assert names(["a", "b"]) == "a, b"
    assert names([str(number) for number in range(1_007)]) == "0, 1, 2, 3, 4 and 1,002 more"


def test_nouns_have_their_plurals() -> None:
    assert [counted(1, "copy"), counted(2, "copy"), counted(1_000, "record")] == ["1 copy", "2 copies", "1,000 records"]
