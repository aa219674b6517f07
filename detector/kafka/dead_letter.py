"""The dead-letter ledger: every rejected record reaches the dead-letter topic, with its original bytes.

The query only counts rejects and notes the blocks of 256 offsets that hold them. The ledger reads just those
blocks again, decodes them with the same decoder and publishes what was rejected. Its progress (end offsets of
the batches it has finished) is kept in the commits topic; after a crash it reads the gap between that and the
checkpoint once. Delivery is at least once; the headers topic, partition and offset identify a record.

Not here: counting (``detector.pipeline.decode``), threads (``detector.app``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from detector.errors import TransientError
from detector.kafka.compacted import read_latest
from detector.kafka.connection import KafkaConnection
from detector.kafka.raw import raw_batch
from detector.kafka.source import Offsets
from detector.pipeline.decode import DecodeSpec, RecordDecoder

CHUNK_RECORDS: Final = 1_000  # decoded at a time; bounds memory with records of up to message.max.bytes
MAX_HEADER_DETAIL: Final = 400  # characters; a parser's message may quote the record


class OffsetRange(NamedTuple):
    """``start <= offset < end`` of one partition."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True)
class LedgerSpec:
    """Where the ledger reads and writes.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    query_name : str
        The ledger's progress is kept under ``<query_name>/ledger``.
    dead_letter_topic, commits_topic : str
        The two topics it writes.
    deadline_seconds : float
        How long one range may take without a record before it fails.
    """

    connection: KafkaConnection
    query_name: str
    dead_letter_topic: str
    commits_topic: str
    deadline_seconds: float = 60.0

    @property
    def progress_key(self) -> str:
        """Key of the ledger's progress in the commits topic."""
        return f"{self.query_name}/ledger"


class Ledger:
    """Re-reads blocks that hold rejects and publishes them; not thread-safe, one thread owns it."""

    def __init__(self, spec: LedgerSpec, decode: DecodeSpec) -> None:
        self._spec = spec
        self._decoder = RecordDecoder(decode)
        self._max_bytes = decode.max_bytes
        self._failed: list[KafkaError] = []
        config = spec.connection.librdkafka()
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.max.bytes": 100_000_000,
            }
        )
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"tidemark-ledger-{spec.query_name}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": 1_000_000,
                "queued.min.messages": CHUNK_RECORDS,  # read no further ahead than a chunk: ranges are short
            }
        )

    def progress(self) -> Offsets | None:
        """Read the end offsets up to which all rejects have been published; None if it never ran."""
        raw = read_latest(self._spec.connection, self._spec.commits_topic, self._spec.deadline_seconds)
        found = raw.get(self._spec.progress_key)
        return None if found is None else msgspec.json.decode(found, type=dict[str, dict[int, int]], strict=False)

    def publish_rejects(self, ranges: Iterable[OffsetRange]) -> Counter[str]:
        """Publish every rejected record of the ranges.

        Returns
        -------
        Counter of str
            How many there were, by reason.

        Raises
        ------
        TransientError
            If Kafka does not answer; calling again publishes them all once more.
        """
        published: Counter[str] = Counter()
        try:
            for found in ranges:
                for messages in self._read(found):
                    published.update(self._publish(messages))
        finally:
            self._consumer.unassign()  # else it goes on to fetch what comes after the last range
        self._flush()
        return published

    def save_progress(self, end: Offsets) -> None:
        """Record that all rejects before these offsets have been published."""
        self._producer.produce(
            self._spec.commits_topic,
            msgspec.json.encode(end),
            self._spec.progress_key.encode(),
            on_delivery=self._delivered,
        )
        self._flush()

    def close(self) -> None:
        """Close the clients."""
        try:
            self._flush()
        finally:
            self._consumer.close()

    def _read(self, wanted: OffsetRange) -> Iterator[list[Message]]:
        """Yield the records of one range in chunks.

        The range may end in offsets without a record (control records, aborted ones, compacted ones): it has been
        read once a record or the end of the partition lies at or behind its end.
        """
        if wanted.start >= wanted.end:
            return
        self._consumer.assign([TopicPartition(wanted.topic, wanted.partition, wanted.start)])
        chunk: list[Message] = []
        deadline = time.monotonic() + self._spec.deadline_seconds
        done = False
        while not done:
            for message in self._consumer.consume(CHUNK_RECORDS, 0.2):
                error = message.error()
                if error is None:
                    deadline = time.monotonic() + self._spec.deadline_seconds
                    offset = message.offset() or 0
                    if offset < wanted.end:
                        chunk.append(message)
                    done = done or offset >= wanted.end - 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public constant
                    done = done or (message.offset() or 0) >= wanted.end
            if time.monotonic() > deadline:
                raise TransientError(
                    f"rejected records of {wanted.topic}/{wanted.partition} offsets {wanted.start}-{wanted.end} could "
                    f"not be read again within {self._spec.deadline_seconds:.0f} s; check the brokers"
                )
            if done or len(chunk) >= CHUNK_RECORDS:
                yield chunk
                chunk = []

    def _publish(self, messages: list[Message]) -> list[str]:
        """Publish the rejected ones among the messages; returns their reasons."""
        if not messages:
            return []
        _, rejects = self._decoder.decode_with_details(raw_batch(messages, self._max_bytes))
        for row, reject in rejects.items():
            message = messages[row]
            headers = {
                "reason": reject.reason,
                "detail": reject.detail[:MAX_HEADER_DETAIL],
                "topic": message.topic(),
                "partition": str(message.partition()),
                "offset": str(message.offset()),
                "timestamp": str(message.timestamp()[1]),
            }
            self._produce(message, headers)
        return [reject.reason for reject in rejects.values()]

    def _produce(self, message: Message, headers: dict[str, str | None]) -> None:
        while True:
            try:
                self._producer.produce(
                    self._spec.dead_letter_topic,
                    message.value(),
                    message.key(),
                    headers=[(name, (text or "").encode(errors="replace")) for name, text in headers.items()],
                    on_delivery=self._delivered,
                )
                self._producer.poll(0)
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: wait for deliveries, memory stays bounded
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def _flush(self) -> None:
        remaining = self._producer.flush(self._spec.deadline_seconds)
        failed, self._failed = self._failed, []
        if remaining or failed:
            why = failed[0].str() if failed else f"{remaining} records were not acknowledged in time"
            raise TransientError(
                f"dead letters could not be written to {self._spec.dead_letter_topic}: {why}. They are read again "
                "after a restart; check the brokers and the topic's max.message.bytes"
            )
