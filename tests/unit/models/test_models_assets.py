"""The score of an asset from the scores of its sensors.

Not here: invariants over generated scores (``tests/property/test_models_assets.py``), alerts that carry it
(``tests/unit/pipeline``).
"""

from __future__ import annotations

import numpy as np
import pytest

from models.assets import score_assets
from models.features import FloatArray

NAN = float("nan")


def one_asset(*scores: float, threshold: float = 3.0) -> tuple[float, int, int]:
    found = score_assets(np.array(scores), np.zeros(len(scores), np.int64), threshold)
    return float(found.score[0]), int(found.sensors[0]), int(found.deviating[0])


def test_an_asset_of_one_sensor_has_its_score():
    assert one_asset(4.25) == (pytest.approx(4.25), 1, 1)


def test_one_deviating_sensor_of_many_counts_more_than_in_a_mean_and_less_than_alone():
    score, sensors, deviating = one_asset(9.0, *[0.3] * 19)

    assert 2 * (9.0 + 19 * 0.3) / 20 < score < 9.0 / 2
    assert (sensors, deviating) == (20, 1)


def test_several_deviating_sensors_outweigh_a_single_one():
    assert one_asset(5.0, 5.0, 5.0, 0.0)[0] > one_asset(5.0, 0.0, 0.0, 0.0)[0]


def test_sensors_without_a_score_are_left_out():
    assert one_asset(2.0, NAN, NAN) == (pytest.approx(2.0), 1, 0)


def test_an_asset_none_of_whose_sensors_has_a_score_has_none():
    score, sensors, deviating = one_asset(NAN, NAN)

    assert np.isnan(score)
    assert (sensors, deviating) == (0, 0)


def test_a_sensor_at_the_threshold_deviates():
    assert one_asset(3.0, np.nextafter(3.0, 0.0))[2] == 1


def test_groups_do_not_mix_whatever_the_order_of_rows():
    score: FloatArray = np.array([1.0, 7.0, 2.0, NAN, 7.0])
    found = score_assets(score, np.array([0, 2, 0, 1, 2]), 3.0)

    assert found.score[0] == one_asset(1.0, 2.0)[0]
    assert np.isnan(found.score[1])
    assert found.score[2] == pytest.approx(7.0)
    assert found.sensors.tolist() == [2, 0, 2]
    assert found.deviating.tolist() == [0, 0, 2]


def test_no_windows_are_no_assets():
    assert len(score_assets(np.empty(0), np.empty(0, np.int64), 3.0).score) == 0
