"""What a start finds waiting on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from detector.app.catch_up import find_backlog
from detector.app.checkpoint import Checkpoint
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from detector.settings import load
from tests.integration.kafka_records import PATIENCE


def test_a_partition_that_was_added_since_the_process_began_belongs_to_the_backlog(
    broker: EmbeddedBroker, new_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic, servers = new_topic("plant"), broker.bootstrap_servers
    chosen = (f"source.topics=[{topic}]", f"kafka.bootstrap_servers={servers}", "source.max_records_per_batch=1000")
    settings, checkpoint = load(None, chosen, {}), Checkpoint(tmp_path)
    admin = AdminClient({"bootstrap.servers": servers})

    def write(partition: int) -> None:
        producer = Producer({"bootstrap.servers": servers})  # one that knows the partitions of now
        for _ in range(900):
            producer.produce(topic, b"no record", partition=partition)
        assert producer.flush(PATIENCE) == 0

    write(0)
    assert find_backlog(settings, checkpoint) is None
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(PATIENCE)
    preflight, deadline = Preflight(KafkaConnection(servers)), time.monotonic() + PATIENCE
    while preflight.topics()[topic] < 2:  # the broker itself learns of it a moment later
        assert time.monotonic() < deadline
    write(1)
    backlog = find_backlog(settings, checkpoint)

    assert backlog is not None
    assert backlog.records == 1_800
