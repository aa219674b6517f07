"""A checkpoint that is lost at any moment, whatever else goes wrong, is followed without a lost or doubled alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count, product

import pytest

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.marker import Marker
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, SinkSpec
from tests.unit.kafka_edge.deployment import JUDGED_BY, frozen_clock, messages, no_pause
from tests.unit.kafka_edge.fake_kafka import FAULTS, CrashedError, FakeKafka, FakeLog, Faults, Transaction

WINDOWS = ((b"0a", b"0b"), (), (b"2a", b"2b"), (b"3a",), (), (b"5a",))  # alerts of the windows that end at 0, 1, ...
ADOPTING = SinkSpec(deployment="tidemark.test", take_over=True)
STARTS = 12
OPERATIONS = 24  # of the starts and batches of a checkpoint that is lost once


@dataclass
class DiskCheckpoint:
    """A checkpoint: what a disk keeps, and what is gone with it."""

    number: int
    windows_per_batch: int
    adopted_until: float | None = None
    query_id: str | None = None
    planned: int = -1
    finished: int = -1


@dataclass
class Deployment:
    """Processes on one checkpoint after another; each finds the last one lost before these starts."""

    schedule: Mapping[int, str]
    lost_before_start: frozenset[int]
    kafka: FakeKafka = field(default_factory=FakeKafka)
    starts: int = 0

    def __post_init__(self) -> None:
        self.faults = Faults(self.schedule, self.supervise)
        self._numbers = count()
        self.checkpoint = self._empty()

    def _empty(self) -> DiskCheckpoint:
        number = next(self._numbers)
        return DiskCheckpoint(number, windows_per_batch=1 + number % 2)  # other batches than those of the one before

    def supervise(self) -> None:
        for _ in range(STARTS):
            try:
                self.run_process()
            except (CrashedError, TransientError, FencedError, ContractError):
                continue
            else:
                return
        raise AssertionError(f"no process came to the end in {STARTS} starts")

    def run_process(self) -> None:
        if self.starts in self.lost_before_start:
            self.checkpoint = self._empty()
        self.starts += 1
        at = self.checkpoint
        sink = AlertSink(FakeLog(self.kafka, self.faults), ADOPTING, frozen_clock, no_pause)

        def adopt(marker: Marker) -> None:
            at.adopted_until = marker.emitted_watermark

        sink.start(CheckpointFacts(f"owner {at.number}", at.query_id, at.planned, "here"), adopt)
        at.query_id = f"query {at.number}"
        for batch_id in range(at.finished + 1, -(-len(WINDOWS) // at.windows_per_batch)):
            at.planned = max(at.planned, batch_id)
            first = batch_id * at.windows_per_batch
            last = min(first + at.windows_per_batch, len(WINDOWS)) - 1
            alerts = messages(
                *(
                    alert
                    for window in range(first, last + 1)
                    if at.adopted_until is None or window > at.adopted_until
                    for alert in WINDOWS[window]
                )
            )
            facts = BatchFacts(batch_id, at.query_id, f"{at.number}/{batch_id}", {}, float(last))
            sink.publish(facts, JUDGED_BY, alerts.copy, len(alerts))
            fault = self.faults.next()
            at.finished = max(at.finished, batch_id)
            self.faults.after(fault)


def run(schedule: Mapping[int, str], lost_before_start: frozenset[int]) -> Deployment:
    deployment = Deployment(schedule, lost_before_start)
    deployment.supervise()
    while deployment.starts <= max(lost_before_start):  # lost after the end too
        deployment.supervise()
    alerts = [alert for transaction in deployment.kafka.committed for alert in transaction.alerts]
    assert alerts == [alert for window in WINDOWS for alert in window], (schedule, lost_before_start)
    return deployment


@pytest.mark.parametrize("kind", ["crash before", "crash after", "crash within"])
def test_lost_after_a_crash_at_any_operation(kind: str) -> None:
    for operation in range(OPERATIONS):
        run({operation: kind}, frozenset({1}))


@pytest.mark.parametrize("fault", FAULTS)
def test_lost_after_a_crash_and_followed_under_another_fault(fault: str) -> None:
    for crash, later in product(range(OPERATIONS), range(1, 12)):
        run({crash: "crash after", crash + later: fault}, frozenset({1}))


@pytest.mark.parametrize("kind", ["crash before", "crash after", "crash within"])
def test_lost_twice_the_second_time_while_it_follows_the_first(kind: str) -> None:
    for first, second in product(range(OPERATIONS), range(1, 12)):
        run({first: kind, first + second: kind}, frozenset({1, 2}))


@pytest.mark.parametrize("moment", ["paused before", "paused within", "paused after"])
def test_lost_while_its_process_stands_still(moment: str) -> None:
    for operation in range(OPERATIONS):
        run({operation: moment}, frozenset({1}))


NOW = frozen_clock()
PUBLISHED = Marker(
    owner_uuid="lost",
    generation=3,
    spark_query_id="query",
    batch_id=7,
    offsets_sha256="sha",
    emitted_watermark=500.0,
    topic_uuids={"sensors": "first"},
    time=NOW - 1e6,
)
EMPTY = CheckpointFacts("new", None, -1, "/new")


def kafka_with(marker: Marker) -> FakeKafka:
    return FakeKafka(committed=[Transaction(0, (), marker)])


def sink_on(kafka: FakeKafka, spec: SinkSpec = ADOPTING) -> AlertSink:
    return AlertSink(FakeLog(kafka, Faults({})), spec, frozen_clock, no_pause)


def test_an_empty_checkpoint_is_told_of_the_lost_ones_marker_and_starts_from_batch_0() -> None:
    kafka, told = kafka_with(PUBLISHED), []
    sink = sink_on(kafka)

    before = sink.start(EMPTY, told.append)

    assert told == [PUBLISHED]
    assert before is not None
    assert before.batch_id == -1
    assert (sink.marker.owner_uuid, sink.marker.generation, sink.marker.batch_id) == ("new", 4, -1)
    assert sink.marker.emitted_watermark == PUBLISHED.emitted_watermark


def test_what_was_published_stays_published_while_older_windows_are_read_again() -> None:
    sink = sink_on(kafka_with(PUBLISHED))
    sink.start(EMPTY, lambda _: None)

    sink.publish(BatchFacts(0, "second", "sha", {}, 420.0), JUDGED_BY, lambda: messages(b"new"), 1)
    assert sink.marker.emitted_watermark == PUBLISHED.emitted_watermark
    sink.publish(BatchFacts(1, "second", "sha", {}, 510.0), JUDGED_BY, lambda: messages(b"newer"), 1)
    assert sink.marker.emitted_watermark == 510.0


def test_a_checkpoint_that_goes_on_adopts_nothing() -> None:
    told: list[Marker] = []
    sink_on(kafka_with(PUBLISHED)).start(CheckpointFacts("lost", "query", 7, "/here"), told.append)
    sink_on(FakeKafka()).start(EMPTY, told.append)

    assert told == []


def test_a_used_checkpoint_cannot_adopt() -> None:
    with pytest.raises(ContractError, match=r"belongs to query query of owner lost.*move it away and start with"):
        sink_on(kafka_with(PUBLISHED)).start(CheckpointFacts("new", "another", 3, "/new"), lambda _: None)


def test_a_start_that_does_not_adopt_is_told_how_and_fences_nobody() -> None:
    kafka = kafka_with(PUBLISHED)

    with pytest.raises(ContractError, match=r"Restore the matching checkpoint in /new, or start with --adopt"):
        sink_on(kafka).start(EMPTY)

    assert kafka.epoch == 0


def test_what_was_adopted_and_lost_before_its_first_batch_is_not_begun_anew() -> None:
    kafka = kafka_with(PUBLISHED)
    sink_on(kafka).start(EMPTY, lambda _: None)

    with pytest.raises(ContractError, match="start with --adopt"):
        sink_on(kafka).start(CheckpointFacts("newer", None, -1, "/newer"))


def test_a_topic_that_was_made_again_is_refused_unless_the_checkpoint_is_left_behind() -> None:
    again = SinkSpec(deployment="tidemark.test", topic_uuids={"sensors": "second", "more": "third"})
    kafka = kafka_with(PUBLISHED)

    with pytest.raises(ContractError, match=r"topic sensors was deleted and made again .*move it away and start with"):
        sink_on(kafka, again).start(CheckpointFacts("lost", "query", 7, "/here"))
    assert kafka.epoch == 0

    sink = sink_on(kafka, again)
    sink.start(EMPTY, lambda _: None)
    assert sink.marker.topic_uuids == {"sensors": "second", "more": "third"}
