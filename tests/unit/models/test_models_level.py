from __future__ import annotations

import numpy as np
import pytest

from models.detectors import Level
from models.features import WINDOW_FEATURES
from tests.unit.models.synthetic import features_of, history_of

NO_LAGS = np.empty((1, 0))


def test_a_deviation_of_three_scaled_mads_scores_three() -> None:
    means = np.array([[9.0, 10.0, 11.0] * 10])  # median 10, median absolute deviation 1
    parameters = Level().fit(history_of(means))

    scores = Level().score(parameters, features_of(np.array([10.0 + 3 * 1.4826])), NO_LAGS)

    assert scores.raw[0] == pytest.approx(3.0)
    assert scores.expected[0] == pytest.approx(10.0)
    assert scores.scale[0] == pytest.approx(1.4826)


def test_the_statistic_that_deviates_most_is_named() -> None:
    rng = np.random.default_rng(1)
    means, spread = rng.normal(size=(1, 200)), 1 + 0.1 * rng.normal(size=(1, 200))
    parameters = Level().fit(history_of(means, spread))
    window = features_of(np.zeros(1))
    window[0, WINDOW_FEATURES.column("max")] = 40.0

    assert Level().score(parameters, window, NO_LAGS).statistic[0] == WINDOW_FEATURES.column("max")


def test_a_sensor_that_is_mostly_constant_falls_back_on_the_mean_deviation() -> None:
    means = np.array([[0.0] * 80 + [1.0] * 20])
    parameters = Level().fit(history_of(means))

    assert parameters["scale"][0, 0] == pytest.approx(1.2533 * 0.2)


def test_outliers_in_training_hardly_widen_the_scale() -> None:
    means = np.random.default_rng(2).normal(size=(1, 400))
    clean = Level().fit(history_of(means))["scale"][0, 0]
    means[0, :20] = 1e6

    assert Level().fit(history_of(means))["scale"][0, 0] < 1.2 * clean


def test_a_window_whose_deviation_is_missing_is_judged_by_its_other_statistics() -> None:
    parameters = Level().fit(history_of(np.random.default_rng(3).normal(size=(1, 100))))
    window = features_of(np.array([50.0]))
    window[0, WINDOW_FEATURES.column("std")] = np.nan

    assert Level().score(parameters, window, NO_LAGS).raw[0] > 10


def test_a_sensor_with_too_few_windows_is_not_fitted() -> None:
    assert np.isnan(Level().fit(history_of(np.arange(7.0)[None]))["scale"]).all()


def test_a_stuck_sensor_is_as_surprising_as_a_much_noisier_one() -> None:
    rng = np.random.default_rng(3)
    history = history_of(20 + rng.normal(0, 0.3, (1, 400)), spread=1 + rng.normal(0, 0.2, (1, 400)))
    parameters = Level().fit(history)
    raw = {
        name: Level().score(parameters, features_of(np.array([20.0]), std), NO_LAGS).raw[0]
        for name, std in {"usual": 1.0, "stuck": 0.0, "noisy": 5.0}.items()
    }
    assert raw["usual"] < 1
    assert raw["noisy"] > 6
    assert raw["stuck"] > raw["noisy"]


def test_a_window_of_one_record_has_no_deviation_to_compare() -> None:
    history = history_of(np.full((1, 100), 20.0) + np.random.default_rng(3).normal(0, 1, (1, 100)), spread=1.0)
    one = features_of(np.array([20.0]), 0.0)
    one[:, WINDOW_FEATURES.column("count")] = 1
    assert Level().score(Level().fit(history), one, NO_LAGS).raw[0] < 1
