"""A manifest that lies is refused before anything of its size is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.artifact import shard_from_bytes
from models.encoding import canonical_json, sha256
from models.errors import ArtifactCorruptError
from models.manifest import Manifest
from models.registry import Registry
from tests.unit.models.test_models_artifact import DATA, ENTRY, MANIFEST, PROFILE, SENSORS, forged

HUGE = 10**15


def shard(**changes: object) -> dict[str, Any]:
    return {"shards": {"3": {**vars(ENTRY), **changes}}}


def test_the_honest_manifest_is_accepted() -> None:
    assert Manifest.from_bytes(forged(**shard()), "manifest.json").shards == {3: ENTRY}


@pytest.mark.parametrize(
    "changes",
    [
        shard(bytes=HUGE),
        shard(sensors=HUGE),
        shard(sensors=100 * SENSORS),
        shard(bytes=0),
        {"shards": {"8": vars(ENTRY)}},
        {"shards": {"-1": vars(ENTRY)}},
        {"population": {"sha256": "0" * 64, "sensors": 0, "bytes": HUGE}},
        {"population": {"sha256": "0" * 64, "sensors": 0, "bytes": 1}},
    ],
)
def test_parts_of_sizes_that_the_members_cannot_have_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json: .* cannot have "):
        Manifest.from_bytes(forged(**changes), "manifest.json")


@pytest.mark.parametrize(
    "changes",
    [
        shard(bytes=-1),
        shard(bytes="9"),
        shard(bytes=1.5),
        shard(sensors=None),
        shard(sensors=True),
        shard(sha256="../../etc/passwd"),
        shard(sha256=7),
        shard(surplus=1),
        {"training": [1]},
        {"buckets": None},
        {"window_seconds": [10]},
    ],
)
def test_values_of_other_kinds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json: "):
        Manifest.from_bytes(forged(**changes), "manifest.json")


def lying(name: str, **changes: object) -> bytes:
    """Return the shard with a header that says other of one array, and the same data."""
    length = int.from_bytes(DATA[:8], "little")
    header = json.loads(DATA[8 : 8 + length])
    header[name] |= changes
    text = canonical_json(header)
    return len(text).to_bytes(8, "little") + text + DATA[8 + length :]


@pytest.mark.parametrize(
    "data",
    [
        lying("level/scale", shape=[HUGE]),
        lying("level/scale", shape=[SENSORS, HUGE, 0]),
        lying("level/scale", shape=["4"], dtype="F1024"),
        lying("level/scale", shape=4),
        lying("text", shape=[HUGE, 2]),
    ],
)
def test_a_header_that_promises_what_is_not_there_is_refused_whoever_made_its_digest(data: bytes) -> None:
    entry = type(ENTRY)(sha256(data), SENSORS, len(data))

    with pytest.raises(ArtifactCorruptError, match=r"file\.safetensors: "):
        shard_from_bytes(data, entry, PROFILE, "file.safetensors")


def test_a_giant_in_the_place_of_a_shard_is_not_read_to_its_end(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    version = registry.publish(MANIFEST.with_shards({}), [(3, DATA)])
    (path,) = (tmp_path / "versions" / version).glob("*.safetensors")
    with path.open("wb") as file:
        file.truncate(HUGE // 1000)  # sparse: 1 TB that take no room, until they are read

    with pytest.raises(ArtifactCorruptError, match=f"{len(DATA) + 1} bytes where the manifest names {len(DATA)}"):
        registry.load_shard(version, 3)
