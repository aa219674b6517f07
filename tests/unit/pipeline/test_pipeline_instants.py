"""Instants as text."""

from __future__ import annotations

from detector.pipeline.instants import iso, iso_of_us


def test_an_instant_is_iso_8601_in_utc_with_a_fraction_only_where_it_has_one() -> None:
    assert iso(1_795_000_000.0) == iso_of_us(1_795_000_000_000_000) == "2026-11-18T11:06:40Z"
    assert iso(1_795_000_000.25) == iso_of_us(1_795_000_000_250_000) == "2026-11-18T11:06:40.250000Z"


def test_instants_before_1970_and_up_to_the_year_9999_can_be_rendered() -> None:
    assert iso_of_us(-1) == "1969-12-31T23:59:59.999999Z"
    assert iso_of_us(253_402_300_799_999_999) == "9999-12-31T23:59:59.999999Z"
