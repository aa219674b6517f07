"""A tiled model judges each sensor as the trained one it stands for, and lies where the job looks for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.feed import sensor_ids
from bench.placement import buckets_of
from bench.tiling import Tiling, tile
from detector.pipeline.schema import KEY_SEPARATOR
from models.artifact import shard_to_bytes
from models.ensemble import score_windows
from models.features import History, KeyArray, WindowBatch
from models.manifest import Manifest
from models.profile import HISTORY_LAGS, ScoringProfile
from models.registry import Registry
from models.state import BucketState
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import features_of, machine_means

TRAINED, TILED, BUCKETS = 6, 20, 4
STEPS = 160


def keys_of(numbers: np.ndarray) -> KeyArray:
    return np.array([f"{name}{KEY_SEPARATOR}{name}" for name in sensor_ids(numbers)], object)


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Registry, str]:
    return publish(tmp_path, np.arange(TRAINED))


def publish(root: Path, numbers: np.ndarray) -> tuple[Registry, str]:
    config = TrainingConfig(ScoringProfile())
    draft = Manifest(2, 10.0, 10.0, config.profile, {"sensors": len(numbers)}, "2026-01-01T00:00:00+00:00")
    features = features_of(machine_means(len(numbers), STEPS))
    bucket = buckets_of(sensor_ids(numbers), 2)
    shards = []
    for wanted in np.unique(bucket).tolist():
        own = bucket == wanted
        shard, _ = train_bucket(History(keys_of(numbers[own]), 0, features[own]), config)
        shards.append((wanted, shard_to_bytes(shard, config.profile)))
    registry = Registry(root / "trained")
    return registry, registry.publish(draft, shards)


def score_of(registry: Registry, version: str, number: int, buckets: int) -> float:
    bucket = int(buckets_of(sensor_ids(np.array([number])), buckets)[0])
    shard = registry.load_shard(version, bucket)
    features = features_of(machine_means(TRAINED, STEPS))[number % TRAINED, -1:]
    batch = WindowBatch(keys_of(np.array([number])), np.array([STEPS]), features)
    profile = registry.manifest(version).profile
    return float(score_windows(shard, BucketState.empty(HISTORY_LAGS), batch, profile).score[0])


def test_a_tiled_sensor_scores_as_the_trained_sensor_it_stands_for(trained, tmp_path):
    source, version = trained
    target = Registry(tmp_path / "tiled")
    tiled = tile(source, version, target, Tiling(TILED, BUCKETS))
    for number in range(TILED):
        expected = score_of(source, version, number % TRAINED, 2)
        assert np.isfinite(expected)
        assert score_of(target, tiled, number, BUCKETS) == expected


def test_a_tiled_model_is_the_champion_has_all_sensors_and_names_its_origin(trained, tmp_path):
    source, version = trained
    target = Registry(tmp_path / "tiled")
    tiled = tile(source, version, target, Tiling(TILED, BUCKETS))
    manifest = target.verify(tiled)
    assert target.resolve("champion") == tiled
    assert sum(entry.sensors for entry in manifest.shards.values()) == TILED
    assert manifest.training["tiled_from"] == source.manifest(version).digest
    assert manifest.profile == source.manifest(version).profile


def test_a_model_of_other_sensors_is_refused(tmp_path):
    source, version = publish(tmp_path, np.arange(TRAINED) + 5)
    with pytest.raises(ValueError, match="train it on one"):
        tile(source, version, Registry(tmp_path / "tiled"), Tiling(TILED, BUCKETS))
