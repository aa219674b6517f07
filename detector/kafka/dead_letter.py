"""The dead-letter ledger: every rejected or late record reaches the dead-letter topic, with its original bytes.

The query only counts rejects and notes the blocks of 256 offsets that hold them; of late records it says no more than
that there were some. The ledger reads just those blocks again, or the whole batch if something was late, decodes them
with the same decoder and publishes what was rejected or late. Its progress (end offsets of the batches it has finished)
is kept in the commits topic; after a crash it reads the gap between that and the checkpoint once. Delivery is at least
once; the headers topic, partition and offset identify a record.

Not here: counting (``detector.pipeline.decode``), what is late (``detector.pipeline.lateness``), threads
(``detector.app``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from detector.errors import TransientError
from detector.kafka.compacted import read_latest
from detector.kafka.connection import KafkaConnection
from detector.kafka.range_reader import OffsetRange, RangeReader
from detector.kafka.raw import raw_batch
from detector.kafka.source import Offsets
from detector.pipeline import columns as c
from detector.pipeline.decode import DecodeSpec, RecordDecoder
from detector.pipeline.instants import iso_of_us
from detector.pipeline.lateness import LATE, lateness
from detector.pipeline.windows import WindowSpec

MAX_HEADER_DETAIL: Final = 400  # characters; a parser's message may quote the record


@dataclass(frozen=True)
class Reread:
    """What is read again.

    Parameters
    ----------
    ranges : tuple of OffsetRange
        Where.
    closed_until_us : int or None
        Watermark, microseconds since 1970, that had closed windows before these records came; None where no record is
        looked at for being late.
    """

    ranges: tuple[OffsetRange, ...]
    closed_until_us: int | None = None


@dataclass
class PublishedLetters:
    """What was published.

    Attributes
    ----------
    counts : Counter of str
        Records by reason, `late` among them.
    partly_late : int
        Records that came too late for some of their windows only; they are used, and not published.
    """

    counts: Counter[str] = field(default_factory=Counter)
    partly_late: int = 0


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


def read_progress(spec: LedgerSpec) -> Offsets | None:
    """Read the end offsets up to which everything has been published; None if the ledger never ran."""
    raw = read_latest(spec.connection, spec.commits_topic, spec.deadline_seconds)
    found = raw.get(spec.progress_key)
    return None if found is None else msgspec.json.decode(found, type=dict[str, dict[int, int]], strict=False)


class Ledger:
    """Reads again what held rejects or late records, and publishes them; not thread-safe, one thread owns it.

    Parameters
    ----------
    spec : LedgerSpec
        Topics.
    decode : DecodeSpec
        How the query reads records.
    shape : WindowSpec
        The query's windows.
    """

    def __init__(self, spec: LedgerSpec, decode: DecodeSpec, shape: WindowSpec) -> None:
        self._spec = spec
        self._shape = shape
        self._decoder = RecordDecoder(decode)
        self._max_bytes = decode.max_bytes
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                **spec.connection.librdkafka(),
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.max.bytes": 100_000_000,
            }
        )
        self._reader = RangeReader(spec.connection, f"tidemark-ledger-{spec.query_name}", spec.deadline_seconds)

    def progress(self) -> Offsets | None:
        """Read the end offsets up to which everything has been published; None if it never ran."""
        return read_progress(self._spec)

    def publish(self, rereads: Iterable[Reread]) -> PublishedLetters:
        """Publish every record that was rejected or late.

        Returns
        -------
        PublishedLetters
            How many there were.

        Raises
        ------
        TransientError
            If Kafka does not answer; calling again publishes them all once more.
        """
        letters = PublishedLetters()
        try:
            for reread in rereads:
                for wanted in reread.ranges:
                    for messages in self._reader.read(wanted):
                        self._publish(messages, reread.closed_until_us, letters)
        finally:
            self._reader.rest()  # else it goes on to fetch what comes after the last range
        self._flush()
        return letters

    def save_progress(self, end: Offsets) -> None:
        """Record that everything before these offsets has been published."""
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
            self._reader.close()

    def _publish(self, messages: list[Message], closed_until_us: int | None, letters: PublishedLetters) -> None:
        if not messages:
            return
        decoded, rejects = self._decoder.decode_with_details(raw_batch(messages, self._max_bytes))
        for row, reject in rejects.items():
            letters.counts[reject.reason] += 1
            self._produce(messages[row], _headers(messages[row], reject.reason, reject.detail))
        if closed_until_us is None:
            return
        event_us = decoded.column(c.EVENT_TIME).cast(pa.int64()).to_numpy()
        found = lateness(event_us, closed_until_us, self._shape)
        valid = np.array(decoded.column(c.SENSOR_ID).is_valid())  # a heartbeat is of no sensor and of no window
        valid[list(rejects)] = False
        letters.partly_late += int((found.partly & valid).sum())
        for row in np.flatnonzero(found.late & valid).tolist():
            letters.counts[LATE] += 1
            closed, came = iso_of_us(closed_until_us), iso_of_us(int(event_us[row]))
            detail = f"event time {came}, its windows were closed up to {closed}"
            headers = _headers(messages[row], LATE, detail)
            self._produce(messages[row], {**headers, "watermark": str(closed_until_us // 1000)})

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


def _headers(message: Message, reason: str, detail: str) -> dict[str, str | None]:
    return {
        "reason": reason,
        "detail": detail[:MAX_HEADER_DETAIL],
        "topic": message.topic(),
        "partition": str(message.partition()),
        "offset": str(message.offset()),
        "timestamp": str(message.timestamp()[1]),
    }
