"""What the ledger reads again: the blocks of rejects, whole batches, and what a crash left.

Not here: reading (``tests/integration/test_dead_letter.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from detector.app.checkpoint import Checkpoint
from detector.app.rereading import between, ranges_of, reread_after, reread_whole
from detector.kafka.dead_letter import Reread
from detector.kafka.range_reader import OffsetRange
from detector.kafka.source import Offsets
from detector.pipeline.decoded import BLOCK_OFFSETS
from detector.pipeline.schema import topic_id

TOPICS = ("north", "south")
NAMES = {topic_id(topic): topic for topic in TOPICS}
PARTITIONS = st.tuples(st.sampled_from(TOPICS), st.integers(0, 1))
BOUNDS = st.tuples(st.integers(0, 2_000), st.integers(1, 2_000)).map(lambda b: (b[0], b[0] + b[1]))


def nested(flat: Mapping[tuple[str, int], int]) -> dict[str, dict[int, int]]:
    out: dict[str, dict[int, int]] = {}
    for (topic, partition), offset in flat.items():
        out.setdefault(topic, {})[partition] = offset
    return out


@st.composite
def batches(draw: st.DrawFn) -> tuple[Offsets, Offsets, set[tuple[str, int, int]]]:
    """Start, end, and the rejected records of a batch."""
    bounds = draw(st.dictionaries(PARTITIONS, BOUNDS, min_size=1))
    rejected = {
        (topic, partition, offset)
        for (topic, partition), (low, high) in bounds.items()
        for offset in draw(st.lists(st.integers(low, high - 1), max_size=6))
    }
    return (
        nested({key: low for key, (low, _) in bounds.items()}),
        nested({key: high for key, (_, high) in bounds.items()}),
        rejected,
    )


def blocks_of(rejected: Iterable[tuple[str, int, int]]) -> list[tuple[int, int, int]]:
    return list({(topic_id(topic), partition, offset // BLOCK_OFFSETS) for topic, partition, offset in rejected})


def offsets_in(ranges: Iterable[OffsetRange]) -> list[tuple[str, int, int]]:
    return [(r.topic, r.partition, offset) for r in ranges for offset in range(r.start, r.end)]


@given(batches())
def test_the_ranges_hold_every_reject_once_and_nothing_outside_the_batch_or_its_blocks(
    batch: tuple[Offsets, Offsets, set[tuple[str, int, int]]],
) -> None:
    start, end, rejected = batch
    blocks = blocks_of(rejected)

    ranges = ranges_of(blocks, NAMES, start, end)

    covered = offsets_in(ranges)
    assert rejected <= set(covered)
    assert len(covered) == len(set(covered))
    assert all(start[topic][partition] <= offset < end[topic][partition] for topic, partition, offset in covered)
    assert set(blocks_of(covered)) == set(blocks)


def test_neighbouring_blocks_are_one_range() -> None:
    code = topic_id("north")
    blocks = [(code, 0, 2), (code, 0, 1), (code, 0, 4)]

    ranges = ranges_of(blocks, NAMES, {"north": {0: 300}}, {"north": {0: 1_100}})

    assert ranges == (OffsetRange("north", 0, 300, 768), OffsetRange("north", 0, 1_024, 1_100))


def test_a_topic_and_a_partition_that_are_new_in_the_batch_start_at_zero() -> None:
    assert ranges_of([(topic_id("new"), 3, 0)], {}, {}, {"new": {3: 20}}) == (OffsetRange("new", 3, 0, 20),)


@given(st.dictionaries(PARTITIONS, st.integers(0, 50)), st.dictionaries(PARTITIONS, st.integers(0, 50)))
def test_what_lies_between_two_positions_is_exactly_what_one_has_and_the_other_has_not(
    done: dict[tuple[str, int], int], committed: dict[tuple[str, int], int]
) -> None:
    expected = {
        (topic, partition, offset)
        for (topic, partition), end in committed.items()
        for offset in range(done.get((topic, partition), 0), end)
    }
    covered = offsets_in(between(nested(done), nested(committed)))

    assert sorted(covered) == sorted(expected)


BEGAN = 7  # first offset that the query has read


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("offsets", "sources/0"):
        (tmp_path / "spark" / name).mkdir(parents=True)
    (tmp_path / "spark" / "sources" / "0" / "0").write_text(f'v1\n{{"north":{{"0":{BEGAN}}}}}')
    return tmp_path


def planned(directory: Path, batches: Mapping[int, tuple[Sequence[int], int]]) -> Checkpoint:
    """Write the offset log: batch -> the ends of partitions 0, 1, ... and the watermark in seconds."""
    for number, (ends, watermark) in batches.items():
        lines = ["v1", json.dumps({"batchWatermarkMs": watermark * 1000}), json.dumps({"north": dict(enumerate(ends))})]
        (directory / "spark" / "offsets" / str(number)).write_text("\n".join(lines))
    return Checkpoint(directory)


def part(start: int, end: int, partition: int = 0) -> OffsetRange:
    return OffsetRange("north", partition, start, end)


def test_a_batch_is_held_against_the_watermark_of_the_one_before_it(directory: Path) -> None:
    checkpoint = planned(directory, {4: ([50], 100), 5: ([60], 130)})

    assert reread_whole(checkpoint, 5, (part(50, 60),)) == Reread((part(50, 60),), 100_000_000)


def test_the_first_batch_is_held_against_the_time_before_any_watermark(directory: Path) -> None:
    checkpoint = planned(directory, {0: ([50], 0), 1: ([60], 0)})

    assert reread_whole(checkpoint, 0, (part(7, 50),)) == Reread((part(7, 50),), 0)
    assert reread_whole(checkpoint, 1, (part(50, 60),)) == Reread((part(50, 60),), 0)


def test_what_a_crash_left_is_read_batch_by_batch_each_with_its_own_watermark(directory: Path) -> None:
    ends = {3: ([40, 9], 70), 4: ([50, 9], 100), 5: ([50, 9], 110), 6: ([60, 20, 5], 130)}

    found = reread_after(planned(directory, ends), {"north": {0: 40, 1: 9}}, 6)

    assert found == (
        Reread((part(40, 50),), 70_000_000),
        Reread((part(50, 60), part(9, 20, 1), part(0, 5, 2)), 110_000_000),
    )


def test_a_query_without_any_progress_of_the_ledger_is_read_from_its_first_record(directory: Path) -> None:
    checkpoint = planned(directory, {0: ([20], 0), 1: ([30], 90)})

    assert reread_after(checkpoint, None, 1) == (Reread((part(BEGAN, 20),), 0), Reread((part(20, 30),), 0))


def test_nothing_is_read_again_where_everything_was_published(directory: Path) -> None:
    checkpoint = planned(directory, {8: ([20], 0), 9: ([30], 90)})

    with capture_logs() as logged:
        assert reread_after(checkpoint, {"north": {0: 30}}, 9) == ()
    assert logged == []


def test_batches_whose_watermark_is_gone_are_read_for_rejects_and_the_log_names_their_offsets(directory: Path) -> None:
    checkpoint = planned(directory, {8: ([20], 80), 9: ([30], 90)})

    with capture_logs() as logged:
        found = reread_after(checkpoint, {"north": {0: 10}}, 9)

    assert found == (Reread((part(10, 20),), None), Reread((part(20, 30),), 80_000_000))
    (line,) = logged
    assert line["log_level"] == "warning"
    assert line["offsets"] == "north/0 10-20"


def test_a_batch_whose_watermark_was_purged_meanwhile_is_read_for_rejects_and_named(directory: Path) -> None:
    checkpoint = planned(directory, {8: ([20], 80)})

    with capture_logs() as logged:
        assert reread_whole(checkpoint, 8, (part(10, 20),)) == Reread((part(10, 20),), None)
    assert [line["offsets"] for line in logged] == ["north/0 10-20"]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 100))
def test_the_batches_after_a_position_cover_each_offset_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], done: int
) -> None:
    directory = tmp_path_factory.mktemp("checkpoint")
    (directory / "spark" / "offsets").mkdir(parents=True)
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    checkpoint = planned(directory, {number: ([end], number) for number, end in enumerate(ends)})

    found = reread_after(checkpoint, {"north": {0: done}}, len(sizes) - 1)

    covered = [offset for reread in found for _, _, offset in offsets_in(reread.ranges)]
    assert covered == list(range(done, ends[-1]))
