"""One entity, trained on its prefix and judged after it: the same as the models called directly, and causal.

Not here: windows on Spark, files (``tests/spark/test_evaluate.py``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.app.evaluate.entity import EntityResult, history_of, judge_entity
from detector.app.evaluate.timeline import Timeline
from models.ensemble import score_windows
from models.features import FloatArray, History, WindowBatch
from models.population import Population, fit_population
from models.profile import HISTORY_LAGS
from models.state import BucketState
from models.training import sample_bucket, train_bucket
from tests.unit.app_evaluate.plant_windows import CONFIG, timeline_of, windows_of
from tests.unit.models.synthetic import history_of as synthetic_history
from tests.unit.models.synthetic import machine_means

TRAIN, LIVE = 160, 40
VALUES = machine_means(2, TRAIN + LIVE, seed=11).T
POPULATION = fit_population(
    [sample_bucket(synthetic_history(machine_means(8, 200, seed=1)), CONFIG, 1)], seed=0
)  # of other sensors
LATE = np.vstack([np.full((TRAIN - 20, 1), np.nan), VALUES[TRAIN - 20 :, :1]])  # a sensor with too little history


def judged(values: FloatArray, line: Timeline, population: Population | None = POPULATION) -> EntityResult:
    return judge_entity(windows_of(values, line), line, CONFIG, population, lambda: 0.0)


def held(values: FloatArray, line: Timeline) -> FloatArray:
    result = judged(values, line)
    return line.hold(np.array(result.index, np.int64), np.array(result.score))


def where(batch: WindowBatch, rows: np.ndarray) -> WindowBatch:
    return WindowBatch(batch.keys[rows], batch.index[rows], batch.features[rows])


def test_the_score_of_one_sensor_is_that_of_the_models_called_directly():
    line = timeline_of(TRAIN + LIVE, TRAIN)
    batch = windows_of(VALUES[:, :1], line)
    past = line.is_history(batch.index)
    shard, _ = train_bucket(History.from_windows(where(batch, past)), CONFIG)
    state = BucketState.empty(HISTORY_LAGS)
    score_windows(None, state, where(batch, past), CONFIG.profile)
    direct = score_windows(shard, state, where(batch, ~past), CONFIG.profile)

    result = judged(VALUES[:, :1], line)

    assert result.index[1:] == direct.index.tolist()
    assert result.score[1:] == pytest.approx(direct.score.tolist())
    assert (result.sensors, result.learning, result.windows) == (1, 0, TRAIN + LIVE)


def test_only_windows_that_end_within_the_prefix_are_trained_on():
    line = timeline_of(TRAIN + LIVE, TRAIN + 3, steps=8)

    history = history_of(windows_of(VALUES, line), line)

    assert history.features.shape[1] == TRAIN // 8


def test_the_last_window_of_the_history_is_judged_so_that_its_score_can_hold():
    line = timeline_of(800, 800 - LIVE, steps=8)
    values = machine_means(1, 800, seed=2).T

    result = judged(values, line)

    assert result.index[0] * line.length_us <= line.live_from_us < result.index[1] * line.length_us
    assert np.isfinite(result.score[0])


def test_a_fault_after_the_prefix_opens_an_incident_that_ends_with_it():
    line = timeline_of(TRAIN + LIVE, TRAIN)
    values = VALUES.copy()
    values[TRAIN + 10 : TRAIN + 15, 0] += 60 * values[:TRAIN, 0].std()

    spans = line.spans(judged(values, line).incidents)

    assert any(first == TRAIN + 10 and TRAIN + 15 <= last < TRAIN + LIVE - 1 for first, last in spans)


def test_a_fault_in_the_prefix_leaves_no_incident_open():
    line = timeline_of(TRAIN + LIVE, TRAIN)
    values = VALUES.copy()
    values[TRAIN - 3 : TRAIN - 1, 0] += 60 * values[:TRAIN, 0].std()

    assert all(first >= TRAIN for first, _ in line.spans(judged(values, line).incidents))


def test_a_sensor_with_too_little_history_is_judged_by_the_population():
    line = timeline_of(TRAIN + LIVE, TRAIN)

    alone, helped = judged(LATE, line, None), judged(LATE, line)

    assert alone.learning == helped.learning == 1
    assert np.isnan(alone.score).all()
    assert np.isfinite(helped.score).all()


def test_an_entity_without_any_history_is_judged_from_its_first_window_on():
    line = timeline_of(TRAIN + LIVE, TRAIN)
    values = np.where(np.arange(TRAIN + LIVE)[:, None] < TRAIN + 5, np.nan, VALUES)

    result = judged(values, line, None)

    assert len(result.index) == LIVE - 5
    assert (result.sensors, result.learning) == (2, 2)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, LIVE - 2), st.sampled_from([1, 3, 8]), st.integers(0, 2**32 - 1))
def test_changing_values_after_a_timestamp_changes_no_score_up_to_it(at: int, steps: int, seed: int) -> None:
    line = replace(timeline_of(TRAIN + LIVE, TRAIN), length_us=timeline_of(2, 1, steps).length_us)
    values = np.hstack([VALUES, LATE])
    changed = values.copy()
    after = slice(TRAIN + at + 1, None)
    rng = np.random.default_rng(seed)
    changed[after] += rng.normal(0.0, 1e3, values[after].shape)
    changed[TRAIN + at + 1, rng.integers(3)] = np.nan

    assert held(changed, line)[: at + 1].tolist() == held(values, line)[: at + 1].tolist()
