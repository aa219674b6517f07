from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.aliases import REMEMBERED
from models.errors import ArtifactCorruptError, ArtifactUntrustedError, RegistryError, StoreError
from models.profile import ScoringProfile
from models.registry import Registry
from models.signing import SigningKey, TrustedKeys
from tests.unit.models.test_models_artifact import DATA, MANIFEST, SENSORS

DRAFT = MANIFEST.with_shards({})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def shard_file(registry_root: Path, version: str) -> Path:
    return next((registry_root / "versions" / version).glob("*.safetensors"))


def test_a_published_version_is_numbered_and_named_by_its_digest(registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])

    assert version == f"0001-{MANIFEST.digest[:8]}"
    assert registry.manifest(version) == MANIFEST
    assert registry.versions() == [version]


def test_a_shard_is_loaded_by_bucket_and_absent_buckets_have_none(registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])

    shard = registry.load_shard(version, 3)
    assert shard is not None
    assert len(shard) == SENSORS
    assert registry.load_shard(version, 4) is None


def test_the_same_model_published_twice_is_one_version(registry: Registry) -> None:
    first = registry.publish(DRAFT, [(3, DATA)])

    assert registry.publish(replace(DRAFT, created_at="later"), [(3, DATA)]) == first
    assert registry.versions() == [first]


def test_versions_are_listed_in_the_order_of_publication(registry: Registry) -> None:
    published = [registry.publish(replace(DRAFT, training={"n": n}), [(n, DATA)]) for n in range(3)]

    assert registry.versions() == published
    assert [version[:4] for version in published] == ["0001", "0002", "0003"]


def test_an_alias_resolves_to_its_version_and_rolls_back(registry: Registry) -> None:
    old = registry.publish(DRAFT, [(3, DATA)])
    new = registry.publish(DRAFT, [(4, DATA)])

    registry.set_alias("champion", new)
    assert registry.resolve("champion") == new
    registry.set_alias("champion", old)
    assert registry.resolve("champion") == old
    assert registry.resolve(new) == new
    assert registry.aliases() == {"champion": old}


def test_an_alias_goes_back_step_by_step_to_the_versions_it_named_before(registry: Registry) -> None:
    one, two, three = (registry.publish(DRAFT, [(bucket, DATA)]) for bucket in (1, 2, 3))
    for version in (one, two, two, three):  # the same again is no step
        registry.set_alias("champion", version)

    for wanted in (two, one):
        assert registry.before("champion") == wanted
        registry.roll_back("champion", wanted)
        assert registry.resolve("champion") == wanted
    with pytest.raises(RegistryError, match="has pointed at no version before"):
        registry.before("champion")
    with pytest.raises(RegistryError, match="has pointed at no version before"):
        registry.before("challenger")


def test_a_version_that_was_gone_back_from_is_no_step_of_the_next_way_back(registry: Registry) -> None:
    good, bad, better = (registry.publish(DRAFT, [(bucket, DATA)]) for bucket in (1, 2, 3))
    registry.set_alias("champion", good)
    registry.set_alias("champion", bad)
    registry.roll_back("champion", good)
    registry.set_alias("champion", better)

    assert registry.before("champion") == good


def test_an_alias_that_was_moved_meanwhile_is_not_rolled_back(registry: Registry) -> None:
    one, two, three = (registry.publish(DRAFT, [(bucket, DATA)]) for bucket in (1, 2, 3))
    registry.set_alias("champion", one)
    registry.set_alias("champion", two)
    seen = registry.before("champion")
    registry.set_alias("champion", three)

    with pytest.raises(RegistryError, match="was moved meanwhile"):
        registry.roll_back("champion", seen)
    assert registry.aliases() == {"champion": three}


def test_each_alias_has_a_past_of_its_own(registry: Registry) -> None:
    one, two = (registry.publish(DRAFT, [(bucket, DATA)]) for bucket in (1, 2))
    registry.set_alias("champion", one)
    registry.set_alias("challenger", two)
    registry.set_alias("champion", two)

    registry.roll_back("champion", one)

    assert registry.aliases() == {"champion": one, "challenger": two}


