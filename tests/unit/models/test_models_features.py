from __future__ import annotations

import numpy as np
import pytest

from models.errors import InsufficientDataError
from models.features import WINDOW_FEATURES, FeatureSpec, History, WindowBatch
from tests.unit.models.synthetic import features_of, sensor_keys, windows


def test_the_digest_of_a_feature_spec_changes_with_order_units_and_version() -> None:
    spec = FeatureSpec(("a", "b"), ("x", "y"), 1)
    others = [
        FeatureSpec(("b", "a"), ("x", "y"), 1),
        FeatureSpec(("a", "b"), ("y", "x"), 1),
        FeatureSpec(("a", "b"), ("x", "y"), 2),
    ]

    assert FeatureSpec(("a", "b"), ("x", "y"), 1).digest() == spec.digest()
    assert spec.digest() not in {other.digest() for other in others}


def test_a_feature_spec_refuses_a_name_without_a_unit() -> None:
    with pytest.raises(ValueError, match="one unit for each"):
        FeatureSpec(("a", "b"), ("x",), 1)


def test_a_batch_refuses_arrays_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="do not form windows"):
        WindowBatch(sensor_keys(2), np.zeros(3, np.int64), np.zeros((2, len(WINDOW_FEATURES.names))))


def test_a_sorted_batch_is_ordered_by_index_and_then_key() -> None:
    batch = windows(np.arange(6.0).reshape(3, 2), first_index=7)
    shuffled = np.array([4, 0, 5, 2, 1, 3])
    ordered = WindowBatch(batch.keys[shuffled], batch.index[shuffled], batch.features[shuffled]).sorted()

    assert ordered.index.tolist() == [7, 7, 7, 8, 8, 8]
    assert ordered.keys.tolist() == [*sensor_keys(3), *sensor_keys(3)]
    assert ordered.features[:, WINDOW_FEATURES.column("mean")].tolist() == [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]


def test_a_window_that_occurs_twice_is_refused() -> None:
    keys = np.array(["a", "b", "a"], object)

    with pytest.raises(ValueError, match="window 5 of 'a' occurs twice"):
        WindowBatch(keys, np.array([5, 5, 5]), features_of(np.zeros(3))).sorted()


def test_a_history_has_nan_where_a_sensor_has_no_window() -> None:
    means = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 6.0]])

    history = History.from_windows(windows(means, first_index=100))

    assert history.first_index == 100
    assert history.keys.tolist() == sensor_keys(2).tolist()
    np.testing.assert_array_equal(history.column("mean"), means)
    np.testing.assert_array_equal(history.observed, ~np.isnan(means))


def test_a_history_of_no_windows_has_no_sensors_and_no_time() -> None:
    empty = WindowBatch(np.empty(0, object), np.empty(0, np.int64), np.empty((0, len(WINDOW_FEATURES.names))))

    assert History.from_windows(empty).features.shape == (0, 0, len(WINDOW_FEATURES.names))


def test_a_stray_window_of_another_century_is_refused_instead_of_filling_the_memory() -> None:
    batch = WindowBatch(np.array(["a", "a"], object), np.array([0, 2**40]), features_of(np.zeros(2)))

    with pytest.raises(InsufficientDataError, match="narrow the event-time range"):
        History.from_windows(batch)
