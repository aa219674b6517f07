"""The registry that the settings name: which keys count, what a start refuses and says of the way back."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from detector.app.judge import load_judge
from detector.app.model_registry import located, open_registry, require_signed, signing_key
from detector.app.shards import ModelLoader
from detector.errors import ConfigError
from detector.settings import Settings, load
from models.errors import ArtifactCorruptError, ArtifactUntrustedError
from models.registry import Registry
from models.signing import SigningKey
from tests.unit.models.test_models_artifact import DATA, MANIFEST, SENSORS

DRAFT = MANIFEST.with_shards({})
KEY = SigningKey.new()


def settings(tmp_path: Path, *flags: str) -> Settings:
    shape = (
        f"windows.length={MANIFEST.window_seconds:.0f}s",
        f"windows.slide={MANIFEST.slide_seconds:.0f}s",
        f"state.buckets={MANIFEST.buckets}",
    )
    return load(None, ("source.topics=[sensors]", f"model.registry={tmp_path / 'registry'}", *shape, *flags), {})


def trusting(tmp_path: Path, key: SigningKey = KEY) -> str:
    path = tmp_path / "trusted.pem"
    path.write_bytes(key.public_pem())
    return f"model.trusted_keys=[{path}]"


def signing(tmp_path: Path, content: bytes = KEY.private_pem()) -> str:
    path = tmp_path / "signing.pem"
    path.write_bytes(content)
    return f"model.signing_key={path}"


@pytest.fixture
def versions(tmp_path: Path) -> list[str]:
    """Two versions that were champion, one after the other; the second is signed."""
    registry = Registry(tmp_path / "registry")
    for number, key in ((1, None), (2, KEY)):
        draft = replace(DRAFT, training={"number": number})
        registry.set_alias("champion", registry.publish(draft, [(3, DATA)], key=key))
    return registry.versions()


def test_a_start_accepts_what_a_trusted_key_has_signed(tmp_path: Path, versions: list[str]) -> None:
    assert load_judge(settings(tmp_path, trusting(tmp_path))).model.version == versions[1]


def test_a_start_refuses_what_nobody_or_somebody_else_has_signed(tmp_path: Path, versions: list[str]) -> None:
    with pytest.raises(ArtifactUntrustedError, match=rf"{versions[0]}/manifest\.json: it is not signed"):
        load_judge(settings(tmp_path, trusting(tmp_path), f"model.version={versions[0]}"))
    with pytest.raises(ArtifactUntrustedError, match=f"key {KEY.id} has signed it"):
        load_judge(settings(tmp_path, trusting(tmp_path, SigningKey.new())))


def test_a_start_that_refuses_the_champion_names_the_file_and_the_way_back(tmp_path: Path, versions: list[str]) -> None:
    shard = tmp_path / "registry" / "versions" / versions[1] / "bucket-00003.safetensors"
    shard.write_bytes(DATA[:-1])

    with pytest.raises(ArtifactCorruptError, match=f"{shard}: .*go back to {versions[0]}: tidemark models rollback"):
        load_judge(settings(tmp_path))


def test_where_there_is_no_way_back_the_refusal_says_how_to_see_what_there_is(
    tmp_path: Path, versions: list[str]
) -> None:
    shard = tmp_path / "registry" / "versions" / versions[0] / "bucket-00003.safetensors"
    shard.unlink()

    with pytest.raises(ArtifactCorruptError, match=f"{shard}: is missing.*: tidemark models list"):
        load_judge(settings(tmp_path, f"model.version={versions[0]}"))


def test_a_worker_loads_the_model_that_the_driver_has_verified_and_no_other(
    tmp_path: Path, versions: list[str]
) -> None:
    model = load_judge(settings(tmp_path)).model
    loader = ModelLoader(located(settings(tmp_path)), model.version, model.manifest.digest)
    shard = pickle.loads(pickle.dumps(loader)).shard(3)  # noqa: S301 - as Spark takes it to the workers

    assert shard is not None
    assert len(shard) == SENSORS
    assert loader.population() is None
    with pytest.raises(ArtifactCorruptError, match="is another one than at the start"):
        replace(loader, digest="0" * 64).shard(3)


@pytest.mark.parametrize(
    ("place", "wanted"),
    [("models", f"{Path.cwd()}/models"), ("/srv/models", "/srv/models"), ("s3://bucket/models/", "s3://bucket/models")],
)
def test_a_worker_that_runs_elsewhere_finds_the_registry(tmp_path: Path, place: str, wanted: str) -> None:
    assert located(settings(tmp_path, f"model.registry={place}")) == wanted


def test_a_registry_may_be_an_object_store(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "model.registry=memory://test-model-registry/models")
    version = Registry(chosen.model.registry).publish(DRAFT, [(3, DATA)])
    open_registry(chosen).set_alias("champion", version)

    judge = load_judge(chosen)
    shard = ModelLoader(located(chosen), judge.model.version, judge.model.manifest.digest).shard(3)
    assert shard is not None
    assert len(shard) == SENSORS


def test_without_keys_nothing_is_signed_and_nothing_is_asked_for(tmp_path: Path) -> None:
    assert signing_key(settings(tmp_path)) is None
    require_signed(settings(tmp_path))


def test_who_signs_what_others_trust_may_publish(tmp_path: Path) -> None:
    chosen = settings(tmp_path, signing(tmp_path), trusting(tmp_path))

    key = signing_key(chosen)
    assert key is not None
    assert key.id == KEY.id
    require_signed(chosen)


def test_a_champion_that_no_start_would_accept_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without model\.signing_key the model would not be signed"):
        require_signed(settings(tmp_path, trusting(tmp_path)))
    with pytest.raises(ConfigError, match=rf"is key {KEY.id}, which is not among model\.trusted_keys"):
        require_signed(settings(tmp_path, signing(tmp_path), trusting(tmp_path, SigningKey.new())))


def test_files_that_are_no_keys_are_named_with_their_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.signing_key: .*none\.pem: No such file"):
        signing_key(settings(tmp_path, f"model.signing_key={tmp_path / 'none.pem'}"))
    with pytest.raises(ConfigError, match=r"model\.signing_key: .*signing\.pem: it is no private key.*keygen"):
        signing_key(settings(tmp_path, signing(tmp_path, KEY.public_pem())))
    flag = trusting(tmp_path)
    (tmp_path / "trusted.pem").write_bytes(KEY.private_pem())
    with pytest.raises(ConfigError, match=r"model\.trusted_keys: .*trusted\.pem is no public key.*keygen"):
        open_registry(settings(tmp_path, flag))
