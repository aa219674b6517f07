"""Invariants of state, calibration and ensemble over generated input.

Not here: examples with known results (``tests/unit/models``).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from models.calibration import calibrate
from models.ensemble import ScoredWindows, score_windows
from models.features import FloatArray, History, WindowBatch
from models.profile import ScoringProfile
from models.state import NEVER, BucketState
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import history_of, machine_means, windows

SENSORS, TRAINED, LIVE = 4, 200, 40
PROFILE = ScoringProfile(false_alarm_rate=0.05, quiet_windows=2)
MEANS = machine_means(SENSORS, TRAINED + LIVE, seed=3)
SHARD, _ = train_bucket(history_of(MEANS[:, :TRAINED]), TrainingConfig(PROFILE))

# Wall time on a shared machine says nothing of the code, so no deadline; 25 examples keep the suite in seconds.
quick = settings(deadline=None, max_examples=25)
finite = st.floats(-1e9, 1e9)
keys = st.lists(st.text(max_size=12), unique=True, max_size=12)
steps_of_one_sensor = st.lists(st.tuples(st.integers(-50, 50), finite), max_size=40)


def live_with_gaps(mask: np.ndarray) -> FloatArray:
    """Return the live means with the windows of `mask` (sensors, LIVE) missing."""
    return np.where(mask, np.nan, MEANS[:, TRAINED:])


def warm() -> BucketState:
    state = BucketState.empty(PROFILE.lags)
    score_windows(SHARD, state, windows(MEANS[:, TRAINED - 40 : TRAINED], TRAINED - 40), PROFILE)
    return state


def score_in_batches(batch: WindowBatch, cuts: list[int]) -> list[ScoredWindows]:
    """Score windows in batches that end before each window index of `cuts`, the state stored in between."""
    data = warm().to_bytes()
    out = []
    for low, high in pairwise([TRAINED, *sorted(cuts), TRAINED + LIVE]):
        part = (batch.index >= low) & (batch.index < high)
        state = BucketState.from_bytes(data)
        piece = WindowBatch(batch.keys[part], batch.index[part], batch.features[part])
        out.append(score_windows(SHARD, state, piece, PROFILE))
        data = state.to_bytes()
    return out


@quick
@given(keys, st.integers(1, 9), st.data())
def test_a_state_comes_back_from_its_bytes(names: list[str], lags: int, data: st.DataObject) -> None:
    state = BucketState.empty(lags)
    rows = state.rows_for(np.array(names, object))
    for index in sorted(data.draw(st.lists(st.integers(-100, 100), max_size=5))):
        values = data.draw(npst.arrays(float, len(rows), elements=finite))
        state.push(rows, np.full(len(rows), index), values)

    back = BucketState.from_bytes(state.to_bytes())

    assert back.to_bytes() == state.to_bytes()
    assert back.keys.tolist() == sorted(names)
    asked = np.full(len(rows), 101)
    np.testing.assert_array_equal(back.lags_before(rows, asked), state.lags_before(rows, asked))


@quick
@given(steps_of_one_sensor, st.integers(1, 6))
def test_the_ring_remembers_what_a_dictionary_would(steps: list[tuple[int, float]], lags: int) -> None:
    state = BucketState.empty(lags)
    row = state.rows_for(np.array(["a"], object))
    reference: dict[int, float] = {}
    for index, value in steps:
        state.push(row, np.array([index]), np.array([value]))
        if index > max(reference, default=-1000):
            reference[index] = value
        now = max(reference) + 1
        expected = [reference.get(now - lag, np.nan) for lag in range(lags, 0, -1)]
        np.testing.assert_array_equal(state.lags_before(row, np.array([now]))[0], expected)


@quick
@given(npst.arrays(bool, (SENSORS, LIVE)), st.lists(st.integers(TRAINED, TRAINED + LIVE), max_size=5))
def test_scores_and_incidents_do_not_depend_on_how_windows_are_cut_into_batches(
    mask: np.ndarray, cuts: list[int]
) -> None:
    batch = windows(live_with_gaps(mask), TRAINED)

    whole, parts = score_in_batches(batch, [])[0], score_in_batches(batch, cuts)

    for name, values in vars(whole).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), values, name)


@quick
@given(st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_windows_in_a_batch(random: object) -> None:
    batch = windows(MEANS[:, TRAINED:], TRAINED)
    order = list(range(len(batch)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = WindowBatch(batch.keys[order], batch.index[order], batch.features[order])

    scores = [score_windows(SHARD, warm(), b, PROFILE) for b in (batch, shuffled)]

    for name, values in vars(scores[0]).items():
        np.testing.assert_array_equal(getattr(scores[1], name), values, name)


@quick
@given(st.integers(0, LIVE - 1), npst.arrays(float, (SENSORS, LIVE), elements=finite))
def test_the_future_does_not_change_past_scores(cut: int, future: FloatArray) -> None:
    changed = MEANS[:, TRAINED:].copy()
    changed[:, cut:] = future[:, cut:]

    one, other = (
        score_windows(SHARD, warm(), windows(means, TRAINED), PROFILE) for means in (MEANS[:, TRAINED:], changed)
    )

    for name, values in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name)[: SENSORS * cut], values[: SENSORS * cut], name)


@quick
@given(npst.arrays(bool, (SENSORS, LIVE)))
def test_every_incident_opens_once_and_is_resolved_at_most_once(mask: np.ndarray) -> None:
    scored = score_in_batches(windows(live_with_gaps(mask), TRAINED), [])[0]

    for key in SHARD.keys:
        own = scored.transition[scored.keys == key]
        before = warm()
        is_open = bool(before.open_index[before.rows_for(np.array([key], object))][0] != NEVER)
        for transition in own.tolist():
            assert (transition in (2, 3)) == is_open
            is_open = transition in (1, 2)


@quick
@given(
    npst.arrays(float, (3, 60), elements=st.floats(0, 1e6)),
    npst.arrays(float, 8, elements=st.floats(0, 1e12)),
)
def test_the_log_tail_never_falls_and_stays_finite(scores: FloatArray, asked: FloatArray) -> None:
    tail = calibrate(scores)

    log_tails = np.array([tail.log_tail(np.full(3, raw)) for raw in np.sort(asked)])

    assert (log_tails >= 0).all()
    assert np.isfinite(log_tails).all()
    assert (np.diff(log_tails, axis=0) >= 0).all()


@pytest.mark.parametrize(("probability", "tolerance"), [(0.1, 0.2), (0.01, 0.35), (0.001, 0.7)])
@pytest.mark.parametrize("samples", [100, 1000])
def test_the_realised_rate_on_fresh_noise_is_near_the_stated(
    probability: float, tolerance: float, samples: int
) -> None:
    rng = np.random.default_rng(17)
    sensors = 200
    tail = calibrate(np.abs(rng.normal(size=(sensors, samples))))

    fresh = np.abs(rng.normal(size=(500, sensors)))
    realised = np.mean([tail.log_tail(scores) >= -np.log10(probability) for scores in fresh])

    assert realised == pytest.approx(probability, rel=tolerance)


@quick
@given(npst.arrays(bool, (SENSORS, LIVE)))
def test_a_history_holds_exactly_the_windows_that_it_was_made_of(mask: np.ndarray) -> None:
    batch = windows(live_with_gaps(mask), TRAINED)

    history = History.from_windows(batch)

    row, step = np.nonzero(history.observed)
    again = WindowBatch(history.keys[row], history.first_index + step, history.features[row, step]).sorted()
    np.testing.assert_array_equal(again.keys, batch.sorted().keys)
    np.testing.assert_array_equal(again.index, batch.sorted().index)
    np.testing.assert_array_equal(again.features, batch.sorted().features)
