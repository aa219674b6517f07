"""Looks at a running application from outside, as any user of it would: its alerts on Kafka and its ``/metrics``.

Not here: what follows from them (``judge``), showing them (``view``).
"""

from __future__ import annotations

import math
import time
import urllib.request
from dataclasses import dataclass
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from detector.app.demo.judge import Received
from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight

END_SECONDS: Final = 20.0  # to read to the end of a topic on this machine
POLL_MESSAGES: Final = 100


class AlertWatch:
    """A plain ``read_committed`` consumer of the alerts topic.

    Parameters
    ----------
    connection : KafkaConnection
        Where.
    topic : str
        All its partitions are read from their beginning.
    """

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._partitions = range(Preflight(connection).topics()[topic])
        self._consumer = Consumer(
            {
                **connection.librdkafka(),
                "group.id": "tidemark-demo",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in self._partitions])
        self._behind = set(self._partitions)

    def poll(self, seconds: float) -> list[Received]:
        """Return what came, in the order of their windows; waits for the first at most that long."""
        found = []
        for message in self._consumer.consume(POLL_MESSAGES, seconds):
            error, value = message.error(), message.value()
            if error is None and value is not None:
                found.append(Received(msgspec.json.decode(value), time.time()))
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public constant
                self._behind.discard(message.partition() or 0)
        return sorted(found, key=lambda each: each.window[1])

    def rest(self) -> list[Received]:
        """Return everything up to the end that the topic has now.

        Raises
        ------
        TransientError
            If the end is not reached in time.
        """
        self._consumer.assign(self._consumer.position(self._consumer.assignment()))
        self._behind = set(self._partitions)
        found: list[Received] = []
        deadline = time.monotonic() + END_SECONDS
        while self._behind:
            found += self.poll(0.1)
            if time.monotonic() > deadline:
                raise TransientError(f"the end of {self._topic} was not reached in {END_SECONDS:.0f} s")
        return found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def count_records(connection: KafkaConnection, topic: str) -> int:
    """Return how many records a topic holds that is never compacted nor written in transactions."""
    preflight = Preflight(connection)
    first, end = (bound[topic] for bound in preflight.bounds({topic: preflight.topics()[topic]}))
    return sum(last - first[partition] for partition, last in end.items())


@dataclass(frozen=True)
class Readings:
    """What ``/metrics`` said.

    Parameters
    ----------
    at : float
        When it was asked (`time.time`).
    records : int
        Read by the application, the warm-up included.
    windows : int
        Scored.
    lag : int
        Records left unread when the last batch was planned.
    learning : int
        Sensors without a model of their own.
    rejected, dead_letters : int
        Records that could not be used, and those of them in the dead-letter topic.
    last_batch : float
        When the last batch was committed, epoch seconds; NaN before the first.
    """

    at: float
    records: int
    windows: int
    lag: int
    learning: int
    rejected: int
    dead_letters: int
    last_batch: float


def read_metrics(url: str) -> Readings:
    """Read ``/metrics`` below `url` as Prometheus does."""
    if not url.startswith("http://"):
        raise ValueError(f"{url!r} is not the address of the application")
    now = time.time()
    with urllib.request.urlopen(f"{url}/metrics", timeout=END_SECONDS) as answer:  # noqa: S310 - http, checked above
        text = answer.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value

    def count(name: str) -> int:
        value = sums.get(f"tidemark_{name}", 0.0)
        return int(value) if math.isfinite(value) else 0  # a gauge is NaN until it is known

    return Readings(
        at=now,
        records=count("records_consumed_total"),
        windows=count("windows_scored_total"),
        lag=count("source_lag_records"),
        learning=count("sensors_learning"),
        rejected=count("records_rejected_total"),
        dead_letters=count("dead_letters_published_total"),
        last_batch=sums.get("tidemark_last_batch_success_timestamp_seconds", math.nan),
    )
