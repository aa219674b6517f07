from __future__ import annotations

import numpy as np
import pytest

from models.encoding import pack, unpack
from models.errors import ArtifactCorruptError, ArtifactIncompatibleError
from models.state import NEVER, BucketState

NAN = np.nan


def state_with(index: list[int], values: list[float], lags: int = 4) -> BucketState:
    """Return the state of one sensor, "a", after these windows."""
    state = BucketState.empty(lags)
    rows = state.rows_for(np.array(["a"], object))
    for i, value in zip(index, values, strict=True):
        state.push(rows, np.array([i]), np.array([value]))
    return state


def lags_of(state: BucketState, index: int) -> list[float]:
    return state.lags_before(np.array([0]), np.array([index]))[0].tolist()


def test_lags_are_the_past_means_oldest_first() -> None:
    assert lags_of(state_with([3, 4, 5, 6, 7], [3.0, 4.0, 5.0, 6.0, 7.0]), 8) == [4.0, 5.0, 6.0, 7.0]


def test_a_new_sensor_has_no_lags() -> None:
    np.testing.assert_array_equal(lags_of(state_with([], []), 8), [NAN] * 4)


def test_skipped_windows_are_gaps() -> None:
    np.testing.assert_array_equal(lags_of(state_with([3, 4, 7], [3.0, 4.0, 7.0]), 8), [4.0, NAN, NAN, 7.0])


def test_a_silence_longer_than_the_memory_forgets_all() -> None:
    np.testing.assert_array_equal(lags_of(state_with([3, 4, 40], [3.0, 4.0, 40.0]), 41), [NAN, NAN, NAN, 40.0])


def test_windows_between_the_last_and_the_asked_one_are_missing() -> None:
    np.testing.assert_array_equal(lags_of(state_with([3, 4], [3.0, 4.0]), 7), [3.0, 4.0, NAN, NAN])


def test_a_window_that_is_not_newer_is_ignored() -> None:
    state = state_with([3, 5, 4, 5], [3.0, 5.0, -1.0, -1.0])

    np.testing.assert_array_equal(lags_of(state, 6), [NAN, 3.0, NAN, 5.0])
    assert state.windows_seen.tolist() == [2]
    assert state.last_index.tolist() == [5]


def test_windows_before_1970_are_kept_like_any_other() -> None:
    assert lags_of(state_with([-3, -2, -1, 0], [1.0, 2.0, 3.0, 4.0]), 1) == [1.0, 2.0, 3.0, 4.0]


def test_sensors_are_kept_in_order_and_keep_their_past_when_others_join() -> None:
    state = BucketState.empty(2)
    state.push(state.rows_for(np.array(["m", "c"], object)), np.array([1, 1]), np.array([10.0, 20.0]))

    rows = state.rows_for(np.array(["z", "m", "a", "c", "m"], object))

    assert state.keys.tolist() == ["a", "c", "m", "z"]
    assert rows.tolist() == [3, 2, 0, 1, 2]
    np.testing.assert_array_equal(state.lags_before(rows, np.full(5, 2))[:, 1], [NAN, 10.0, NAN, 20.0, 10.0])
    assert state.open_index.tolist() == [NEVER] * 4


def test_the_bytes_do_not_depend_on_the_order_in_which_sensors_came() -> None:
    one, other = BucketState.empty(3), BucketState.empty(3)
    one.rows_for(np.array(["a", "b"], object))
    other.rows_for(np.array(["b"], object))
    other.rows_for(np.array(["a"], object))

    assert one.to_bytes() == other.to_bytes()


def test_a_sensor_costs_less_than_a_kibibyte() -> None:
    state = BucketState.empty(35)
    state.rows_for(np.array([f"pump-{i}\x1ftemperature-of-the-bearing" for i in range(1000)], object))

    assert len(state.to_bytes()) / 1000 < 1024


def test_a_restored_state_can_be_changed() -> None:
    state = BucketState.from_bytes(state_with([1], [1.0]).to_bytes())
    state.push(np.array([0]), np.array([2]), np.array([2.0]))

    np.testing.assert_array_equal(lags_of(state, 3), [NAN, NAN, 1.0, 2.0])


def test_a_truncated_state_is_refused() -> None:
    with pytest.raises(ArtifactCorruptError, match="state of a bucket"):
        BucketState.from_bytes(state_with([1], [1.0]).to_bytes()[:-8])


def test_a_state_of_another_layout_is_refused() -> None:
    attributes, arrays = unpack(state_with([1], [1.0]).to_bytes(), "state", 1, "here")

    with pytest.raises(ArtifactIncompatibleError, match="state version 2"):
        BucketState.from_bytes(pack("state", 2, attributes, arrays))


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("ring", np.zeros((1, 3))),
        ("peak", np.zeros(1, np.float32)),
        ("quiet", np.zeros(2, np.int32)),
        ("ends", np.zeros((1, 1), np.int64)),
        ("surplus", np.zeros(1)),
    ],
)
def test_a_state_with_an_array_of_another_shape_is_refused(name: str, replacement: np.ndarray) -> None:
    attributes, arrays = unpack(state_with([1], [1.0]).to_bytes(), "state", 1, "here")

    with pytest.raises(ArtifactCorruptError, match=name):
        BucketState.from_bytes(pack("state", 1, attributes, {**arrays, name: replacement}))
