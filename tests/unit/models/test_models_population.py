"""How sensors without a model of their own are judged, and the stored form of what judges them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import ensemble

from models.artifact import FORMAT_VERSION, describe_population, population_from_bytes, population_to_bytes
from models.detectors.isolation_forest import POINTS_PER_TREE, TREES, fit_isolation_forest
from models.encoding import pack, unpack
from models.ensemble import ScoredWindows, score_windows
from models.errors import ArtifactCorruptError
from models.features import WINDOW_FEATURES, FloatArray, History, WindowBatch
from models.incidents import Transition
from models.population import MIN_PAST, Population, PopulationSample, fit_population
from models.profile import HISTORY_LAGS, POPULATION, ScoringProfile
from models.registry import Registry
from models.state import BucketState
from models.training import TrainingConfig, sample_bucket, train_bucket
from tests.unit.models.synthetic import features_of, history_of, machine_means, windows
from tests.unit.models.test_models_artifact import DATA, MANIFEST

CONFIG = TrainingConfig()
PROFILE = CONFIG.profile
SENSORS, STEPS, FAULT = 12, 400, 60


def machines(sensors: int, steps: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return window means of machines and the standard deviation within their windows."""
    means = machine_means(sensors, steps, seed)
    rng = np.random.default_rng(seed)
    return means, means.std(axis=1, keepdims=True) * rng.gamma(20.0, 1 / 20.0, means.shape)


def history(sensors: int = SENSORS, steps: int = STEPS, seed: int = 1) -> History:
    return history_of(*machines(sensors, steps, seed))


def fitted() -> Population:
    population = fit_population([sample_bucket(history(), CONFIG, 1)], CONFIG.seed)
    assert population is not None
    return population


POPULATION_MODEL = fitted()
STORED = population_to_bytes(POPULATION_MODEL)


def judged(batch: WindowBatch, profile: ScoringProfile = PROFILE) -> ScoredWindows:
    return score_windows(None, BucketState.empty(HISTORY_LAGS), batch, profile, POPULATION_MODEL)


def newcomers(steps: int = 120, seed: int = 7) -> tuple[FloatArray, FloatArray]:
    return machines(4, steps, seed)


def test_the_arrays_of_a_forest_score_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 6))
    points[:, 0] = np.round(points[:, 0])  # values on both sides of a cut, and equal ones
    reference = ensemble.IsolationForest(n_estimators=TREES, max_samples=POINTS_PER_TREE, random_state=5)
    reference.fit(points.astype(np.float32))
    others = np.concatenate([points[:500], rng.normal(size=(500, 6)) * 5])

    scores = fit_isolation_forest(points, 5).score(others)

    np.testing.assert_allclose(scores, -reference.score_samples(others.astype(np.float32)), rtol=1e-6)


@pytest.mark.parametrize(
    ("fault", "statistic"),
    [
        (lambda means, spread: (means + 12 * spread, spread), {"mean", "min", "max"}),
        (lambda means, spread: (means, spread * 12), {"std", "max", "min"}),
        (lambda means, spread: (means, spread * 0), {"std"}),
    ],
    ids=["level shift", "noise burst", "stuck"],
)
def test_a_fault_of_a_new_sensor_opens_an_incident_and_the_alert_can_say_that_it_is_learning(fault, statistic) -> None:
    means, spread = newcomers()
    means[0, FAULT:], spread[0, FAULT:] = fault(means[0, FAULT:], spread[0, FAULT:])

    scored = judged(windows(means, spread=spread))

    opened = scored.transition == Transition.OPENED
    first = opened & (scored.index == FAULT)
    assert scored.keys[first].tolist() == [windows(means).keys[0]]
    assert scored.learning.all()
    assert {WINDOW_FEATURES.names[s] for s in scored.statistic[first]} <= statistic
    assert (scored.lower < scored.expected)[first].all()
    assert (scored.expected < scored.upper)[first].all()


def test_a_new_sensor_is_judged_once_it_has_shown_enough_windows() -> None:
    means, spread = newcomers(MIN_PAST + 3)

    scored = judged(windows(means, spread=spread))

    assert np.isfinite(scored.score).tolist() == (scored.index >= MIN_PAST).tolist()


def test_new_sensors_that_are_normal_reach_the_threshold_about_as_rarely_as_stated() -> None:
    profile = replace(PROFILE, false_alarm_rate=0.01)
    means, spread = machines(100, 200, 9)

    scored = judged(windows(means, spread=spread), profile)

    above = (scored.score >= profile.threshold).sum() / np.isfinite(scored.score).sum()
    assert 0.001 < above < 0.02


def test_the_unit_of_a_new_sensor_does_not_matter() -> None:
    means, spread = newcomers()

    celsius = judged(windows(means, spread=spread)).score
    fahrenheit = judged(windows(32.0 + 2.0 * means, spread=2.0 * spread)).score

    assert np.isfinite(celsius).any()
    np.testing.assert_allclose(fahrenheit, celsius, rtol=1e-3)


