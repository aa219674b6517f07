from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.artifact import FORMAT_VERSION, ShardEntry, describe_shard, shard_from_bytes, shard_to_bytes
from models.encoding import canonical_json, pack, sha256, unpack
from models.errors import ArtifactCorruptError, ArtifactIncompatibleError
from models.manifest import Manifest
from models.profile import ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import history_of, machine_means

PROFILE = ScoringProfile()
SENSORS = 4
SHARD = train_bucket(history_of(machine_means(SENSORS, 200)), TrainingConfig(PROFILE))[0]
DATA = shard_to_bytes(SHARD, PROFILE)
ENTRY = describe_shard(DATA, "shard")
MANIFEST = Manifest(
    buckets=8,
    window_seconds=10.0,
    slide_seconds=5.0,
    profile=PROFILE,
    training={"topics": ["sensors"], "offsets": {"sensors": {"0": [0, 800]}}, "seed": 0},
    created_at="2025-01-01T00:00:00Z",
).with_shards({3: ENTRY})


def forged(**changes: object) -> bytes:
    """Return the manifest's bytes with changed content and a matching digest."""
    value = {**json.loads(MANIFEST.to_bytes()), **changes}
    content = {key: value[key] for key in value if key not in ("created_at", "digest")}
    return canonical_json({**value, "digest": sha256(canonical_json(content))})


def test_a_shard_comes_back_as_it_was() -> None:
    back = shard_from_bytes(DATA, ENTRY, PROFILE, "shard")

    assert back.keys.tolist() == SHARD.keys.tolist()
    assert shard_to_bytes(back, PROFILE) == DATA


def test_the_entry_of_a_shard_names_its_digest_sensors_and_size() -> None:
    assert ShardEntry(sha256(DATA), SENSORS, len(DATA)) == ENTRY


def test_a_sensor_costs_at_most_512_bytes() -> None:
    wide = train_bucket(history_of(machine_means(200, 130)), TrainingConfig(PROFILE))[0]

    assert len(shard_to_bytes(wide, PROFILE)) / len(wide) <= 512


@pytest.mark.parametrize("position", [0, 8, 100, len(DATA) // 2, len(DATA) - 1])
def test_any_changed_byte_is_noticed(position: int) -> None:
    damaged = bytearray(DATA)
    damaged[position] ^= 1

    with pytest.raises(ArtifactCorruptError, match=r"file\.safetensors: .*publish the model again"):
        shard_from_bytes(bytes(damaged), ENTRY, PROFILE, "file.safetensors")


def test_a_truncated_shard_is_noticed() -> None:
    with pytest.raises(ArtifactCorruptError, match="bytes where the manifest names"):
        shard_from_bytes(DATA[:-1], ENTRY, PROFILE, "shard")


def test_a_shard_of_another_profile_is_refused_before_it_serves() -> None:
    with pytest.raises(ArtifactCorruptError, match="lacks or adds autoregression/coefficients"):
        shard_from_bytes(DATA, ENTRY, ScoringProfile(members=("level",)), "shard")


def test_a_shard_whose_arrays_have_another_shape_is_refused() -> None:
    attributes, arrays = unpack(DATA, "shard", FORMAT_VERSION, "shard")
    data = pack("shard", FORMAT_VERSION, attributes, {**arrays, "level/scale": np.zeros((SENSORS, 3))})

    with pytest.raises(ArtifactCorruptError, match="level/scale"):
        shard_from_bytes(data, describe_shard(data, "shard"), PROFILE, "shard")


def test_foreign_bytes_are_no_shard() -> None:
    with pytest.raises(ArtifactCorruptError, match="not a file of Tidemark"):
        describe_shard(b"\x80\x04\x95pickled", "shard")


def test_a_manifest_comes_back_as_it_was() -> None:
    assert Manifest.from_bytes(MANIFEST.to_bytes(), "manifest.json") == MANIFEST


def test_partitions_may_be_numbers_in_the_training_facts() -> None:
    manifest = replace(MANIFEST, training={"offsets": {2: [0, 5], 10: [0, 7]}})

    assert Manifest.from_bytes(manifest.to_bytes(), "manifest.json").digest == manifest.digest


def test_the_digest_leaves_out_only_the_time_of_creation() -> None:
    assert replace(MANIFEST, created_at="later").digest == MANIFEST.digest
    others = [
        replace(MANIFEST, buckets=16),
        replace(MANIFEST, slide_seconds=10.0),
        replace(MANIFEST, profile=ScoringProfile(quiet_windows=9)),
        replace(MANIFEST, training={}),
        MANIFEST.with_shards({}),
    ]
    assert MANIFEST.digest not in {other.digest for other in others}


def test_an_edited_manifest_is_noticed() -> None:
    edited = MANIFEST.to_bytes().replace(b'"buckets": 8', b'"buckets": 9')

    with pytest.raises(ArtifactCorruptError, match="digest does not match"):
        Manifest.from_bytes(edited, "manifest.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        MANIFEST.to_bytes().replace(b": 8,", b": NaN,"),
        MANIFEST.to_bytes()[:-20],
    ],
)
def test_bytes_that_are_no_manifest_are_corrupt(data: bytes) -> None:
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json: "):
        Manifest.from_bytes(data, "manifest.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": FORMAT_VERSION + 1},
        {"features": {"names": ["mean"], "digest": "0" * 64}},
        {"profile": {**PROFILE.to_json(), "members": ["oracle"]}},
    ],
)
def test_a_manifest_of_another_program_is_incompatible_and_says_train(changes: dict[str, object]) -> None:
    with pytest.raises(ArtifactIncompatibleError, match="train a new version"):
        Manifest.from_bytes(forged(**changes), "manifest.json")


@pytest.mark.parametrize("changes", [{"shards": []}, {"profile": {"members": ["level"], "surplus": 1}}])
def test_a_manifest_of_another_structure_is_corrupt(changes: dict[str, object]) -> None:
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json: "):
        Manifest.from_bytes(forged(**changes), "manifest.json")
