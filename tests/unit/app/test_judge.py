"""Which judge finishes a batch that was published, and what is said if it is not known any more."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from detector.app.checkpoint import Checkpoint
from detector.app.judge import Judge, judge_of_unfinished, load_judge
from detector.errors import ContractError
from detector.kafka.marker import Marker
from detector.settings import Settings, config_digest, decisive, load
from models.errors import ArtifactCorruptError
from models.registry import Registry
from tests.unit.models.test_models_artifact import DATA, MANIFEST

DRAFT = MANIFEST.with_shards({})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two versions, of which the second is the champion."""
    registry = Registry(tmp_path / "registry")
    registry.publish(DRAFT, [(3, DATA)])
    registry.set_alias("champion", registry.publish(replace(DRAFT, training={"again": True}), [(3, DATA)]))
    return registry


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Batch 7 was planned and batch 6 is the last that Spark has finished."""
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    for log, batch in (("offsets", 7), ("commits", 6)):
        (checkpoint.spark / log).mkdir(parents=True)
        (checkpoint.spark / log / str(batch)).touch()
    return checkpoint


def settings(tmp_path: Path, *flags: str) -> Settings:
    shape = (
        f"windows.length={MANIFEST.window_seconds:.0f}s",
        f"windows.slide={MANIFEST.slide_seconds:.0f}s",
        f"state.buckets={MANIFEST.buckets}",
    )
    return load(None, ("source.topics=[sensors]", f"model.registry={tmp_path / 'registry'}", *shape, *flags), {})


def marker(judge: Judge, batch_id: int = 7) -> Marker:
    model, config = judge.digests
    return Marker(owner_uuid="me", generation=1, batch_id=batch_id, model_digest=model, config_digest=config)


def test_a_published_batch_that_spark_has_not_finished_belongs_to_its_own_model(
    tmp_path: Path, registry: Registry, checkpoint: Checkpoint
) -> None:
    now = load_judge(settings(tmp_path))
    before = load_judge(settings(tmp_path, f"model.version={registry.versions()[0]}"))
    found = judge_of_unfinished(marker(before), checkpoint, now)
    assert found is not None
    assert found.model == before.model != now.model


def test_the_settings_that_judged_it_come_back_and_all_others_are_those_of_now(
    tmp_path: Path, registry: Registry, checkpoint: Checkpoint
) -> None:
    before = load_judge(settings(tmp_path, "records.future_bound=7m", "trigger=9s"))
    checkpoint.keep_decisive_settings(config_digest(before.settings), decisive(before.settings))
    found = judge_of_unfinished(marker(before), checkpoint, load_judge(settings(tmp_path)))
    assert found is not None
    assert found.digests == before.digests
    assert found.settings.trigger == settings(tmp_path).trigger


@pytest.mark.usefixtures("registry")
def test_nothing_comes_first_where_nothing_is_unfinished(tmp_path: Path, checkpoint: Checkpoint) -> None:
    now = load_judge(settings(tmp_path))
    other = load_judge(settings(tmp_path, "records.future_bound=7m"))
    assert judge_of_unfinished(None, checkpoint, now) is None
    assert judge_of_unfinished(marker(now), checkpoint, now) is None
    assert judge_of_unfinished(marker(other, batch_id=6), checkpoint, now) is None


def test_a_model_that_is_gone_is_named(tmp_path: Path, registry: Registry, checkpoint: Checkpoint) -> None:
    version = registry.versions()[0]
    before = load_judge(settings(tmp_path, f"model.version={version}"))
    shutil.rmtree(tmp_path / "registry" / "versions" / version)
    with pytest.raises(ContractError, match=rf"batch 7 .* {before.digests.model[:12]}.* Put that version back"):
        judge_of_unfinished(marker(before), checkpoint, load_judge(settings(tmp_path)))


@pytest.mark.usefixtures("registry")
def test_settings_that_were_lost_are_named(tmp_path: Path, checkpoint: Checkpoint) -> None:
    before = load_judge(settings(tmp_path, "records.future_bound=7m"))
    with pytest.raises(ContractError, match=rf"{config_digest(before.settings)}\.json is missing"):
        judge_of_unfinished(marker(before), checkpoint, load_judge(settings(tmp_path)))


@pytest.mark.usefixtures("registry")
def test_settings_that_this_version_reads_differently_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    now = load_judge(settings(tmp_path))
    before = load_judge(settings(tmp_path, "records.future_bound=7m"))
    checkpoint.keep_decisive_settings(before.digests.config, decisive(now.settings))
    with pytest.raises(ContractError, match="Start the version that published it once"):
        judge_of_unfinished(marker(before), checkpoint, now)


@pytest.mark.parametrize("name", ["manifest.json", "bucket-00003.safetensors"])
def test_a_damaged_model_is_refused_before_anything_starts(tmp_path: Path, registry: Registry, name: str) -> None:
    damaged = tmp_path / "registry" / "versions" / registry.resolve("champion") / name
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(ArtifactCorruptError, match=str(damaged)):
        load_judge(settings(tmp_path))
