"""The checkpoint as Spark 4.2 writes it: tiny files of the same form."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from detector.app.checkpoint import Checkpoint
from detector.errors import ContractError, StorageError
from detector.kafka.sink_port import BatchFacts, CheckpointFacts

QUERY = "5a9190d2-78e8-4e16-9f98-19fd99ba3542"
METADATA = '{"batchWatermarkMs":%d,"batchTimestampMs":1795366041902,"conf":{"spark.sql.shuffle.partitions":"2"}}'
FROZEN = {"state.buckets": 4, "windows.length": 10.0, "windows.dedup": "none"}


def offsets_text(end: int, watermark_ms: int) -> str:
    return f'v1\n{METADATA % watermark_ms}\n{{"plant":{{"0":{end},"1":{end + 1}}}}}'


def write(path: Path, data: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


@pytest.fixture
def used(tmp_path: Path) -> Checkpoint:
    """Three batches were planned, two of them committed."""
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    write(checkpoint.spark / "metadata", f'{{"id":"{QUERY}"}}')
    write(checkpoint.spark / "sources" / "0" / "0", b'\0v1\n{"plant":{"0":7,"1":0}}')
    for batch_id in (9, 10, 11):
        write(checkpoint.spark / "offsets" / str(batch_id), offsets_text(100 * batch_id, 1_500 * (batch_id - 9)))
        write(checkpoint.spark / "offsets" / f".{batch_id}.crc", b"crc\0")
    for batch_id in (9, 10):
        write(checkpoint.spark / "commits" / str(batch_id), 'v1\n{"nextBatchWatermarkMs":0}')
        write(checkpoint.spark / "commits" / f".{batch_id}.crc", b"crc\0")
    write(checkpoint.spark / "offsets" / ".12.5f0c.tmp", "half of a fi")
    return checkpoint


def test_an_empty_checkpoint_has_no_query_no_batch_and_no_first_offsets(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")

    assert checkpoint.facts("owner") == CheckpointFacts("owner", None, -1, str(tmp_path / "checkpoint"))
    assert checkpoint.last_committed() == -1
    assert checkpoint.first_offsets() == {}


def test_planned_and_committed_batches_are_the_newest_by_number_and_unfinished_files_do_not_count(
    used: Checkpoint,
) -> None:
    assert used.facts("owner") == CheckpointFacts("owner", QUERY, 11, str(used.directory))
    assert used.last_committed() == 10


def test_a_planned_batch_that_is_not_finished_needs_its_records_once_more(used: Checkpoint) -> None:
    assert used.read_offsets() == {"plant": {0: 1_100, 1: 1_101}}
    assert used.finished_offsets() == {"plant": {0: 1_000, 1: 1_001}}


def test_before_the_first_finished_batch_all_records_since_the_first_are_needed(used: Checkpoint) -> None:
    shutil.rmtree(used.spark / "commits")

    assert used.finished_offsets() == {"plant": {0: 7, 1: 0}}


def test_the_entry_of_a_batch_tells_its_digest_watermark_and_end(used: Checkpoint) -> None:
    entry = used.offsets(10)

    assert entry.sha256 == hashlib.sha256(offsets_text(1_000, 1_500).encode()).hexdigest()
    assert entry.watermark == 1.5
    assert entry.end == {"plant": {0: 1_000, 1: 1_001}}


def test_before_the_first_event_time_there_is_no_watermark(used: Checkpoint) -> None:
    assert used.offsets(9).watermark is None


def test_a_batch_is_named_as_a_marker_writes_it(used: Checkpoint) -> None:
    assert used.batch(11) == BatchFacts(
        11, QUERY, used.offsets(11).sha256, {"plant": {"0": 1_100, "1": 1_101}}, watermark=3.0
    )


def test_two_batches_with_the_same_offsets_but_another_watermark_have_another_digest(used: Checkpoint) -> None:
    write(used.spark / "offsets" / "12", offsets_text(1_100, 4_500))

    assert used.offsets(12).end == used.offsets(11).end
    assert used.offsets(12).sha256 != used.offsets(11).sha256


def test_the_first_offsets_are_read_past_sparks_version_mark(used: Checkpoint) -> None:
    assert used.first_offsets() == {"plant": {0: 7, 1: 0}}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"v1",
        b"v1\n{}\n{}",
        b'v2\n{"batchWatermarkMs":0}\n{"plant":{"0":1}}',
        b'v1\n[]\n{"plant":{"0":1}}',
        b'v1\n{"batchWatermarkMs":0}\n-',
        b'v1\n{"batchWatermarkMs":0}\n[1]',
        b'v1\n{"batchWatermarkMs":0}\n{"plant":3}',
        b'v1\n{"batchWatermarkMs":null}\n{"plant":{"0":1}}',
        b'v1\n{"batchWatermarkMs":0}\n{"plant":{"0":1}}\n{"second source":{"0":1}}',
        b"\xff\xfe\0",
    ],
)
def test_a_damaged_offset_file_is_named_with_the_way_out(used: Checkpoint, damage: bytes) -> None:
    write(used.spark / "offsets" / "11", damage)

    with pytest.raises(
        ContractError, match=r"offsets/11 is missing or damaged .*; restore the checkpoint from a backup"
    ):
        used.batch(11)


def test_a_missing_offset_file_is_named(used: Checkpoint) -> None:
    with pytest.raises(ContractError, match="offsets/8 is missing or damaged"):
        used.offsets(8)


@pytest.mark.parametrize("damage", ["", "{}", "[]", "{"])
def test_a_damaged_metadata_file_is_named(used: Checkpoint, damage: str) -> None:
    write(used.spark / "metadata", damage)

    with pytest.raises(ContractError, match="metadata is missing or damaged"):
        used.query_id()


@pytest.mark.parametrize("damage", [b"\0v1\n", b'\0v1\n{"plant":', b'\0v1\n{"plant":[1]}'])
def test_damaged_first_offsets_are_named(used: Checkpoint, damage: bytes) -> None:
    write(used.spark / "sources" / "0" / "0", damage)

    with pytest.raises(ContractError, match="sources/0/0 is missing or damaged"):
        used.first_offsets()


def test_the_owner_is_made_once_and_stays(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "checkpoint"
    owner = Checkpoint(directory).claim(FROZEN)

    assert Checkpoint(directory).claim(FROZEN) == owner
    assert [path.name for path in directory.iterdir()] == ["owner.json"]
    assert Checkpoint(tmp_path / "another").claim(FROZEN) != owner


def test_settings_that_the_checkpoint_froze_cannot_change(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.claim(FROZEN)

    with pytest.raises(
        ContractError, match=r"other settings: state\.buckets 4 -> 8, windows\.dedup 'none' -> 'within_"
    ):
        checkpoint.claim({**FROZEN, "state.buckets": 8, "windows.dedup": "within_window"})


def test_a_setting_that_the_checkpoint_does_not_know_counts_as_changed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.claim(FROZEN)

    with pytest.raises(ContractError, match=r"windows\.slide None -> 5\.0"):
        checkpoint.claim({**FROZEN, "windows.slide": 5.0})


def test_batches_without_their_owner_are_refused(used: Checkpoint) -> None:
    with pytest.raises(ContractError, match=r"owner\.json is missing but .*spark has batches"):
        used.claim(FROZEN)


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"owner_uuid": "x", "frozen": 3}', '{"owner_uuid": "x"'])
def test_a_damaged_owner_file_is_named(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "owner.json", damage)

    with pytest.raises(ContractError, match=r"owner\.json is damaged"):
        Checkpoint(tmp_path).claim(FROZEN)


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    write(tmp_path / "file", "in the way")

    with pytest.raises(StorageError, match=r"owner\.json: .*; check the disk"):
        Checkpoint(tmp_path / "file").claim(FROZEN)


def test_a_crash_while_the_owner_was_written_is_made_good(tmp_path: Path) -> None:
    write(tmp_path / "owner.new", json.dumps({"owner_uuid": "half"})[:10])
    checkpoint = Checkpoint(tmp_path)

    owner = checkpoint.claim(FROZEN)

    assert checkpoint.claim(FROZEN) == owner
    assert [path.name for path in tmp_path.iterdir()] == ["owner.json"]
