from __future__ import annotations

import numpy as np
import pytest

from models.calibration import MAX_SHAPE, MIN_SCORES, SURVIVAL, TailModel, calibrate

RNG_SEED = 11


def normal_scores(sensors: int, count: int) -> np.ndarray:
    return np.abs(np.random.default_rng(RNG_SEED).normal(size=(sensors, count)))


def test_a_score_at_the_median_has_a_tail_probability_of_one_half() -> None:
    tail = calibrate(normal_scores(3, 401))

    np.testing.assert_allclose(tail.log_tail(tail.knots[:, 2].astype(float)), np.log10(2.0), rtol=1e-6)


def test_a_generalised_pareto_tail_is_recovered_from_many_scores() -> None:
    uniform = np.random.default_rng(RNG_SEED).random((8, 20_000))
    shape, scale = 0.3, 2.0

    tail = calibrate(scale / shape * (uniform**-shape - 1))

    assert np.median(tail.shape) == pytest.approx(shape, abs=0.05)
    exact = scale / shape * (1e-4**-shape - 1)
    np.testing.assert_allclose(np.median(tail.quantile(1e-4)), exact, rtol=0.15)


def test_few_scores_take_the_shape_of_the_buckets_tail() -> None:
    rng = np.random.default_rng(RNG_SEED)
    heavy = rng.pareto(2.5, size=(40, 4000))
    few = np.full((1, 4000), np.nan)
    few[0, :40] = rng.exponential(size=40)

    shapes = calibrate(np.concatenate([heavy, few])).shape

    assert shapes[-1] > 0.7 * np.median(shapes[:-1])


def test_the_shape_stays_within_its_limits() -> None:
    rng = np.random.default_rng(RNG_SEED)
    raw = np.concatenate([rng.random((3, 500)), rng.pareto(0.3, size=(3, 500))])

    tail = calibrate(raw)

    assert (tail.shape > 0).all()
    assert (tail.shape <= MAX_SHAPE).all()


def test_a_sensor_that_never_deviated_has_a_finite_tail() -> None:
    tail = calibrate(np.zeros((1, 100)))

    assert tail.log_tail(np.zeros(1))[0] == 0.0
    assert np.isfinite(tail.log_tail(np.array([1e12]))[0])
    assert tail.log_tail(np.array([1.0]))[0] > 3


def test_scores_are_not_told_apart_from_their_ties() -> None:
    tail = calibrate(np.array([[0.0] * 90 + [1.0] * 10]))

    assert tail.log_tail(np.zeros(1))[0] == 0.0


def test_too_few_scores_and_missing_scores_give_nan() -> None:
    raw = normal_scores(2, MIN_SCORES)
    raw[0, 0] = np.nan

    tail = calibrate(raw)

    assert np.isnan(tail.log_tail(np.ones(2))).tolist() == [True, False]
    assert np.isnan(tail.log_tail(np.full(2, np.nan))).all()
    assert np.isnan(tail.quantile(0.001)).tolist() == [True, False]


def test_missing_scores_do_not_change_a_calibration() -> None:
    raw = normal_scores(1, 200)
    holed = np.full((1, 400), np.nan)
    holed[:, ::2] = raw

    assert_equal(calibrate(holed), calibrate(raw))


@pytest.mark.parametrize("probability", [1.0, 0.9, 0.5, 0.2, 0.1, 0.05, 1e-3, 1e-6])
def test_the_quantile_undoes_the_log_tail(probability: float) -> None:
    tail = calibrate(normal_scores(4, 300))

    np.testing.assert_allclose(tail.log_tail(tail.quantile(probability)), -np.log10(probability), atol=1e-6)


def test_rows_select_sensors_in_the_asked_order() -> None:
    tail = calibrate(normal_scores(3, 100))

    assert_equal(tail.rows(np.array([2, 0])), TailModel(tail.knots[[2, 0]], tail.scale[[2, 0]], tail.shape[[2, 0]]))


def test_the_body_covers_the_stated_probabilities() -> None:
    tail = calibrate(normal_scores(1, 4000))

    fresh = np.abs(np.random.default_rng(RNG_SEED + 1).normal(size=20_000))
    realised = [(fresh >= knot).mean() for knot in tail.knots[0]]
    np.testing.assert_allclose(realised, SURVIVAL, atol=0.02)


def assert_equal(one: TailModel, other: TailModel) -> None:
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
