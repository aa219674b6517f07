"""One transactional id and its two topics in memory, with everything that can go wrong between it and a process.

Every operation asks `Faults` what happens to it; the numbers of a schedule count the operations of all processes.

Not here: the protocol that is tested, and what runs it (``deployment``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from detector.errors import FencedError, TransientError
from detector.kafka.commit_log import AbortedError, OutgoingMessage, UncertainError
from detector.kafka.marker import Marker

SLOW_SECONDS = 5.0

FAULTS = (
    "crash before",  # the process dies before the operation
    "crash after",  # ... when the broker has done it
    "crash within",  # ... with its transaction open
    "unreachable",  # the broker does not answer and has done nothing
    "lost reply",  # the broker has done it, the answer is lost
    "not done",  # the commit is lost: the transaction stays open until somebody initialises
    "late",  # the commit arrives just before the next initialise
    "aborted",
    "reconnected",  # committed over a new connection; the commit's first copy is still under way on the old one
    "slow",  # the same, and only the time that it took tells
    "paused before",  # the process stands still while another one runs
    "paused within",
    "paused after",
    "stale",  # a look that is not settled misses the newest marker
)


class CrashedError(BaseException):
    """The process is gone; no handler of its own may see this."""


class Transaction(NamedTuple):
    """What one transaction wrote."""

    epoch: int
    alerts: tuple[bytes, ...]
    marker: Marker | None


@dataclass
class Faults:
    """What happens to which operation, and who runs while a process is paused."""

    schedule: Mapping[int, str]
    meanwhile: Callable[[], None] = lambda: None
    operations: int = 0

    def next(self) -> str:
        fault = self.schedule.get(self.operations, "")
        self.operations += 1
        if fault == "crash before":
            raise CrashedError
        if fault == "unreachable":
            raise TransientError("no answer")
        if fault == "paused before":
            self.meanwhile()
        return fault

    def after(self, fault: str) -> None:
        if fault == "crash after":
            raise CrashedError
        if fault == "paused after":
            self.meanwhile()


@dataclass
class FakeKafka:
    """The broker's side."""

    epoch: int = 0
    committed: list[Transaction] = field(default_factory=list)
    unfinished: Transaction | None = None
    commit_under_way: bool = False
    stray_commit: int | None = None  # epoch of a commit that an old connection still holds

    def initialise(self) -> int:
        if self.commit_under_way:
            self.finish(commit=True)
        self.finish(commit=False)
        self.epoch += 1
        return self.epoch

    def write(self, transaction: Transaction) -> None:
        """Add to the open transaction; a stray commit of this epoch ends what is there so far."""
        self.require(transaction.epoch)
        self.finish(commit=False)
        if self.stray_commit == transaction.epoch and transaction.alerts:
            self.committed.append(transaction._replace(alerts=transaction.alerts[:1], marker=None))
            transaction = transaction._replace(alerts=transaction.alerts[1:])
        self.stray_commit = None
        self.unfinished = transaction

    def finish(self, *, commit: bool) -> None:
        if commit and self.unfinished is not None:
            self.committed.append(self.unfinished)
        self.unfinished = None
        self.commit_under_way = False

    def require(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise FencedError(f"epoch {epoch} was fenced by {self.epoch}")

    def markers(self) -> list[Marker]:
        return [transaction.marker for transaction in self.committed if transaction.marker is not None]


@dataclass
class FakeLog:
    """The connection of one process: what the real `CommitLog` is to Kafka."""

    kafka: FakeKafka
    faults: Faults
    disconnects: int = 0
    _epoch: int = 0

    def open(self) -> None:
        fault = self.faults.next()
        self.disconnects = 0
        self._epoch = self.kafka.initialise()
        self.faults.after(fault)
        if fault == "lost reply":
            raise TransientError("no answer")

    def read_marker(self, *, settled: bool = True) -> Marker | None:
        fault = self.faults.next()
        known = self.kafka.markers()
        if fault == "stale" and not settled:
            known.pop() if known else None
        found = known[-1] if known else None
        self.faults.after(fault)
        return found

    def publish(self, messages: Iterable[OutgoingMessage], marker: Marker) -> float:
        fault = self.faults.next()
        kafka = self.kafka
        kafka.write(Transaction(self._epoch, tuple(message.value for message in messages), marker))
        if fault == "crash within":
            raise CrashedError
        if fault == "paused within":
            self.faults.meanwhile()
        kafka.require(self._epoch)
        if fault == "aborted":
            kafka.finish(commit=False)
            raise AbortedError("aborted")
        if fault in ("not done", "late"):
            kafka.commit_under_way = fault == "late"
            raise UncertainError("no answer")
        kafka.finish(commit=True)
        self.faults.after(fault)
        if fault == "lost reply":
            raise UncertainError("no answer")
        if fault in ("reconnected", "slow"):
            kafka.stray_commit = self._epoch
        self.disconnects += fault == "reconnected"
        return SLOW_SECONDS if fault == "slow" else 0.0

    def close(self) -> None:
        self._epoch = 0
