from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.app.distinct import Distinct

HASHES = st.integers(0, 2**63 - 1).map(lambda number: 2 * number) | st.integers(0, 20).map(lambda number: number << 58)


@given(st.lists(st.lists(HASHES, max_size=30), max_size=4))
def test_repeated_hashes_are_counted_by_kind_over_all_that_was_added(portions: list[list[int]]) -> None:
    with Distinct() as distinct:
        for portion in portions:
            hashes = np.array(portion, np.uint64)
            distinct.add(hashes, hashes % np.uint64(3) == 0)
        found = distinct.repeated()

    counts = Counter(number for portion in portions for number in portion)
    expected = [sum(n - 1 for number, n in counts.items() if (number % 3 == 0) == kind) for kind in (False, True)]
    assert list(found) == expected
