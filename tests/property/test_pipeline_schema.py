"""Invariants of the fixed-width codes of records and units.

Not here: examples with known results (``tests/unit/pipeline``).
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.pipeline.event_time import EARLIEST_US, LATEST_US
from detector.pipeline.schema import OFFSET_BITS, UNIT_BYTES, pack_unit, record_order
from tests.reference import unpack_unit

quick = settings(deadline=None, max_examples=60)

places = st.tuples(
    st.one_of(st.integers(EARLIEST_US, LATEST_US), st.integers(-2, 2)),
    st.integers(0, 2**17 - 1),
    st.integers(0, 2**OFFSET_BITS - 1),
)


def orders(found: list[tuple[int, int, int]]) -> list[int]:
    """Return the record orders of (event time, partition, offset) tuples."""
    event, partition, offset = zip(*found, strict=True)
    packed = record_order(np.array(event, np.int64), np.array(partition, np.int32), np.array(offset, np.int64))
    return [int(number) for number in packed.to_pylist()]


@quick
@given(st.lists(places, min_size=2, max_size=20))
def test_record_orders_compare_as_event_time_then_partition_then_offset(found):
    packed = orders(found)

    assert sorted(range(len(found)), key=packed.__getitem__) == sorted(range(len(found)), key=found.__getitem__)
    assert len(set(packed)) == len(set(found))


@quick
@given(st.lists(places, min_size=1, max_size=20))
def test_record_orders_fit_into_38_decimal_digits(found):
    assert all(abs(number) < 10**38 for number in orders(found))


@quick
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=24))
def test_a_unit_comes_back_as_its_longest_prefix_of_whole_characters_within_16_bytes(unit):
    prefixes = [unit[:n] for n in range(len(unit) + 1)]
    longest = max((prefix for prefix in prefixes if len(prefix.encode()) <= UNIT_BYTES), key=len)

    assert unpack_unit(*pack_unit(unit)) == (longest or None)