def test_a_long_past_is_forgotten_from_its_beginning(registry: Registry, tmp_path: Path) -> None:
    one, two = (registry.publish(DRAFT, [(bucket, DATA)]) for bucket in (1, 2))
    for version in [one, two] * REMEMBERED:
        registry.set_alias("champion", version)

    kept = json.loads((tmp_path / "registry" / "aliases.json").read_bytes())["champion"]
    assert len(kept) == REMEMBERED + 1
    assert kept[-1] == two


def test_a_registry_with_trusted_keys_gives_only_what_they_have_signed(registry: Registry, tmp_path: Path) -> None:
    key = SigningKey.new()
    strict = Registry(tmp_path / "registry", TrustedKeys({"key.pem": key.public_pem()}))
    unsigned = registry.publish(DRAFT, [(3, DATA)])
    signed = registry.publish(DRAFT, [(4, DATA)], key=key)

    assert strict.verify(signed).shards.keys() == {4}
    assert strict.signer(signed) == registry.signer(signed) == key.id
    assert registry.signer(unsigned) is None
    for read in (strict.manifest, strict.verify, strict.signer, lambda version: strict.load_shard(version, 3)):
        with pytest.raises(ArtifactUntrustedError, match=rf"{unsigned}/manifest\.json: it is not signed"):
            read(unsigned)


def test_a_signed_version_that_is_changed_is_refused_though_its_digests_fit(registry: Registry, tmp_path: Path) -> None:
    key = SigningKey.new()
    version = registry.publish(DRAFT, [(3, DATA)], key=key)
    path = tmp_path / "registry" / "versions" / version / "manifest.json"
    path.write_bytes(replace(registry.manifest(version), created_at="2099-01-01").to_bytes())

    assert registry.verify(version).created_at == "2099-01-01"
    with pytest.raises(ArtifactUntrustedError, match="not for these bytes"):
        Registry(tmp_path / "registry", TrustedKeys({"key.pem": key.public_pem()})).manifest(version)


def test_a_version_that_was_there_unsigned_is_signed_by_who_publishes_it_again(registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    key = SigningKey.new()

    assert registry.publish(replace(DRAFT, created_at="later"), [(3, DATA)], key=key) == version
    assert registry.signer(version) == key.id
    assert registry.manifest(version) == MANIFEST


def test_a_damaged_version_is_not_signed(registry: Registry, tmp_path: Path) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    shard_file(tmp_path / "registry", version).write_bytes(DATA[:-1])

    with pytest.raises(ArtifactCorruptError, match="bytes where the manifest names"):
        registry.sign(version, SigningKey.new())
    assert registry.signer(version) is None


def test_what_is_loaded_is_the_model_that_was_checked_before(registry: Registry) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])

    assert registry.load_shard(version, 3, MANIFEST.digest) is not None
    assert registry.load_population(version, MANIFEST.digest) is None
    for load in (lambda: registry.load_shard(version, 3, "0" * 64), lambda: registry.load_population(version, "0")):
        with pytest.raises(ArtifactCorruptError, match="is another one than at the start"):
            load()


def test_a_registry_that_cannot_be_reached_says_where_and_what_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file")

    with pytest.raises(StoreError, match=f"{tmp_path / 'registry'}.*: .*; check the disk of model.registry"):
        Registry(tmp_path / "registry").publish(DRAFT, [(3, DATA)])
    with pytest.raises(StoreError, match="check the disk"):
        Registry(tmp_path / "registry").aliases()


@pytest.mark.parametrize("ref", ["champion", "0001-deadbeef", "../versions", ""])
def test_an_unknown_reference_is_refused_with_what_there_is(registry: Registry, ref: str) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])

    with pytest.raises(RegistryError, match=version):
        registry.resolve(ref)


