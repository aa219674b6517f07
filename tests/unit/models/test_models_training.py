from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from models.artifact import shard_to_bytes
from models.calibration import calibrate
from models.ensemble import score_windows
from models.errors import InsufficientDataError
from models.features import History, WindowBatch
from models.profile import HISTORY_LAGS, ScoringProfile
from models.state import BucketState
from models.training import BucketReport, TrainingConfig, require_trained, train_bucket
from tests.unit.models.synthetic import history_of, machine_means, sensor_keys, windows

CONFIG = TrainingConfig()
STEPS = 400


def trained_bytes(history: History) -> bytes:
    return shard_to_bytes(train_bucket(history, CONFIG)[0], CONFIG.profile)


def test_training_twice_gives_the_same_bytes_whatever_the_threads() -> None:
    history = history_of(machine_means(5, STEPS))

    with threadpool_limits(limits=2):
        first = trained_bytes(history)
    with threadpool_limits(limits=1):
        second = trained_bytes(history)

    assert first == second


def test_training_does_not_depend_on_the_order_of_the_windows() -> None:
    batch = windows(machine_means(5, STEPS))
    order = np.random.default_rng(5).permutation(len(batch))
    shuffled = WindowBatch(batch.keys[order], batch.index[order], batch.features[order])

    assert trained_bytes(History.from_windows(shuffled)) == trained_bytes(History.from_windows(batch))


def test_sensors_with_too_few_windows_are_reported_with_what_is_missing() -> None:
    means = machine_means(3, STEPS)
    means[1, 100:] = np.nan

    shard, report = train_bucket(history_of(means), CONFIG)

    keys = sensor_keys(3)
    assert shard.keys.tolist() == [keys[0], keys[2]]
    assert report == BucketReport(
        windows=2 * STEPS + 100, trained=2, fitted={"autoregression": 2, "level": 2}, missing={keys[1]: 28}
    )


def test_a_late_starter_is_split_by_its_own_windows() -> None:
    means = machine_means(2, 2 * STEPS)
    means[1, :STEPS] = np.nan

    report = train_bucket(history_of(means), CONFIG)[1]

    assert report.fitted == {"autoregression": 2, "level": 2}


def test_members_are_fitted_on_the_first_part_only() -> None:
    means = machine_means(2, STEPS)
    changed = means.copy()
    changed[:, 300:] += 1e3

    one, other = (train_bucket(history_of(m), CONFIG)[0] for m in (means, changed))

    for member, parameters in one.parameters.items():
        for name, values in parameters.items():
            np.testing.assert_array_equal(other.parameters[member][name], values)


def test_calibration_sees_exactly_what_serving_would_have_said() -> None:
    history = history_of(machine_means(3, STEPS))
    shard, _ = train_bucket(history, CONFIG)
    served = score_windows(shard, BucketState.empty(HISTORY_LAGS), windows(machine_means(3, STEPS)), CONFIG.profile)

    log_tails = served.member_log_tails[:, : len(CONFIG.profile.members)].reshape(STEPS, 3, -1).mean(axis=2).T
    later = log_tails[:, int(CONFIG.fit_share * STEPS) :]

    np.testing.assert_array_equal(shard.combined.knots, calibrate(later).knots)


def test_a_bucket_without_enough_history_gives_an_empty_model() -> None:
    shard, report = train_bucket(history_of(machine_means(2, 50)), CONFIG)

    assert len(shard) == 0
    assert set(report.missing.values()) == {78}


def test_a_training_without_any_model_says_which_sensors_and_how_much_is_missing() -> None:
    reports = [train_bucket(history_of(machine_means(12, 50)), CONFIG)[1]]

    with pytest.raises(InsufficientDataError, match=r"sensor-00000 needs 78 more.* and 2 others"):
        require_trained(reports)


def test_a_training_without_any_window_says_so() -> None:
    with pytest.raises(InsufficientDataError, match="no window of any sensor"):
        require_trained([])


def test_a_training_with_one_model_is_accepted() -> None:
    require_trained([BucketReport(0, 0, {}, {"a": 3}), BucketReport(500, 1, {}, {})])


@pytest.mark.parametrize("change", [{"seed": 1}, {"fit_share": 0.5}, {"profile": ScoringProfile(quiet_windows=9)}])
def test_every_setting_changes_the_digest(change: dict[str, Any]) -> None:
    assert replace(CONFIG, **change).digest() != CONFIG.digest()


@pytest.mark.parametrize("wrong", [{"fit_share": 0.05}, {"fit_share": 0.95}, {"min_windows": 63}])
def test_a_setting_out_of_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainingConfig(**wrong)
