"""Every detector x every check: adding one to `DETECTORS` enrols it.

Not here: what a single algorithm computes (``tests/unit/models``).
"""

from __future__ import annotations

import numpy as np
import pytest

from models.artifact import describe_shard, shard_from_bytes, shard_to_bytes
from models.base import MAX_RAW, Detector, MemberScores, Parameters, select_rows
from models.detectors import DETECTORS
from models.ensemble import score_windows
from models.features import WINDOW_FEATURES, FloatArray, History
from models.profile import HISTORY_LAGS, ScoringProfile
from models.state import BucketState
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import features_of, history_of, machine_means, windows

SENSORS, FITTED, STEPS = 5, 300, 360
# Bytes of parameters per sensor: half of what a sensor's whole model may cost, so that a profile can hold several.
PARAMETER_BUDGET = 256

every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)


def fit(detector: Detector, means: FloatArray) -> Parameters:
    return detector.fit(history_of(means[:, :FITTED]))


def score_all(detector: Detector, parameters: Parameters, means: FloatArray) -> MemberScores:
    """Score every sensor's windows from `FITTED` on, sensor by sensor."""
    sensors, steps = means.shape
    row, step = (part.ravel() for part in np.mgrid[:sensors, FITTED:steps])
    lags = means[row[:, None], step[:, None] + np.arange(-detector.lags, 0)]
    return detector.score(select_rows(parameters, row), features_of(means[row, step]), lags)


def assert_same(one: MemberScores, other: MemberScores) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), values, err_msg=name)


@every_detector
def test_names_are_unique(detector: Detector) -> None:
    assert [other.name for other in DETECTORS].count(detector.name) == 1


@every_detector
def test_parameters_are_as_declared_and_within_the_budget(detector: Detector) -> None:
    parameters = fit(detector, machine_means(SENSORS, STEPS))

    assert {name: (a.dtype, a.shape[1:]) for name, a in parameters.items()} == {
        name: (spec.dtype, spec.shape) for name, spec in detector.parameters.items()
    }
    assert {len(array) for array in parameters.values()} == {SENSORS}
    assert sum(array.nbytes for array in parameters.values()) / SENSORS <= PARAMETER_BUDGET


@every_detector
def test_fitting_and_scoring_twice_gives_the_same(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)

    first = score_all(detector, fit(detector, means), means)

    assert_same(first, score_all(detector, fit(detector, means), means))


@every_detector
def test_scores_are_finite_not_negative_and_name_a_statistic(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)

    scores = score_all(detector, fit(detector, means), means)

    assert ((scores.raw >= 0) & (scores.raw <= MAX_RAW)).all()
    assert (scores.scale > 0).all()
    assert np.isfinite(scores.expected).all()
    assert ((scores.statistic >= 0) & (scores.statistic < len(WINDOW_FEATURES.names))).all()


@every_detector
def test_a_gross_deviation_scores_higher_than_every_usual_window(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)
    parameters = fit(detector, means)
    usual = score_all(detector, parameters, means).raw.reshape(SENSORS, -1)
    means[:, -1] *= 3

    deviating = score_all(detector, parameters, means).raw.reshape(SENSORS, -1)[:, -1]

    assert (deviating > usual.max(axis=1)).all()


@every_detector
def test_one_sensor_alone_is_judged_as_among_many(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)
    together = score_all(detector, fit(detector, means), means).raw.reshape(SENSORS, -1)

    for sensor in range(SENSORS):
        own = means[[sensor]]
        np.testing.assert_array_equal(score_all(detector, fit(detector, own), own).raw, together[sensor])


@every_detector
def test_one_window_alone_is_judged_as_among_many(detector: Detector) -> None:
    means = machine_means(SENSORS, FITTED + 1)
    parameters = fit(detector, means)
    together = score_all(detector, parameters, means)

    for sensor in range(SENSORS):
        alone = score_all(detector, select_rows(parameters, np.array([sensor])), means[[sensor]])
        assert alone.raw[0] == together.raw[sensor]
        assert alone.expected[0] == together.expected[sensor]


@every_detector
def test_the_order_of_the_sensors_does_not_matter(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)
    order = np.random.default_rng(4).permutation(SENSORS)
    straight = score_all(detector, fit(detector, means), means).raw.reshape(SENSORS, -1)

    turned = score_all(detector, fit(detector, means[order]), means[order]).raw.reshape(SENSORS, -1)

    np.testing.assert_array_equal(turned, straight[order])


@every_detector
def test_a_constant_sensor_is_silent_also_to_rounding_and_speaks_at_a_change(detector: Detector) -> None:
    levels = np.array([[0.0], [7.3], [-1e9]])
    means = np.broadcast_to(levels, (3, STEPS)).copy()
    history = history_of(means[:, :FITTED], spread=0.0)
    parameters = detector.fit(history)
    rounded, changed = means[:, -1] * (1 + 1e-12), means[:, -1] + np.maximum(np.abs(means[:, -1]), 1)
    lags = means[:, STEPS - 1 - detector.lags : STEPS - 1]

    assert (detector.score(parameters, features_of(rounded, 0.0), lags).raw < 1e-6).all()
    assert (detector.score(parameters, features_of(changed, 0.0), lags).raw > 100).all()


