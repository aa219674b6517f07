from __future__ import annotations

from typing import Any

from detector.app.rejects import reject_blocks, reject_counts
from detector.pipeline.decode import REJECT_REASONS


def test_the_counts_of_a_batch_name_every_reason() -> None:
    observed: dict[str, Any] = {"bad_json": 3, "too_large": None, "newest_record": 1.0}

    assert reject_counts(observed) == {**dict.fromkeys(REJECT_REASONS, 0), "bad_json": 3}


def test_a_batch_without_an_observation_has_no_rejects() -> None:
    assert set(reject_counts({}).values()) == {0}
    assert reject_blocks({}) == []
    assert reject_blocks({"blocks": None}) == []
