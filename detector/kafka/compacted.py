"""Read a compacted topic of one partition to its end: the newest committed value of every key.

Not here: what the values mean (``commit_log``: markers; ``dead_letter``: progress) and writing them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection

FETCH_WAIT_MS: Final = 10  # a read of a small topic then takes 0.02 s instead of 0.5 s


def read_latest(
    connection: KafkaConnection, topic: str, timeout_seconds: float, *, settled: bool = False
) -> Mapping[str, bytes]:
    """Read a compacted one-partition topic: key -> newest committed value.

    Parameters
    ----------
    settled : bool
        Read everything that is in the topic now, which waits for the transactions that are open on it; else read
        to the first of those (the last stable offset).

    Raises
    ------
    TransientError
        If the end is not reached within the time.
    """
    consumer = Consumer(
        {
            **connection.librdkafka(),
            "group.id": "tidemark-commit-log",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
        }
    )
    latest: dict[str, bytes] = {}
    deadline = time.monotonic() + timeout_seconds
    try:
        end = _end_of(connection, topic, timeout_seconds) if settled else 0
        consumer.assign([TopicPartition(topic, 0, 0)])
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                latest[(message.key() or b"").decode()] = message.value() or b""
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public constant
                if (message.offset() or 0) >= end:
                    return latest
            elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TransientError(f"topic {topic} cannot be read: {error.str()}; check that it exists")
    finally:
        consumer.close()
    raise TransientError(
        f"topic {topic} on {connection.bootstrap_servers} could not be read to its end within {timeout_seconds:.0f} s; "
        "check that the brokers are reachable and start again (a transaction that another instance left open ends "
        "with its time-out)"
    )


def _end_of(connection: KafkaConnection, topic: str, timeout_seconds: float) -> int:
    """Return the offset after everything in partition 0, open transactions included."""
    partition = TopicPartition(topic, 0)
    admin = AdminClient(connection.librdkafka())  # kept alive: the answer comes through it
    request = admin.list_offsets(
        {partition: OffsetSpec.latest()},  # type: ignore[no-untyped-call]  # the library has no types here
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=timeout_seconds,
    )
    try:
        return int(request[partition].result(timeout_seconds).offset)
    except KafkaException as error:
        raise TransientError(
            f"the end of topic {topic} on {connection.bootstrap_servers} is not known ({error.args[0].str()}); check "
            "that the topic exists and the brokers are reachable"
        ) from error
