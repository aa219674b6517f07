"""A registry in an object store: no renaming, no locks, a version is there when its manifest is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from models.errors import ArtifactCorruptError, ArtifactUntrustedError, RegistryError, StoreError
from models.object_store import ObjectStore
from models.registry import Registry
from models.signing import SigningKey, TrustedKeys
from tests.unit.models.test_models_artifact import DATA, MANIFEST, SENSORS

DRAFT = MANIFEST.with_shards({})
MEMORY = fsspec.filesystem("memory")


@pytest.fixture
def address() -> Iterator[str]:
    yield "memory://bucket/models"
    MEMORY.store.clear()
    MEMORY.pseudo_dirs[:] = [""]


@pytest.fixture
def registry(address: str) -> Registry:
    return Registry(address)


def test_a_version_that_was_published_is_found_and_loaded_by_others(address: str, registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    registry.set_alias("champion", version)

    other = Registry(address)
    assert other.versions() == [version] == [f"0001-{MANIFEST.digest[:8]}"]
    assert other.verify(other.resolve("champion")) == MANIFEST
    shard = other.load_shard(version, 3)
    assert shard is not None
    assert len(shard) == SENSORS


def test_versions_are_numbered_and_the_same_model_is_one_version(registry: Registry) -> None:
    first = registry.publish(DRAFT, [(3, DATA)])
    second = registry.publish(DRAFT, [(4, DATA)])

    assert registry.publish(replace(DRAFT, created_at="later"), [(3, DATA)]) == first
    assert registry.versions() == [first, second]
    assert second.startswith("0002-")


def test_an_alias_is_moved_and_rolled_back(registry: Registry) -> None:
    old, new = registry.publish(DRAFT, [(3, DATA)]), registry.publish(DRAFT, [(4, DATA)])
    registry.set_alias("champion", old)
    registry.set_alias("champion", new)

    registry.roll_back("champion", registry.before("champion"))

    assert registry.aliases() == {"champion": old}


def test_the_manifest_is_written_last(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    put = MEMORY.put_file

    def noted(local: str, remote: str) -> None:
        assert registry.versions() == []
        written.append(remote.rsplit("/", 1)[-1])
        put(local, remote)

    monkeypatch.setattr(MEMORY, "put_file", noted)
    registry.publish(DRAFT, [(3, DATA), (4, DATA)], key=SigningKey.new())

    assert written[-1] == "manifest.json"
    assert set(written[:-1]) == {"manifest.sig", "bucket-00003.safetensors", "bucket-00004.safetensors"}


def test_a_version_whose_publisher_died_is_not_there_and_the_next_takes_its_place(
    address: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = MEMORY.put_file

    def dying(local: str, remote: str) -> None:
        if remote.endswith("manifest.json"):
            raise ConnectionResetError("gone")
        put(local, remote)

    monkeypatch.setattr(MEMORY, "put_file", dying)
    with pytest.raises(StoreError, match=f"{address}: ConnectionResetError: gone; check model.registry, network"):
        registry.publish(DRAFT, [(3, DATA)])
    monkeypatch.undo()

    assert registry.versions() == []
    with pytest.raises(RegistryError, match="no version or alias"):
        registry.manifest(f"0001-{MANIFEST.digest[:8]}")
    assert registry.verify(registry.publish(DRAFT, [(3, DATA)])) == MANIFEST


def test_a_signed_version_is_trusted_by_its_key_alone(address: str, registry: Registry) -> None:
    key = SigningKey.new()
    version = registry.publish(DRAFT, [(3, DATA)], key=key)

    assert Registry(address, TrustedKeys({"a.pem": key.public_pem()})).signer(version) == key.id
    with pytest.raises(ArtifactUntrustedError, match="has signed it"):
        Registry(address, TrustedKeys({"b.pem": SigningKey.new().public_pem()})).verify(version)


def test_a_damaged_object_is_named_by_its_address(address: str, registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    path = f"{address}/versions/{version}/bucket-00003.safetensors"
    MEMORY.pipe_file(path, DATA[:-1])

    with pytest.raises(ArtifactCorruptError, match=f"{path}: {len(DATA) - 1} bytes"):
        registry.verify(version)
    MEMORY.rm_file(path)
    with pytest.raises(ArtifactCorruptError, match=f"{path}: is missing"):
        registry.verify(version)


def test_no_more_of_an_object_is_read_than_is_asked_for(address: str) -> None:
    MEMORY.pipe_file(f"{address}/giant", b"x" * 1000)

    assert ObjectStore(address).read("giant", 10) == b"x" * 10


def test_a_store_that_does_not_answer_is_no_empty_registry(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("AccessDenied")

    for name in ("ls", "info", "cat_file"):
        monkeypatch.setattr(MEMORY, name, refused)
    for ask in (registry.versions, registry.aliases, lambda: registry.resolve("0001-deadbeef")):
        with pytest.raises(StoreError, match=r"AccessDenied; check model\.registry, network and credentials"):
            ask()


def test_a_bucket_that_does_not_exist_cannot_be_written_to(
    address: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise FileNotFoundError("The specified bucket does not exist")

    monkeypatch.setattr(MEMORY, "put_file", absent)
    with pytest.raises(StoreError, match=f"{address}: FileNotFoundError: The specified bucket does not exist"):
        registry.publish(DRAFT, [(3, DATA)])


def test_an_address_without_a_driver_says_so() -> None:
    fsspec.register_implementation("absent", "no.such.Driver", clobber=True, errtxt="Install absentfs to access it")

    with pytest.raises(StoreError, match=r"absent://x/models: Install absentfs .* a package of its own, install it"):
        Registry("absent://x/models")
    with pytest.raises(StoreError, match="nowhere://x/models: ValueError: Protocol not known"):
        Registry("nowhere://x/models")


def test_the_address_of_a_local_directory_is_that_directory(tmp_path: Path) -> None:
    version = Registry(f"file://{tmp_path}/models").publish(DRAFT, [(3, DATA)])

    assert Registry(tmp_path / "models").versions() == [version]
    assert (tmp_path / "models" / "versions" / version / "manifest.json").exists()
