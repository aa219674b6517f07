"""What is said of checkpoint, marker and model."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.app.checkpoint_lock import locked
from detector.app.doctor import model, state
from detector.app.doctor.findings import Finding, Status
from detector.errors import ContractError, FencedError, StorageError
from models.errors import ArtifactCorruptError, RegistryError
from tests.unit.app_doctor.site import NOW, TOPIC_CONFIG, Site, worst


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def said(findings: object) -> str:
    assert isinstance(findings, list)
    return "\n".join(finding.found for finding in findings)


def unread(site: Site) -> Finding:
    return worst(state.unread(site.deployment()))


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*"))


def test_a_checkpoint_that_is_not_there_is_well_and_is_not_made(site: Site) -> None:
    found = list(state.directory(site.deployment()))

    assert {finding.status for finding in found} == {Status.WELL}
    assert "is empty: the next start begins with the earliest records" in said(found)
    assert not site.checkpoint.directory.exists()


def test_a_checkpoint_in_use_is_said_to_be_so_and_stays_as_it_is(site: Site) -> None:
    owner = site.use_checkpoint()
    before = files(site.checkpoint.directory)
    with locked(site.checkpoint.directory):
        found = list(state.directory(site.deployment()))

    assert f"of owner {owner}, made under these settings" in said(found)
    assert "a process of this machine runs from it" in said(found)
    assert files(site.checkpoint.directory) == before


def test_looking_takes_the_checkpoint_from_nobody(site: Site) -> None:
    site.use_checkpoint()
    assert not site.deployment().in_use
    with locked(site.checkpoint.directory):  # raises if somebody holds it
        pass


def test_other_frozen_settings_are_refused_in_the_words_of_a_start(site: Site) -> None:
    site.use_checkpoint()
    site.flags = ("state.shuffle_partitions=8",)

    with pytest.raises(ContractError, match=r"made with other settings: state\.shuffle_partitions 4 -> 8"):
        list(state.directory(site.deployment()))


def test_batches_without_an_owner_are_refused(site: Site) -> None:
    site.use_checkpoint()
    (site.checkpoint.directory / "owner.json").unlink()

    with pytest.raises(ContractError, match="is missing but"):
        list(state.directory(site.deployment()))


def test_a_planned_batch_is_told_apart_from_a_finished_one(site: Site) -> None:
    site.use_checkpoint(planned=12, finished=11)

    offsets, found = state.batches(site.deployment())

    assert offsets.found == "offsets of 2 partitions can be read"
    assert found.found == "batch 12 is planned and not finished: the next start does it again; batch 11 is finished"


def test_a_planned_batch_before_which_none_was_finished_is_said_to_be_the_first(site: Site) -> None:
    site.use_checkpoint(planned=0, finished=-1)

    _, found = state.batches(site.deployment())

    assert found.found == "batch 0 is planned and not finished: the next start does it again; none is finished yet"


def test_damaged_offsets_are_named(site: Site) -> None:
    site.use_checkpoint()
    (site.checkpoint.spark / "offsets" / "11").write_text("v1\n{}")

    with pytest.raises(ContractError, match=r"offsets/11 is missing or damaged"):
        list(state.batches(site.deployment()))


def test_what_waits_is_counted_and_its_age_told(site: Site) -> None:
    site.use_checkpoint(end=1_100)
    found = unread(site)

    assert (found.status, found.found) == (Status.WELL, "199 records in 2 partitions, the oldest 10 s old (plant/0)")


def test_a_source_that_is_read_to_its_end_is_said_to_be_so(site: Site) -> None:
    site.ends = {1: 1_101}
    site.end = 1_100
    site.use_checkpoint(end=1_100)

    assert unread(site).found == "everything is read"


def test_a_topic_that_ends_before_the_checkpoint_was_made_again(site: Site) -> None:
    site.use_checkpoint(end=site.end)  # of partition 1 one record more

    (found,) = state.unread(site.deployment())

    assert found.kind is ContractError
    assert found.found.startswith("plant/1: the checkpoint is further than the topic reaches")


def test_records_that_are_gone_before_they_were_read_are_refused_in_the_words_of_a_start(site: Site) -> None:
    site.use_checkpoint(end=100)
    site.first = 500

    with pytest.raises(ContractError, match=r"plant/0 offsets 100 to 499, plant/1 offsets 101 to 499"):
        list(state.unread(site.deployment()))


def test_records_that_are_gone_are_a_warning_where_the_settings_allow_it(site: Site) -> None:
    site.use_checkpoint(end=100)
    site.first, site.flags = 500, ("source.on_data_loss=continue",)

    assert unread(site).found == "799 records are gone before they were read"


def test_a_backlog_that_retention_will_reach_is_warned_of(site: Site) -> None:
    site.use_checkpoint()
    site.configs["plant"] = {**TOPIC_CONFIG, "retention.ms": "15000"}

    found = unread(site)

    assert found.status is Status.WARNING
    assert found.found.endswith("the oldest 10 s old (plant/0); plant keeps 15 s")


def test_a_marker_tells_start_owner_batch_and_age(site: Site) -> None:
    site.publish("somebody", 11)

    (found,) = state.marker(site.deployment())

    assert found.found == "start 3 of owner somebody, batch 11 is the last, written 30 s ago"


def test_a_marker_from_the_future_tells_that_a_clock_is_wrong(site: Site) -> None:
    site.publish("somebody", 11, age=-3_600)

    assert worst(state.marker(site.deployment())).found == "its time is 60 minutes ahead of this machine's"


def test_without_a_commits_topic_there_is_no_marker(site: Site) -> None:
    del site.topics["tidemark.commits"]

    (found,) = state.marker(site.deployment())

    assert found.found == "none: nothing was ever published as tidemark.default.alerts"


def test_a_checkpoint_and_its_own_marker_agree(site: Site) -> None:
    site.publish(site.use_checkpoint(), 11)

    (found,) = state.agreement(site.deployment())

    assert found.found == "a start accepts checkpoint and marker; the marker is this checkpoint's"


def test_a_checkpoint_older_than_the_marker_is_refused_in_the_words_of_a_start(site: Site) -> None:
    site.publish(site.use_checkpoint(), 20)

    with pytest.raises(ContractError, match=r"batch 20 was published but the checkpoint .* ends at batch 11"):
        list(state.agreement(site.deployment()))


def test_an_empty_checkpoint_beside_a_living_owner_is_refused(site: Site) -> None:
    site.publish("somebody", 11)

    with pytest.raises(FencedError, match=r"is run from another checkpoint \(owner somebody"):
        list(state.agreement(site.deployment()))


def test_a_topic_that_was_made_again_is_refused_in_the_words_of_a_start(site: Site) -> None:
    site.marker_topics = {"plant": "id of the old one"}
    site.publish(site.use_checkpoint(), 11)

    with pytest.raises(ContractError, match="topic plant was deleted and made again"):
        list(state.agreement(site.deployment()))


def test_a_marker_of_another_query_is_refused(site: Site) -> None:
    site.publish(site.use_checkpoint(), 11, query_id="another", age=NOW)

    with pytest.raises(ContractError, match="belongs to query another"):
        list(state.agreement(site.deployment()))


def test_a_batch_whose_model_is_gone_is_refused_in_the_words_of_a_start(site: Site) -> None:
    site.publish(site.use_checkpoint(planned=12, finished=11), 12)

    with pytest.raises(ContractError, match="is missing or damaged"):  # nor are its settings kept
        list(state.unfinished(site.deployment()))


def test_a_whole_model_is_named_verified_and_dated(site: Site) -> None:
    found = list(model.model(site.deployment()))

    assert {finding.status for finding in found} == {Status.WELL}
    assert "0001-" in found[0].found
    assert "(champion)" in found[0].found
    assert found[2].found == "trained 2 days ago"


def test_an_old_model_is_warned_of(site: Site) -> None:
    site.now = NOW + 40 * 86_400

    found = worst(model.model(site.deployment()))

    assert (found.found, "train again" in found.advice) == ("trained 42 days ago", True)


def test_a_damaged_shard_is_named(site: Site) -> None:
    (shard,) = (site.directory / "registry").rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(ArtifactCorruptError, match="bytes where the manifest names"):
        list(model.model(site.deployment()))


def test_a_registry_without_a_model_says_to_train(tmp_path: Path) -> None:
    site = Site(tmp_path, ("model.version=challenger",))

    with pytest.raises(RegistryError, match="challenger"):
        list(model.model(site.deployment()))


def test_a_model_for_other_windows_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, ("windows.length=30s", "windows.slide=30s"))

    with pytest.raises(ContractError, match="is for other windows"):
        list(model.model(site.deployment()))


def test_a_checkpoint_that_is_a_file_is_a_failure(site: Site) -> None:
    site.checkpoint.directory.touch()

    (found,) = state.directory(site.deployment())

    assert (found.kind, found.found) == (StorageError, f"{site.checkpoint.directory} is no directory")
