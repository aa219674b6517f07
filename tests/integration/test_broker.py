from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from detector.errors import UnavailableError
from detector.kafka.broker import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRANSACTION_SECONDS = 30


def create(servers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)


def transact(servers: str, topic: str, values: list[bytes], *, commit: bool = True) -> None:
    producer = Producer({"bootstrap.servers": servers, "transactional.id": f"test-{uuid4().hex}"})
    producer.init_transactions(TRANSACTION_SECONDS)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(TRANSACTION_SECONDS)
    if commit:
        producer.commit_transaction(TRANSACTION_SECONDS)
    else:
        producer.abort_transaction(TRANSACTION_SECONDS)


def committed(servers: str, topic: str) -> list[bytes | None]:
    """Read a topic to its end as a plain read_committed consumer does."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"test-{uuid4().hex}",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values = []
    try:
        while True:
            message = consumer.poll(TRANSACTION_SECONDS)
            assert message is not None, f"the end of {topic} did not come"
            if (error := message.error()) is None:
                values.append(message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                return values
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def test_a_read_committed_consumer_sees_committed_transactions_only(
    broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("transactions")
    transact(broker.bootstrap_servers, topic, [b"a", b"b"])
    transact(broker.bootstrap_servers, topic, [b"never"], commit=False)
    transact(broker.bootstrap_servers, topic, [b"c"])
    assert committed(broker.bootstrap_servers, topic) == [b"a", b"b", b"c"]


def test_an_unknown_topic_is_an_error_and_not_a_new_topic(broker: EmbeddedBroker) -> None:
    # By default a client waits 30 s for a new topic to become known.
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "topic.metadata.propagation.max.ms": 1000})
    failures: list[KafkaError | None] = []
    producer.produce("mistyped", b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(60)
    assert [failure.code() for failure in failures if failure] == [KafkaError.UNKNOWN_TOPIC_OR_PART]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    assert "mistyped" not in admin.list_topics(timeout=30).topics


def test_a_killed_broker_comes_back_on_its_address_with_its_data() -> None:
    with EmbeddedBroker() as broker:
        address = broker.bootstrap_servers
        create(address, "kept")
        transact(address, "kept", [b"before"])
        broker.kill()
        assert not broker.running
        broker.start()
        assert broker.bootstrap_servers == address
        transact(address, "kept", [b"after"])
        assert committed(address, "kept") == [b"before", b"after"]
        directory = broker.directory
    assert not directory.exists()


def test_data_in_a_given_directory_outlives_the_broker(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as first:
        create(first.bootstrap_servers, "kept")
        transact(first.bootstrap_servers, "kept", [b"before"])
    with EmbeddedBroker(tmp_path) as second:
        assert committed(second.bootstrap_servers, "kept") == [b"before"]


def test_a_broker_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from detector.kafka.broker import EmbeddedBroker\n"
        "broker = EmbeddedBroker(pathlib.Path(sys.argv[1])); broker.start()\n"
        "print(broker.bootstrap_servers, flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    host, port = owner.stdout.readline().strip().split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        os.kill(owner.pid, signal.SIGKILL)
        owner.communicate()
        assert connection.recv(1) == b"", "the connection ends when the broker does"


def test_a_taken_port_is_told_before_kafka_is_started(broker: EmbeddedBroker, tmp_path: Path) -> None:
    port = int(broker.bootstrap_servers.split(":")[1])
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}: the port is taken"):
        EmbeddedBroker(tmp_path, port=port).start()


def test_a_second_broker_on_one_directory_is_refused(broker: EmbeddedBroker) -> None:
    properties = broker.directory / "node-1" / "server.properties"
    before = properties.read_text()
    second = EmbeddedBroker(broker.directory)
    with pytest.raises(UnavailableError, match="another broker runs on it"):
        second.start()
    assert properties.read_text() == before
    assert broker.running


def test_the_data_of_three_nodes_are_refused_to_one(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"cluster_id": "made-before", "nodes": 3}')
    with pytest.raises(UnavailableError, match=r"a cluster of 3, not of 1: start it with 3 \(--nodes 3\)"):
        EmbeddedBroker(tmp_path).start()


def test_a_jvm_that_does_not_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, heap_megabytes=1)
    with pytest.raises(UnavailableError, match="heap") as refused:
        broker.start()
    assert str(broker.log_paths[0]) in str(refused.value)
