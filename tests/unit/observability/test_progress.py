from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.observability.progress import BatchProgress, SourceBatch, parse_progress

from .recorded import FIRST_BATCH, LATER_BATCH, QUERY_ID, RUN_ID, report, source


def test_a_batch_is_told_as_plain_data() -> None:
    progress = parse_progress(report(LATER_BATCH))
    assert progress == BatchProgress(
        query_id=QUERY_ID,
        run_id=RUN_ID,
        batch_id=2,
        finished_at=1795364245.837,
        input_rows=100,
        rows_dropped_by_watermark=4,
        duplicates_dropped=7,
        phase_ms={"addBatch": 1625, "triggerExecution": 1836},
        watermark=1700000194.0,
        sources=(
            SourceBatch(
                description="KafkaV2[Subscribe[sensors]]",
                input_rows=100,
                start={"sensors": {0: 100, 1: 100}},
                end={"sensors": {0: 150, 1: 150}},
                latest={"sensors": {0: 170, 1: 150}},
            ),
        ),
        state_rows=57,
        state_memory_bytes=16636,
        observed={"intake": {"records": 100, "bad_json": None, "parts": []}},
    )


def test_the_first_batch_has_no_start_and_no_watermark() -> None:
    progress = parse_progress(report(FIRST_BATCH))
    assert progress.sources[0].start is None
    assert progress.watermark is None


def test_a_stateless_query_has_no_watermark() -> None:
    progress = parse_progress(report(LATER_BATCH, eventTime={}, stateOperators=[]))
    assert (progress.watermark, progress.state_rows) == (None, 0)


@pytest.mark.parametrize("unknown", [None, "None", ""])
def test_an_unknown_offset_is_none_in_each_of_sparks_spellings(unknown: str | None) -> None:
    progress = parse_progress(report(LATER_BATCH, sources=[source(latestOffset=unknown)]))
    assert progress.sources[0].latest is None
    assert progress.lag_records() == {}


def test_a_source_that_is_not_kafka_has_no_offsets_by_topic() -> None:
    progress = parse_progress(report(LATER_BATCH, sources=[source(startOffset="4", endOffset="7", latestOffset="7")]))
    assert progress.sources[0].end is None
    assert progress.records_by_topic() == {}


def test_rows_are_summed_over_the_sources_when_spark_gives_no_total() -> None:
    progress = parse_progress(report(LATER_BATCH, numInputRows=None, sources=[source(), source(numInputRows=7)]))
    assert progress.input_rows == 107


def test_the_lag_of_a_partition_is_what_the_batch_left_unread() -> None:
    assert parse_progress(report(LATER_BATCH)).lag_records() == {("sensors", 0): 20, ("sensors", 1): 0}


def test_a_partition_that_the_batch_did_not_know_lags_by_all_its_records() -> None:
    latest = {"sensors": {"0": 150, "1": 150, "2": 9}}
    progress = parse_progress(report(LATER_BATCH, sources=[source(latestOffset=latest)]))
    assert progress.lag_records()["sensors", 2] == 9


def test_the_lag_is_never_negative() -> None:
    progress = parse_progress(report(LATER_BATCH, sources=[source(latestOffset={"sensors": {"0": 1, "1": 1}})]))
    assert set(progress.lag_records().values()) == {0}


def test_the_records_of_one_topic_are_counted_exactly_even_with_gaps_in_its_offsets() -> None:
    progress = parse_progress(report(LATER_BATCH, sources=[source(numInputRows=93)]))
    assert progress.records_by_topic() == {"sensors": 93}


def test_the_records_of_a_first_batch_are_counted() -> None:
    assert parse_progress(report(FIRST_BATCH)).records_by_topic() == {"sensors": 200}


def test_a_batch_without_records_counts_zero() -> None:
    offsets = {"sensors": {"0": 5}}
    progress = parse_progress(
        report(LATER_BATCH, sources=[source(startOffset=offsets, endOffset=offsets, numInputRows=0)])
    )
    assert progress.records_by_topic() == {"sensors": 0}


@given(
    moved=st.lists(st.integers(min_value=0, max_value=1_000_000), min_size=1, max_size=6).filter(any),
    rows=st.integers(min_value=0, max_value=1_000_000),
)
def test_the_records_by_topic_add_up_to_the_rows_of_the_source(moved: list[int], rows: int) -> None:
    end = {f"topic-{i}": {"0": 10 + distance} for i, distance in enumerate(moved)}
    start = {topic: {"0": 10} for topic in end}
    progress = parse_progress(
        report(LATER_BATCH, sources=[source(startOffset=start, endOffset=end, numInputRows=rows)])
    )
    shares = progress.records_by_topic()
    assert sum(shares.values()) == rows
    assert min(shares.values()) >= 0


@given(moved=st.lists(st.integers(min_value=0, max_value=1_000_000), min_size=1, max_size=6))
def test_without_gaps_in_the_offsets_each_topic_is_counted_exactly(moved: list[int]) -> None:
    end = {f"topic-{i}": {"0": 10 + distance} for i, distance in enumerate(moved)}
    start = {topic: {"0": 10} for topic in end}
    progress = parse_progress(
        report(LATER_BATCH, sources=[source(startOffset=start, endOffset=end, numInputRows=sum(moved))])
    )
    assert list(progress.records_by_topic().values()) == moved