@every_detector
def test_an_infinite_or_missing_mean_is_not_judged(detector: Detector) -> None:
    means = machine_means(2, STEPS)
    parameters = fit(detector, means)
    features = features_of(means[:, -1])
    features[0], features[1] = np.nan, np.inf

    scores = detector.score(parameters, features, means[:, STEPS - 1 - detector.lags : STEPS - 1])

    assert np.isnan(scores.raw).all()
    assert np.isnan(scores.expected).all()


@every_detector
def test_values_at_the_limit_of_floating_point_stay_finite_or_unjudged(detector: Detector) -> None:
    means = machine_means(1, STEPS)
    parameters = fit(detector, means)

    huge = features_of(np.array([1.7e308]))
    raw = detector.score(parameters, huge, means[:, STEPS - 1 - detector.lags : STEPS - 1]).raw

    assert raw[0] == MAX_RAW


@every_detector
def test_gaps_in_the_history_are_neither_errors_nor_values(detector: Detector) -> None:
    means = machine_means(SENSORS, STEPS)
    means[:, 40:60] = np.nan
    means[1, 100:103] = np.nan

    scores = score_all(detector, fit(detector, means), means)

    assert (scores.raw < 100).all()


@every_detector
def test_a_sensor_without_history_is_not_fitted_and_not_judged(detector: Detector) -> None:
    means = machine_means(2, STEPS)
    means[1, :FITTED] = np.nan
    parameters = fit(detector, means)

    scores = score_all(detector, parameters, means).raw.reshape(2, -1)

    assert all(np.isnan(array[1]).all() for array in parameters.values())
    assert np.isfinite(scores[0]).all()
    assert np.isnan(scores[1]).all()


@every_detector
def test_no_sensors_and_no_time_are_no_errors(detector: Detector) -> None:
    width = len(WINDOW_FEATURES.names)
    for sensors, steps in ((0, 0), (0, 50), (2, 0)):
        parameters = detector.fit(History(np.empty(sensors, object), 0, np.full((sensors, steps, width), np.nan)))
        assert {len(array) for array in parameters.values()} == {sensors}
    none = detector.fit(History(np.empty(0, object), 0, np.empty((0, 0, width))))

    assert detector.score(none, np.empty((0, width)), np.empty((0, detector.lags))).raw.shape == (0,)


@every_detector
@pytest.mark.parametrize(("factor", "shift"), [(1000.0, 0.0), (0.01, 0.0), (1.0, 1e5), (-1.0, 0.0)])
def test_scores_do_not_depend_on_the_unit_of_the_sensor(detector: Detector, factor: float, shift: float) -> None:
    means = machine_means(1, STEPS)
    plain = score_all(detector, fit(detector, means), means)
    turned = factor * means + shift
    history = history_of(turned[:, :FITTED], spread=abs(factor))
    row, step = np.zeros(STEPS - FITTED, int), np.arange(FITTED, STEPS)
    lags = turned[row[:, None], step[:, None] + np.arange(-detector.lags, 0)]

    scores = detector.score(select_rows(detector.fit(history), row), features_of(turned[0, FITTED:], abs(factor)), lags)

    np.testing.assert_allclose(scores.raw, plain.raw, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scores.expected, factor * plain.expected + shift, rtol=1e-4)


@every_detector
def test_an_ensemble_of_the_detector_alone_survives_an_artifact(detector: Detector) -> None:
    profile = ScoringProfile(members=(detector.name,))
    means = machine_means(SENSORS, STEPS)
    shard, report = train_bucket(history_of(means[:, :FITTED]), TrainingConfig(profile))
    data = shard_to_bytes(shard, profile)
    stored = shard_from_bytes(data, describe_shard(data, "shard"), profile, "shard")

    first, second = (
        score_windows(model, BucketState.empty(HISTORY_LAGS), windows(means), profile) for model in (shard, stored)
    )

    assert report.fitted == {detector.name: SENSORS}
    assert np.isfinite(first.score[-SENSORS:]).all()
    np.testing.assert_array_equal(first.score, second.score)


@every_detector
def test_the_future_does_not_change_a_past_score(detector: Detector) -> None:
    profile = ScoringProfile(members=(detector.name,))
    means = machine_means(SENSORS, STEPS)
    shard, _ = train_bucket(history_of(means[:, :FITTED]), TrainingConfig(profile))
    other = means.copy()
    other[:, FITTED + 20 :] = -1e6

    scores = [score_windows(shard, BucketState.empty(HISTORY_LAGS), windows(m), profile).score for m in (means, other)]

    past = SENSORS * (FITTED + 20)
    np.testing.assert_array_equal(scores[0][:past], scores[1][:past])
