from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from models.detectors import Autoregression
from models.detectors.autoregression import MAX_CARRIED, ORDER, RIDGE, carry_forward
from models.features import FloatArray
from tests.unit.models.synthetic import features_of, history_of, machine_means

AR = Autoregression()


def lags_at(means: FloatArray, step: int) -> FloatArray:
    """Return the lags of all sensors before `step`."""
    return means[:, step - AR.lags : step]


def test_the_coefficients_are_those_of_scikit_learns_ridge() -> None:
    means = machine_means(1, 400)
    parameters = AR.fit(history_of(means))
    z = (means[0] - np.median(means[0])) / means[0].std()
    past = np.lib.stride_tricks.sliding_window_view(z, ORDER)[:-1]
    last = past[:, -1:]
    design = np.concatenate([past[:, :-1] - last, last, np.ones_like(last)], axis=1)

    reference = Ridge(alpha=RIDGE, fit_intercept=False).fit(design, z[ORDER:] - last[:, 0])

    np.testing.assert_allclose(parameters["coefficients"][0], reference.coef_, rtol=1e-5, atol=1e-7)


def test_the_expected_value_is_the_ridge_prediction_in_the_sensors_unit() -> None:
    means = machine_means(1, 400)
    parameters = AR.fit(history_of(means))
    coefficients = parameters["coefficients"][0].astype(float)
    z = (means[0] - parameters["location"]) / parameters["scale"]
    past = z[300 - ORDER : 300]
    increment = coefficients[:-2] @ (past[:-1] - past[-1]) + coefficients[-2] * past[-1] + coefficients[-1]

    scores = AR.score(parameters, features_of(means[:, 300]), lags_at(means, 300))

    expected = means[0, 299] + parameters["scale"][0] * increment
    assert scores.expected[0] == pytest.approx(expected, rel=1e-9)
    assert scores.raw[0] * scores.scale[0] == pytest.approx(abs(means[0, 300] - expected), rel=1e-6)


def test_a_short_history_is_shrunk_towards_the_random_walk() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=(1, 6 * ORDER)), axis=1)
    parameters = AR.fit(history_of(walk))
    expected = AR.score(parameters, features_of(walk[:, -1]), lags_at(walk, 6 * ORDER - 1)).expected

    assert abs(expected[0] - walk[0, -2]) < walk.std()
    assert np.abs(parameters["coefficients"]).max() < 0.3


def test_a_cycle_that_is_foretold_scores_less_than_a_break_of_it() -> None:
    cycle = np.sin(np.arange(600) / 5.0)[None] + 0.01 * np.random.default_rng(0).normal(size=(1, 600))
    parameters = AR.fit(history_of(cycle[:, :400]))

    usual = AR.score(parameters, features_of(cycle[:, 500]), lags_at(cycle, 500)).raw[0]
    broken = AR.score(parameters, features_of(cycle[:, 500] + 0.5), lags_at(cycle, 500)).raw[0]

    assert broken > 10 * max(usual, 1.0)


@pytest.mark.parametrize(("gap", "judged"), [(MAX_CARRIED, True), (MAX_CARRIED + 1, False)])
def test_a_gap_is_bridged_up_to_its_limit_and_not_judged_beyond(gap: int, judged: bool) -> None:  # noqa: FBT001 - a parametrised expectation
    means = machine_means(1, 300)
    parameters = AR.fit(history_of(means))
    means[0, 260 : 260 + gap] = np.nan

    raw = AR.score(parameters, features_of(means[:, 270]), lags_at(means, 270)).raw

    assert np.isfinite(raw[0]) == judged


def test_a_sensor_that_reports_every_second_window_is_fitted_and_judged() -> None:
    means = machine_means(1, 400)
    means[0, ::2] = np.nan
    parameters = AR.fit(history_of(means))

    assert np.isfinite(AR.score(parameters, features_of(means[:, 301]), lags_at(means, 301)).raw[0])


def test_a_history_without_enough_rows_is_not_fitted() -> None:
    assert np.isnan(AR.fit(history_of(machine_means(1, 2 * ORDER - 1)))["coefficients"]).all()


def test_carrying_forward_never_reaches_farther_than_the_limit() -> None:
    values = np.array([[np.nan, 1.0, np.nan, np.nan, np.nan, 5.0, np.nan]])

    np.testing.assert_array_equal(carry_forward(values, 2), [[np.nan, 1.0, 1.0, 1.0, np.nan, 5.0, 5.0]])
