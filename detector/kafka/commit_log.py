"""The transactional log: alerts and the marker of their batch in one Kafka transaction.

Two topics: the alerts, and ``<app>.commits`` (one partition, compacted), whose newest record under a key is
the marker of that query's last published batch. Alerts and marker become visible together or not at all.

Not here: when to publish, skip, retry or stop (``alert_sink`` is the protocol, this is its port to Kafka), what a
marker says (``marker``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from detector.errors import ContractError, FencedError, TransientError
from detector.failpoints import reach
from detector.kafka.compacted import read_latest
from detector.kafka.lost_connections import LostConnections
from detector.kafka.marker import Marker
from detector.kafka.rights import missing_right

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector.kafka.connection import KafkaConnection

FENCED_CODES: Final = frozenset(
    {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, 90}  # noqa: SLF001 - public constant; 90: PRODUCER_FENCED
)


class OutgoingMessage(NamedTuple):
    """One alert, encoded."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class UncertainError(Exception):
    """A commit whose outcome is not known; the marker tells after the producer was recycled."""


class AbortedError(Exception):
    """A transaction that was aborted for certain and may be tried again."""


@dataclass(frozen=True)
class LogSpec:
    """Where alerts and markers go.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    transactional_id : str
        ``<app>.<deployment>.<query>``: stable over restarts and hosts.
    query_name : str
        Key of the marker.
    alerts_topic, commits_topic : str
        The two topics.
    transaction_timeout_seconds : float
        The broker aborts a transaction that is open for longer.
    """

    connection: KafkaConnection
    transactional_id: str
    query_name: str
    alerts_topic: str
    commits_topic: str
    transaction_timeout_seconds: float = 60.0


@dataclass
class CommitLog:
    """One transactional producer at a time, and reads of the marker."""

    spec: LogSpec
    _producer: Producer | None = None
    _lost: LostConnections = field(default_factory=LostConnections)

    def open(self) -> None:
        """Initialise transactions: fences every earlier owner and finishes its open transaction.

        Raises
        ------
        TransientError
            If the broker does not answer in time.
        """
        self.close()
        timeout_ms = round(self.spec.transaction_timeout_seconds * 1000)
        self._lost = LostConnections()
        self._producer = Producer(
            {
                **self.spec.connection.librdkafka(),
                "transactional.id": self.spec.transactional_id,
                "transaction.timeout.ms": timeout_ms,
                "linger.ms": 5,
                "compression.type": "lz4",
                "logger": self._lost,
            }
        )
        try:
            self._producer.init_transactions(self.spec.transaction_timeout_seconds)
        except KafkaException as error:
            raise self._classify(error, "init_transactions") from error

    def close(self) -> None:
        """Drop the producer without finishing its transaction; whoever initialises next decides it."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    @property
    def disconnects(self) -> int:
        """How often a broker connection was lost since the last `open` began.

        Raises
        ------
        FencedError
            If the client learned meanwhile that another owner has initialised.
        """
        try:
            if self._producer is not None:
                self._producer.poll(0)  # a loss during the last commit is still queued
        except KafkaException as error:
            raise self._classify(error, "poll") from error
        return self._lost.count

    def read_marker(self, *, settled: bool = True) -> Marker | None:
        """Read the newest committed marker of this query.

        Parameters
        ----------
        settled : bool
            Wait for the transactions that are open on the topic now: a marker that was committed behind one of
            another deployment is invisible until that one ends. Only a look that decides nothing may do without.

        Raises
        ------
        TransientError
            If the topic cannot be read to its end in time; a time-out is never "no marker".
        ContractError
            If the marker was written by a version that this one does not know.
        """
        spec = self.spec
        raw = read_latest(spec.connection, spec.commits_topic, spec.transaction_timeout_seconds, settled=settled)
        found = raw.get(spec.query_name)
        return None if found is None else Marker.parse(found, f"{spec.query_name!r} in topic {spec.commits_topic}")

    def publish(self, messages: Iterable[OutgoingMessage], marker: Marker) -> float:
        """Publish messages and marker in one transaction.

        Returns
        -------
        float
            Seconds that the commit itself took, after everything was flushed.

        Raises
        ------
        FencedError
            Another owner has initialised since.
        AbortedError
            Nothing was published.
        UncertainError
            The outcome is not known.
        """
        producer = self._producer
        if producer is None:
            raise RuntimeError("publish before open")
        # The broker aborts a transaction that is older, and who then goes on with it looks as if it were fenced.
        deadline = time.monotonic() + self.spec.transaction_timeout_seconds
        try:
            producer.begin_transaction()
            reach("transaction begun")
            for message in messages:
                self._produce(producer, self.spec.alerts_topic, *message)
            self._produce(
                producer,
                self.spec.commits_topic,
                self.spec.query_name.encode(),
                msgspec.json.encode(marker),
                [],
            )
            if producer.flush(_left(deadline)):
                raise UncertainError("flush: the brokers have not acknowledged the alerts in time")
        except KafkaException as error:
            self._abort(producer, error, deadline)
        reach("alerts produced")
        started = time.monotonic()
        try:
            producer.commit_transaction(_left(deadline))
        except KafkaException as error:
            if error.args[0].txn_requires_abort():
                self._abort(producer, error, deadline)
            raise self._classify(error, "commit_transaction", uncertain=True) from error
        seconds = time.monotonic() - started
        reach("committed")
        return seconds

    def _produce(
        self, producer: Producer, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        # Without a delivery callback: an alert that fails makes the commit fail, and a callback that runs while the
        # client raises a fatal error (fenced) turns that into a SystemError.
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers))
                producer.poll(0)
            except BufferError:
                producer.poll(0.1)  # the queue is full: wait for deliveries, memory stays bounded
            else:
                return

    def _abort(self, producer: Producer, error: KafkaException, deadline: float) -> None:
        """Abort after a failure before the commit; always raises."""
        reason = self._classify(error, "produce")
        if isinstance(reason, FencedError | ContractError):
            raise reason from error
        try:
            producer.abort_transaction(_left(deadline))
        except KafkaException as second:
            raise self._classify(second, "abort_transaction", uncertain=True) from second
        raise AbortedError(str(error)) from error

    def _classify(self, error: KafkaException, action: str, *, uncertain: bool = False) -> Exception:
        kafka_error: KafkaError = error.args[0]
        refused = missing_right(kafka_error, f"{action} of {self.spec.transactional_id!r}")
        if refused is not None:
            return refused
        if kafka_error.code() in FENCED_CODES or kafka_error.fatal():
            return FencedError(
                f"{self.spec.transactional_id!r} was fenced ({kafka_error.str()}): another instance owns it, or this "
                "one stood still for longer than alerts.transaction_timeout. It stops; give a second deployment its "
                "own app.deployment"
            )
        if uncertain:
            return UncertainError(f"{action}: {kafka_error.str()}")
        return TransientError(
            f"Kafka at {self.spec.connection.bootstrap_servers} failed {action} ({kafka_error.str()}); "
            "check that the brokers are reachable and start again"
        )


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
