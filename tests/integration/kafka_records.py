"""Write and read records of a real broker, as another program would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from detector.kafka.commit_log import CommitLog, LogSpec
from detector.kafka.connection import KafkaConnection

PATIENCE = 30.0  # seconds until a test fails instead of hanging


class Record(NamedTuple):
    """One record of a topic."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


def read(servers: str, topic: str, isolation: str = "read_committed") -> list[Record]:
    """Read a topic of one partition to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"test-{uuid4().hex}",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    records: list[Record] = []
    try:
        while True:
            message = consumer.poll(PATIENCE)
            assert message is not None, f"{topic} was not read to its end"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return records
            found: Any = message.headers() or []
            records.append(Record(message.key(), message.value(), dict(found)))
    finally:
        consumer.close()


def write(servers: str, topic: str, values: Sequence[bytes | None], key: bytes | None = None) -> None:
    """Append records to partition 0."""
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 50_000_000, "linger.ms": 0})
    for value in values:
        producer.produce(topic, value, key, partition=0)
    assert producer.flush(PATIENCE) == 0


def transaction(servers: str, topic: str, values: Sequence[bytes], end: str, transactional_id: str = "") -> Producer:
    """Append records in a transaction that is then ``commit``, ``abort`` or left ``open``."""
    name = transactional_id or f"test-{uuid4().hex}"
    producer = Producer({"bootstrap.servers": servers, "transactional.id": name, "transaction.timeout.ms": 60_000})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, b"key", partition=0)
    assert producer.flush(PATIENCE) == 0
    if end == "commit":
        producer.commit_transaction(PATIENCE)
    elif end == "abort":
        producer.abort_transaction(PATIENCE)
    return producer


def log_on(
    servers: str, alerts: str, commits: str, *, transactional_id: str = "", seconds: float = PATIENCE
) -> CommitLog:
    """Return a commit log under an identity of its own."""
    return CommitLog(
        LogSpec(
            connection=KafkaConnection(servers),
            transactional_id=transactional_id or f"test-{uuid4().hex}",
            query_name="query",
            alerts_topic=alerts,
            commits_topic=commits,
            transaction_timeout_seconds=seconds,
        )
    )
