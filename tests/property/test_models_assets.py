"""Invariants of the asset's score over generated scores of sensors.

Not here: examples with known results (``tests/unit/models/test_models_assets.py``).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.assets import score_assets
from models.features import FloatArray

quick = settings(deadline=None, max_examples=50)
some = st.floats(0.0, 1e3)
sensors = st.lists(some | st.just(float("nan")), min_size=1, max_size=30)


def asset_score(scores: list[float] | FloatArray) -> float:
    return float(score_assets(np.asarray(scores), np.zeros(len(scores), np.int64), 3.0).score[0])


@quick
@given(sensors, st.data())
def test_the_score_never_falls_when_that_of_a_sensor_rises(scores: list[float], data: st.DataObject) -> None:
    scores[data.draw(st.integers(0, len(scores) - 1))] = low = data.draw(some)
    higher = [data.draw(st.floats(low, 1e3)) if score == low else score for score in scores]

    assert asset_score(higher) >= asset_score(scores)


@quick
@given(st.lists(some, min_size=1, max_size=30))
def test_the_score_lies_between_the_mean_and_the_highest_of_its_sensors(scores: list[float]) -> None:
    found = asset_score(scores)

    assert found <= max(scores) * (1 + 1e-9)
    assert found >= float(np.mean(scores)) * (1 - 1e-9) - 1e-70


@quick
@given(some)
def test_the_score_of_one_sensor_is_its_own(score: float) -> None:
    assert asset_score([score]) == pytest.approx(score, rel=1e-12, abs=1e-70)


@quick
@given(sensors, st.randoms())
def test_the_order_of_sensors_changes_no_more_than_the_last_digits(scores: list[float], random: st.DataObject) -> None:
    shuffled = list(scores)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert asset_score(shuffled) == pytest.approx(asset_score(scores), rel=1e-12, nan_ok=True)


@quick
@given(sensors, st.integers(1, 5))
def test_sensors_without_a_score_change_nothing(scores: list[float], absent: int) -> None:
    assert asset_score([*scores, *[float("nan")] * absent]) == pytest.approx(asset_score(scores), nan_ok=True)