@pytest.mark.parametrize("alias", ["", "0001-deadbeef", "Champion", "a/b"])
def test_an_alias_that_is_no_name_is_refused(registry: Registry, alias: str) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])

    with pytest.raises(RegistryError, match="alias"):
        registry.set_alias(alias, version)


def test_an_alias_is_not_set_to_a_version_that_does_not_exist(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="has no version"):
        registry.set_alias("champion", "0001-deadbeef")


@pytest.mark.parametrize("buckets", [[3, 3], [8], [-1]])
def test_a_bucket_that_comes_twice_or_is_out_of_range_is_refused(registry: Registry, buckets: list[int]) -> None:
    with pytest.raises(RegistryError, match="bucket"):
        registry.publish(DRAFT, [(bucket, DATA) for bucket in buckets])
    assert registry.versions() == []


def test_a_publication_that_fails_midway_leaves_nothing_behind(registry: Registry, tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[int, bytes]]:
        yield 3, DATA
        raise OSError("the training stopped")

    with pytest.raises(OSError, match="the training stopped"):
        registry.publish(DRAFT, failing())

    assert registry.versions() == []
    assert list((tmp_path / "registry" / "staging").iterdir()) == []


def test_what_a_publisher_that_died_left_behind_is_removed_by_the_next(registry: Registry, tmp_path: Path) -> None:
    leftover = tmp_path / "registry" / "staging" / "of-the-dead"
    leftover.mkdir(parents=True)
    (leftover / "bucket-00001.safetensors").write_bytes(b"half")

    registry.publish(DRAFT, [(3, DATA)])

    assert not leftover.exists()


def test_an_alias_can_be_set_while_another_version_is_being_published(registry: Registry) -> None:
    old = registry.publish(DRAFT, [(3, DATA)])

    def interrupted() -> Iterator[tuple[int, bytes]]:
        registry.set_alias("champion", old)
        yield 5, DATA

    new = registry.publish(DRAFT, interrupted())

    assert registry.aliases() == {"champion": old}
    assert registry.versions() == [old, new]
    assert registry.verify(new).shards.keys() == {5}


def test_a_damaged_shard_is_found_by_load_and_by_verify(registry: Registry, tmp_path: Path) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    path = shard_file(tmp_path / "registry", version)
    path.write_bytes(DATA[:-1] + b"\xff")

    for read in (lambda: registry.load_shard(version, 3), lambda: registry.verify(version)):
        with pytest.raises(ArtifactCorruptError, match=path.name):
            read()


@pytest.mark.parametrize("name", ["manifest.json", "bucket-00003.safetensors"])
def test_a_missing_file_is_named(registry: Registry, tmp_path: Path, name: str) -> None:
    version = registry.publish(DRAFT, [(3, DATA)])
    (tmp_path / "registry" / "versions" / version / name).unlink()

    with pytest.raises(ArtifactCorruptError, match=f"{name}: is missing"):
        registry.verify(version)


def test_a_manifest_of_another_version_is_noticed(registry: Registry, tmp_path: Path) -> None:
    one = registry.publish(DRAFT, [(3, DATA)])
    two = registry.publish(replace(DRAFT, profile=ScoringProfile(quiet_windows=9)), [(3, DATA)])
    versions = tmp_path / "registry" / "versions"
    (versions / one / "manifest.json").write_bytes((versions / two / "manifest.json").read_bytes())

    with pytest.raises(ArtifactCorruptError, match="belongs to another version"):
        registry.manifest(one)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"champion": []}', b'{"champion": "0001-1a2b3c4d"}'])
def test_damaged_aliases_are_noticed(registry: Registry, tmp_path: Path, content: bytes) -> None:
    registry.publish(DRAFT, [(3, DATA)])
    (tmp_path / "registry" / "aliases.json").write_bytes(content)

    with pytest.raises(ArtifactCorruptError, match=r"aliases\.json"):
        registry.resolve("champion")


def test_an_empty_registry_has_no_versions_and_says_train(registry: Registry) -> None:
    assert registry.versions() == []
    with pytest.raises(RegistryError, match="train a model first"):
        registry.resolve("champion")
