"""A checkpoint, and processes on it that run its batches as Spark does, until every batch is finished.

Not here: what goes wrong (``fake_kafka``) and what must hold in spite of it (the tests).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, SinkSpec
from tests.unit.kafka_edge.fake_kafka import CrashedError, FakeKafka, FakeLog, Faults

BATCHES = ((b"0a", b"0b"), (), (b"2a", b"2b"), (b"3a",))
JUDGED_BY = JudgedBy("model", "config")
STARTS = 12  # more than the faults of any schedule, each of which ends two processes at most


def spec(marker_interval_seconds: float = 60.0, *, take_over: bool = False, deadline: float = 300.0) -> SinkSpec:
    return SinkSpec(
        deployment="tidemark.test",
        marker_interval_seconds=marker_interval_seconds,
        deadline_seconds=deadline,
        take_over=take_over,
    )


def facts(batch_id: int, *, query_id: str = "query", sha: str | None = None) -> BatchFacts:
    offset = 10 * (batch_id + 1)
    return BatchFacts(batch_id, query_id, sha or f"sha of {batch_id}", {"sensors": {"0": offset}}, float(batch_id))


def messages(*values: bytes) -> list[OutgoingMessage]:
    return [OutgoingMessage(b"key", value, []) for value in values]


def frozen_clock() -> float:
    return 1_000.0


def no_pause(_: float) -> None:
    """Try again at once."""


@dataclass
class Deployment:
    """One checkpoint under supervision."""

    schedule: Mapping[int, str]
    marker_interval_seconds: float = 60.0
    clock_errors: Sequence[float] = (0.0,)  # seconds, of one process after another
    resumes: bool = False  # a process survives a Kafka that does not answer, which it has no patience for
    kafka: FakeKafka = field(default_factory=FakeKafka)
    planned: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    query_id: str | None = None
    started: int = 0
    fenced: int = 0
    resumed: int = 0

    def __post_init__(self) -> None:
        self.faults = Faults(self.schedule, self.supervise)

    def supervise(self) -> None:
        """Start a process after another, until one of them ends well."""
        for _ in range(STARTS):
            try:
                self.run_process()
            except FencedError:
                self.fenced += 1
            except (
                CrashedError,
                TransientError,
                ContractError,
            ):  # ContractError: stood still since it read the checkpoint
                continue
            else:
                return
        raise AssertionError(f"no process came to the end in {STARTS} starts")

    def run_process(self) -> None:
        ticks = count(1e6 + self.clock_errors[self.started % len(self.clock_errors)])
        self.started += 1
        sink_spec = spec(self.marker_interval_seconds, deadline=0.0 if self.resumes else 300.0)
        sink = AlertSink(FakeLog(self.kafka, self.faults), sink_spec, lambda: next(ticks), no_pause)
        sink.start(CheckpointFacts("owner", self.query_id, max(self.planned, default=-1), "here"))
        self.query_id = "query"
        lost = False
        while True:
            try:
                if lost:
                    sink.resume()
                self.run_query(sink)
            except TransientError:
                if not self.resumes:
                    raise
                lost, self.resumed = True, self.resumed + 1
            else:
                sink.close()
                return

    def run_query(self, sink: AlertSink) -> None:
        for batch_id in range(max(self.finished, default=-1) + 1, len(BATCHES)):
            self.planned.add(batch_id)
            alerts = messages(*BATCHES[batch_id])
            sink.publish(facts(batch_id), JUDGED_BY, alerts.copy, len(alerts))
            fault = self.faults.next()
            self.finished.add(batch_id)
            self.faults.after(fault)
