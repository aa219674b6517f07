"""Read the records of one range of offsets after another, in chunks, with one client.

Not here: which ranges (``detector.app.rereading``), what becomes of the records.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection

ASKED_RECORDS: Final = 1_000  # of the client at a time
CHUNK_RECORDS: Final = 5_000  # handed over at a time: decoding pays a price a chunk
CHUNK_BYTES: Final = 16_000_000  # or so many bytes of values, which bounds memory where records are large
POLL_SECONDS: Final = 0.2


class OffsetRange(NamedTuple):
    """``start <= offset < end`` of one partition."""

    topic: str
    partition: int
    start: int
    end: int


class RangeReader:
    """Reads committed records; not thread-safe.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    group : str
        Name of the consumer in the brokers' logs; nothing is committed under it.
    deadline_seconds : float
        How long a range may take without a record before it fails.
    """

    def __init__(self, connection: KafkaConnection, group: str, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._consumer = Consumer(
            {
                **connection.librdkafka(),
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": 1_000_000,
                "queued.min.messages": ASKED_RECORDS,  # read no further ahead than a chunk: most ranges are short
                "fetch.queue.backoff.ms": 1,  # else a full queue holds the next read back for a second
            }
        )

    def read(self, wanted: OffsetRange) -> Iterator[list[Message]]:
        """Yield the records of one range in chunks.

        The range may end in offsets without a record (control records, aborted ones, compacted ones): it has been
        read once a record or the end of the partition lies at or behind its end.

        Raises
        ------
        TransientError
            If Kafka does not answer.
        """
        if wanted.start >= wanted.end:
            return
        self._consumer.assign([TopicPartition(wanted.topic, wanted.partition, wanted.start)])
        chunk: list[Message] = []
        size = 0
        deadline = time.monotonic() + self._deadline_seconds
        done = False
        while not done:
            for message in self._consumer.consume(ASKED_RECORDS, POLL_SECONDS):
                error = message.error()
                if error is None:
                    deadline = time.monotonic() + self._deadline_seconds
                    offset = message.offset() or 0
                    if offset < wanted.end:
                        chunk.append(message)
                        size += len(message)
                    done = done or offset >= wanted.end - 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public constant
                    done = done or (message.offset() or 0) >= wanted.end
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{wanted.topic}/{wanted.partition} offsets {wanted.start}-{wanted.end} could not be read again "
                    f"within {self._deadline_seconds:.0f} s; check the brokers"
                )
            if done or len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0

    def rest(self) -> None:
        """Stop to read ahead of the last range."""
        self._consumer.unassign()

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()
