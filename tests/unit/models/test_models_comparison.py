from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.comparison import LISTED, Comparison, compare
from models.ensemble import ModelShard
from models.manifest import Manifest
from models.profile import ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import history_of, machine_means
from tests.unit.models.test_models_artifact import ENTRY, MANIFEST

STEPS = 200


def shard(sensors: int, scale: float = 1.0) -> ModelShard:
    """Return a model of sensors, the first of which has values `scale` times as large."""
    means = machine_means(sensors, STEPS)
    means[0] *= scale
    return train_bucket(history_of(means), TrainingConfig(ScoringProfile(members=("level",))))[0]


def manifest(*buckets: int, **changes: object) -> Manifest:
    return replace(MANIFEST.with_shards(dict.fromkeys(buckets, ENTRY)), **changes)


def compared(one: dict[int, ModelShard], other: dict[int, ModelShard], buckets: int = 8) -> Comparison:
    return compare(manifest(*one), one.get, manifest(*other, buckets=buckets), other.get)


def test_a_model_does_not_differ_from_itself() -> None:
    found = compared({3: shard(5)}, {3: shard(5)})

    assert (found.facts, found.common, found.gained, found.lost, found.moved) == ({}, 5, (), (), ())
    assert {(each.median, each.most, each.gained, each.lost) for each in found.drift} == {(0.0, 0.0, 0, 0)}


def test_what_the_manifests_say_otherwise_is_told_with_both_values() -> None:
    training = {**MANIFEST.training, "offsets": {"sensors": {"0": [0, 900], "1": [0, 7]}}, "seed": 3}
    other = manifest(3, profile=ScoringProfile(quiet_windows=9), training=training, created_at="later")

    assert compare(manifest(3), lambda _: None, other, lambda _: None).facts == {
        "profile.quiet_windows": (3, 9),
        "training.offsets.sensors.0": ([0, 800], [0, 900]),
        "training.offsets.sensors.1": (None, [0, 7]),
        "training.seed": (0, 3),
    }


def test_sensors_are_gained_and_lost_also_with_their_whole_bucket() -> None:
    small, large = shard(3), shard(5)
    extra = large.keys[3:].tolist()

    assert compared({3: small}, {3: large}).gained == tuple(extra)
    assert compared({3: large}, {3: small}).lost == tuple(extra)
    assert compared({}, {3: small}).gained == tuple(small.keys)
    assert compared({3: small}, {}).lost == tuple(small.keys)


def test_the_sensor_that_moved_is_named_and_the_median_does_not_move_with_it() -> None:
    before, after = shard(20), shard(20, scale=3.0)
    found = compared({3: before}, {3: after})

    # 2 |3 - 1| / (3 + 1) = 1
    assert found.moved == ((before.keys[0], pytest.approx(1.0, abs=0.01)),)
    assert {each.median for each in found.drift} == {0.0}
    assert [each.name for each in found.drift] == ["level.location", "level.scale"]
    assert all(each.sensors == 20 for each in found.drift)


def test_of_many_that_moved_those_that_moved_most_are_listed() -> None:
    before = shard(30)
    after = shard(30)
    after.parameters["level"]["location"] = after.parameters["level"]["location"] * np.linspace(
        1.0, 2.0, 30, dtype=np.float32
    ).reshape(-1, *[1] * (after.parameters["level"]["location"].ndim - 1))
    moved = compared({3: before}, {3: after}).moved

    assert [key for key, _ in moved] == before.keys[::-1][:LISTED].tolist()


def test_a_sensor_that_could_not_be_fitted_in_one_of_them_is_counted_and_not_measured() -> None:
    before, after = shard(4), shard(4)
    after.parameters["level"]["location"] = np.array(after.parameters["level"]["location"])
    after.parameters["level"]["location"][1] = np.nan
    (location, *_) = compared({3: before}, {3: after}).drift
    (back, *_) = compared({3: after}, {3: before}).drift

    assert (location.sensors, location.gained, location.lost) == (3, 0, 1)
    assert (back.sensors, back.gained, back.lost) == (3, 1, 0)


def test_models_of_other_buckets_are_compared_as_a_whole() -> None:
    whole = shard(6)
    first, second = shard(6), shard(6)
    halves = {}
    for bucket, half, part in ((0, first, slice(0, 3)), (1, second, slice(3, 6))):
        half.keys = half.keys[part]
        half.parameters = {"level": {name: rows[part] for name, rows in half.parameters["level"].items()}}
        halves[bucket] = half
    found = compared({3: whole}, halves, buckets=2)

    assert (found.common, found.gained, found.lost, found.moved) == (6, (), (), ())
    assert found.facts == {"buckets": (8, 2)}
    assert {each.sensors for each in found.drift} == {6}


def test_members_that_only_one_model_has_are_left_out() -> None:
    both = train_bucket(history_of(machine_means(4, STEPS)), TrainingConfig())[0]

    assert {each.name.split(".")[0] for each in compared({3: both}, {3: shard(4)}).drift} == {"level"}
