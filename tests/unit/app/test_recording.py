"""What the ledger is told of each batch that Spark reports.

Not here: what is read again (``test_rereading``), the metrics themselves (``tests/unit/observability``).
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pyspark.sql import Row
from pyspark.sql.streaming.listener import QueryProgressEvent, QueryStartedEvent
from structlog.testing import capture_logs

from detector.app.checkpoint import Checkpoint
from detector.app.recording import Recorder
from detector.app.rejects import FinishedBatch
from detector.app.stream import BatchResult
from detector.kafka.dead_letter import PublishedLetters, Reread
from detector.kafka.range_reader import OffsetRange
from detector.kafka.sink_port import Published
from detector.observability.health import Readiness
from detector.pipeline.schema import topic_id
from tests.unit.observability.recorded import LATER_BATCH, QUERY_ID, RUN_ID, report, source

PER_BATCH = 10  # records


class FakeWorker:
    def __init__(self) -> None:
        self.batches: list[FinishedBatch] = []
        self.backlog = 0

    def add(self, batch: FinishedBatch) -> None:
        self.batches.append(batch)


class Running:
    """A recorder of a query that has committed two batches before."""

    def __init__(self, directory: Path) -> None:
        for name in ("offsets", "commits"):
            (directory / "spark" / name).mkdir(parents=True)
        self._spark = directory / "spark"
        self.commit(0)
        self.commit(1)
        self.recorder = Recorder(Checkpoint(directory), Readiness(60, lambda: 0.0), lambda _: None)
        self.worker = FakeWorker()
        self.recorder.attach(self.worker)  # type: ignore[arg-type]
        self._listener = self.recorder.listener("alerts", lambda: 0)
        self._listener.onQueryStarted(QueryStartedEvent(uuid.UUID(QUERY_ID), uuid.UUID(RUN_ID), "alerts", "", set()))

    def value(self, name: str, **labels: str) -> float | None:
        return self.recorder.metrics.registry.get_sample_value(f"tidemark_{name}", labels)

    def publish(self, number: int, *, lost: int, other: int | None = None) -> None:
        """Let the sink be done with a batch, which may have read another topic up to an offset."""
        self.commit(number, {} if other is None else {"others": {"0": other}})
        self.recorder.on_result(BatchResult(number, Published("empty", 0.0), {}, {}, (), lost))

    def commit(self, number: int, others: Mapping[str, Mapping[str, int]] = MappingProxyType({})) -> None:
        """Write what Spark leaves of a batch; its watermark is as many seconds as its number."""
        offsets = {"sensors": {"0": self.end(number)}, **others}
        lines = ["v1", json.dumps({"batchWatermarkMs": number * 1000}), json.dumps(offsets)]
        (self._spark / "offsets" / str(number)).write_text("\n".join(lines))
        (self._spark / "commits" / str(number)).write_text("v1\n{}")

    def finish(self, number: int, *, dropped: int = 0, blocks: tuple[int, ...] = ()) -> None:
        """Commit a batch and report it."""
        self.commit(number)
        read = source(
            startOffset={"sensors": {"0": self.end(number - 1)}}, endOffset={"sensors": {"0": self.end(number)}}
        )
        observed = [Row(topic_id=topic_id("sensors"), partition=0, block=block) for block in blocks]
        operators = [{**LATER_BATCH["stateOperators"][0], "numRowsDroppedByWatermark": dropped}]
        progress = report(LATER_BATCH, batchId=number, sources=[read], stateOperators=operators, observedMetrics={})
        event: Any = QueryProgressEvent(progress)
        progress["observedMetrics"]["decoded"] = Row(blocks=observed)
        self._listener.onQueryProgress(event)

    @staticmethod
    def end(number: int) -> int:
        return PER_BATCH * (number + 1)


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def whole(number: int) -> tuple[OffsetRange, ...]:
    return (OffsetRange("sensors", 0, Running.end(number - 1), Running.end(number)),)


def test_a_batch_without_rejects_and_late_records_is_not_read_again(running: Running) -> None:
    running.finish(2)

    assert running.worker.batches == [FinishedBatch(2, {"sensors": {0: 30}})]


def test_of_a_batch_with_rejects_their_blocks_are_read_and_nothing_is_looked_at_for_being_late(
    running: Running,
) -> None:
    running.finish(2, blocks=(0,))

    assert running.worker.batches[0].rereads == (Reread(whole(2)),)


def test_a_batch_that_dropped_rows_is_read_whole_against_the_watermark_of_the_one_before(running: Running) -> None:
    running.finish(2, dropped=1, blocks=(0,))

    assert running.worker.batches[0].rereads == (Reread(whole(2), 1_000_000),)


def test_batches_of_which_no_report_came_are_read_with_the_next_one(running: Running) -> None:
    running.finish(2)
    running.commit(3)
    running.commit(4)
    running.finish(5, dropped=3)

    assert running.worker.batches[1].rereads == (
        Reread(whole(3), 2_000_000),
        Reread(whole(4), 3_000_000),
        Reread(whole(5), 4_000_000),
    )


def test_what_the_ledger_published_is_counted(running: Running) -> None:
    running.recorder.on_dead_letters(PublishedLetters(Counter(late=2, bad_json=1), partly_late=4))

    assert (running.value("records_late_total"), running.value("records_partly_late_total")) == (2, 4)
    assert running.value("dead_letters_published_total", reason="late") == 2
    assert running.value("dead_letter_backlog_batches") == 0


def test_what_retention_overtakes_while_it_runs_is_counted_and_said_once_as_long_as_it_goes_on(
    running: Running,
) -> None:
    with capture_logs() as logged:
        for number, lost in ((2, 0), (3, 4), (4, 2), (5, 0), (6, 1)):
            running.publish(number, lost=lost)

    assert running.value("records_lost_total", topic="sensors") == 7
    assert [(line["batch"], line["lost"]) for line in logged] == [(3, 4), (6, 1)]


def test_what_a_start_has_counted_as_lost_is_not_counted_again_when_it_is_to_be_read(running: Running) -> None:
    running.recorder.on_lost({"sensors": 5})
    for number, lost in ((2, 3), (3, 4)):
        running.publish(number, lost=lost)

    assert running.value("records_lost_total", topic="sensors") == 7


def test_losses_of_a_batch_of_several_topics_have_a_name_of_their_own(running: Running) -> None:
    running.publish(2, lost=4, other=10)

    assert running.value("records_lost_total", topic="*") == 4