def test_what_is_said_of_new_sensors_does_not_depend_on_how_windows_are_cut_into_batches() -> None:
    batch = windows(newcomers()[0], spread=newcomers()[1]).sorted()
    state, scores = BucketState.empty(HISTORY_LAGS), []
    for part in np.array_split(np.arange(len(batch)), [40, 41, 200]):
        cut = WindowBatch(batch.keys[part], batch.index[part], batch.features[part])
        scores.append(score_windows(None, state, cut, PROFILE, POPULATION_MODEL).score)

    np.testing.assert_array_equal(np.concatenate(scores), judged(batch).score)


def test_a_sensor_with_a_model_of_its_own_is_not_judged_by_the_population() -> None:
    past = history()
    shard, _ = train_bucket(past, CONFIG)
    batch = WindowBatch(past.keys[[0]], np.array([STEPS]), past.features[[0], -1])
    with_it, without = (
        score_windows(shard, BucketState.empty(HISTORY_LAGS), batch, PROFILE, population)
        for population in (POPULATION_MODEL, None)
    )

    np.testing.assert_array_equal(with_it.score, without.score)
    assert not with_it.learning.any()
    assert np.isnan(with_it.member_log_tails[:, -len(POPULATION) :]).all()


def test_a_profile_without_population_leaves_new_sensors_without_a_score() -> None:
    profile = ScoringProfile(population=False)

    scored = judged(windows(newcomers()[0]), profile)

    assert np.isnan(scored.score).all()
    assert scored.member_log_tails.shape[1] == len(profile.members)


def test_the_same_history_gives_the_same_population() -> None:
    assert population_to_bytes(fitted()) == STORED


def test_too_few_windows_give_no_population() -> None:
    assert fit_population([sample_bucket(history(2, 40), CONFIG, 1)], 0) is None
    assert fit_population([], 0) is None


def test_a_sample_survives_its_way_to_the_driver() -> None:
    sample = sample_bucket(history(), CONFIG, 64)

    back = PopulationSample.from_bytes(sample.to_bytes())

    np.testing.assert_array_equal(back.fit, sample.fit)
    np.testing.assert_array_equal(back.calibration, sample.calibration)
    np.testing.assert_array_equal(back.origin, sample.origin)


def test_a_machine_that_is_switched_on_now_and_then_does_not_deafen_the_population() -> None:
    means, spread = machines(SENSORS, STEPS, 1)
    means[0], spread[0] = 0.0, 0.0  # off, and on for four windows at a time
    for start in range(30, STEPS, 90):
        means[0, start : start + 4] = 500.0

    population = fit_population([sample_bucket(history_of(means, spread), CONFIG, 1)], CONFIG.seed)

    assert population is not None
    np.testing.assert_allclose(population.tails.quantile(0.001), POPULATION_MODEL.tails.quantile(0.001), rtol=0.5)


def test_a_stored_population_comes_back_as_it_was() -> None:
    entry = describe_population(STORED, "file")

    assert population_to_bytes(population_from_bytes(STORED, entry, "file")) == STORED


@pytest.mark.parametrize(("part", "value"), [("left", -1), ("right", 20_000), ("feature", 6)])
def test_a_tree_that_leads_nowhere_is_refused_before_it_judges(part: str, value: int) -> None:
    attributes, arrays = unpack(STORED, "population", FORMAT_VERSION, "file")
    damaged = arrays[f"forest/{part}"].copy()
    damaged[3, 5] = value
    data = pack("population", FORMAT_VERSION, attributes, {**arrays, f"forest/{part}": damaged})

    with pytest.raises(ArtifactCorruptError, match="leads out of its nodes"):
        population_from_bytes(data, describe_population(data, "file"), "file")


def test_a_version_keeps_its_population_and_verify_reads_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    version = registry.publish(MANIFEST.with_shards({}), [(3, DATA)], STORED)

    stored = registry.load_population(version)

    assert stored is not None
    assert population_to_bytes(stored) == STORED
    (tmp_path / "registry" / "versions" / version / "population.safetensors").write_bytes(STORED[:-1])
    with pytest.raises(ArtifactCorruptError, match=r"population\.safetensors"):
        registry.verify(version)


def test_a_version_without_population_has_none(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")

    assert registry.load_population(registry.publish(MANIFEST.with_shards({}), [(3, DATA)])) is None


def test_windows_that_are_no_numbers_are_not_judged() -> None:
    means, spread = newcomers()
    features = features_of(means[:, 30], spread[:, 30])
    features[0, WINDOW_FEATURES.column("mean")] = np.inf
    state = BucketState.empty(HISTORY_LAGS)
    score_windows(None, state, windows(means[:, :30], spread=spread[:, :30]), PROFILE, POPULATION_MODEL)

    batch = WindowBatch(windows(means[:, [30]]).keys, np.full(4, 30), features)
    scored = score_windows(None, state, batch, PROFILE, POPULATION_MODEL)

    assert np.isfinite(scored.score[1:]).all()
    assert not np.isinf(scored.score).any()
