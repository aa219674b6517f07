from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detector.app.rejects import gap, ranges_of, reject_blocks, reject_counts
from detector.kafka.dead_letter import OffsetRange
from detector.kafka.source import Offsets
from detector.pipeline.decode import BLOCK_OFFSETS, REJECT_REASONS
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
def test_the_gap_is_exactly_what_is_committed_and_not_done(
    done: dict[tuple[str, int], int], committed: dict[tuple[str, int], int]
) -> None:
    expected = {
        (topic, partition, offset)
        for (topic, partition), end in committed.items()
        for offset in range(done.get((topic, partition), 0), end)
    }
    covered = offsets_in(gap(nested(done), nested(committed)))

    assert sorted(covered) == sorted(expected)


def test_the_counts_of_a_batch_name_every_reason() -> None:
    observed: dict[str, Any] = {"bad_json": 3, "too_large": None, "newest_record": 1.0}

    assert reject_counts(observed) == {**dict.fromkeys(REJECT_REASONS, 0), "bad_json": 3}


def test_a_batch_without_an_observation_has_no_rejects() -> None:
    assert set(reject_counts({}).values()) == {0}
    assert reject_blocks({}) == []
    assert reject_blocks({"blocks": None}) == []
