"""A few records at given offsets of many partitions.

Not here: which offsets, and what the records tell (``detector.pipeline.backlog``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.pipeline.backlog import Place

BATCH: Final = 64  # records asked for at a time
POLL_SECONDS: Final = 0.2


class Sampler:
    """Reads samples.

    Parameters
    ----------
    connection : KafkaConnection
        Where.
    deadline_seconds : float
        How long one call may take.
    """

    def __init__(self, connection: KafkaConnection, deadline_seconds: float = 60.0) -> None:
        self._deadline_seconds = deadline_seconds
        self._consumer = Consumer(
            {
                **connection.librdkafka(),
                "group.id": "tidemark-sampling",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": 16_384,
                "queued.min.messages": BATCH,
                "fetch.queue.backoff.ms": 1,  # else a full queue holds the next read back for a second
            }
        )

    def read(self, ranges: Mapping[Place, tuple[int, int]]) -> dict[Place, list[Message]]:
        """Return the records of each range, which is to be short.

        Parameters
        ----------
        ranges : mapping of (topic, partition) to (int, int)
            First offset and end (exclusive).

        Raises
        ------
        TransientError
            If Kafka does not answer in time.
        """
        found: dict[Place, list[Message]] = {place: [] for place in ranges}
        waiting = set(ranges)
        self._consumer.assign([TopicPartition(*place, first) for place, (first, _) in ranges.items()])
        deadline = time.monotonic() + self._deadline_seconds
        while waiting:
            for message in self._consumer.consume(BATCH, POLL_SECONDS):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public constant
                        waiting.discard(place)
                    continue
                offset, (first, end) = message.offset() or 0, ranges[place]
                if place in waiting and first <= offset < end:
                    found[place].append(message)
                if offset >= end - 1:
                    waiting.discard(place)
            if time.monotonic() > deadline:
                raise TransientError(
                    f"records of {', '.join(f'{topic}/{partition}' for topic, partition in sorted(waiting))} could not "
                    f"be read within {self._deadline_seconds:.0f} s; check the brokers and start again"
                )
        self._consumer.unassign()
        return found

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()
