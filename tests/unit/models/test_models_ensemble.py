from __future__ import annotations

import numpy as np
import pytest

from models.ensemble import ModelShard, ScoredWindows, score_windows
from models.errors import ArtifactIncompatibleError, NotFittedError
from models.features import WINDOW_FEATURES, WindowBatch
from models.incidents import Transition
from models.profile import ScoringProfile
from models.state import BucketState
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import features_of, history_of, machine_means, sensor_keys, windows

SENSORS, TRAINED, LIVE = 6, 500, 120
PROFILE = ScoringProfile()
MEANS = machine_means(SENSORS, TRAINED + LIVE)


@pytest.fixture(scope="module")
def shard() -> ModelShard:
    return train_bucket(history_of(MEANS[:, :TRAINED]), TrainingConfig(PROFILE))[0]


def warm_state(shard: ModelShard | None) -> BucketState:
    """Return a state that has seen the end of the training range."""
    state = BucketState.empty(PROFILE.lags)
    score_windows(shard, state, windows(MEANS[:, TRAINED - 50 : TRAINED], TRAINED - 50), PROFILE)
    return state


def score_live(shard: ModelShard | None, means: np.ndarray = MEANS) -> ScoredWindows:
    return score_windows(shard, warm_state(shard), windows(means[:, TRAINED:], TRAINED), PROFILE)


def test_windows_come_out_ordered_by_index_and_key(shard: ModelShard) -> None:
    scored = score_live(shard)

    assert scored.index.tolist() == np.repeat(np.arange(TRAINED, TRAINED + LIVE), SENSORS).tolist()
    assert scored.keys.tolist() == sensor_keys(SENSORS).tolist() * LIVE


def test_normal_windows_rarely_reach_the_threshold(shard: ModelShard) -> None:
    assert (score_live(shard).score >= PROFILE.threshold).mean() < 0.02


def test_the_expected_value_lies_within_its_bounds_and_near_the_mean(shard: ModelShard) -> None:
    scored = score_live(shard)
    means = windows(MEANS[:, TRAINED:], TRAINED).sorted().features[:, WINDOW_FEATURES.column("mean")]

    assert ((scored.lower < scored.expected) & (scored.expected < scored.upper)).all()
    assert ((scored.lower <= means) & (means <= scored.upper)).mean() > 0.98


def test_a_spike_opens_an_incident_of_its_sensor_alone(shard: ModelShard) -> None:
    means = MEANS.copy()
    means[2, TRAINED + 60] *= 2

    scored = score_live(shard, means)

    at = scored.index == TRAINED + 60
    assert scored.transition[at].tolist()[2] == Transition.OPENED
    assert scored.score[at][2] > scored.score[at][[0, 1, 3, 4, 5]].max()
    assert scored.statistic[at][2] in [WINDOW_FEATURES.column(name) for name in ("mean", "min", "max")]


def test_the_shares_of_the_members_sum_to_one(shard: ModelShard) -> None:
    np.testing.assert_allclose(np.nansum(score_live(shard).shares, axis=1), 1.0)


def test_sensors_without_a_model_are_learning_and_have_no_score_where_the_population_has_none_either(
    shard: ModelShard,
) -> None:
    keys = np.array(["a new one", sensor_keys(1)[0]], object)
    batch = WindowBatch(keys, np.full(2, TRAINED), features_of(MEANS[[0, 0], TRAINED]))

    scored = score_windows(shard, warm_state(shard), batch, PROFILE)

    assert scored.learning.tolist() == [True, False]
    assert np.isnan(scored.score).tolist() == [True, False]
    assert np.isnan(scored.shares).all(axis=1).tolist() == [True, False]
    assert scored.statistic[0] == -1


def test_without_a_model_the_history_is_kept_for_the_next_one(shard: ModelShard) -> None:
    batch = windows(MEANS[:, TRAINED:], TRAINED)

    late_model = score_windows(shard, warm_state(None), batch, PROFILE)

    np.testing.assert_array_equal(late_model.score, score_live(shard).score)


def test_without_lags_the_level_alone_judges(shard: ModelShard) -> None:
    state = BucketState.empty(PROFILE.lags)

    scored = score_windows(shard, state, windows(MEANS[:, [TRAINED]], TRAINED), PROFILE)

    autoregression, level = (PROFILE.members.index(name) for name in ("autoregression", "level"))
    assert np.isnan(scored.member_log_tails[:, autoregression]).all()
    np.testing.assert_array_equal(scored.score, scored.member_log_tails[:, level])
    np.testing.assert_array_equal(scored.shares[:, level], 1.0)
    assert np.isfinite(scored.expected).all()


def test_a_window_that_is_not_newer_gets_no_score_and_changes_nothing(shard: ModelShard) -> None:
    state = warm_state(shard)
    before = state.to_bytes()

    scored = score_windows(shard, state, windows(10 * MEANS[:, [TRAINED - 1]], TRAINED - 1), PROFILE)

    assert np.isnan(scored.score).all()
    assert not scored.learning.any()
    assert not scored.transition.any()
    assert state.to_bytes() == before


def test_an_empty_batch_gives_an_empty_result(shard: ModelShard) -> None:
    empty = windows(np.empty((0, 0)))

    scored = score_windows(shard, warm_state(shard), empty, PROFILE)

    assert len(scored.keys) == 0
    assert scored.shares.shape == (0, len(PROFILE.judges))


def test_a_shard_without_a_member_of_the_profile_is_refused(shard: ModelShard) -> None:
    lacking = ModelShard(shard.keys, {"level": shard.parameters["level"]}, shard.calibrations, shard.combined)

    with pytest.raises(NotFittedError, match="autoregression"):
        score_live(lacking)


def test_a_state_with_too_short_a_memory_is_refused(shard: ModelShard) -> None:
    with pytest.raises(ArtifactIncompatibleError, match="keeps 3 past windows"):
        score_windows(shard, BucketState.empty(3), windows(MEANS[:, :1]), PROFILE)


def test_a_longer_memory_than_needed_gives_the_same_scores(shard: ModelShard) -> None:
    batch = windows(MEANS[:, TRAINED - 50 :], TRAINED - 50)

    longer = score_windows(shard, BucketState.empty(PROFILE.lags + 13), batch, PROFILE)

    exact = score_windows(shard, BucketState.empty(PROFILE.lags), batch, PROFILE)
    np.testing.assert_array_equal(longer.score, exact.score)
