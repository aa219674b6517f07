"""Three nodes, of which one after another is killed: who publishes waits for a failover, nothing is lost or doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from detector.kafka.alert_sink import AlertSink
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, SinkSpec
from tests.integration.kafka_records import PATIENCE, log_on

NODES = (1, 2, 3)
PARTITIONS = 3  # so that each node leads one
COPIES = 3
PAUSE = 0.005  # seconds between two transactions
MORE = 10  # transactions, by which it is known that publishing goes on
# Seconds. A dead node that was the active controller: 2 s until the others miss its fetches, some 1 s of election, 4 s
# (SESSION_TIMEOUT_MS) until the new one misses its heartbeats and gives its partitions to others. Clients look again at
# least once a second. Twice that, for a busy machine.
LONGEST_COMMIT = 16.0


def wait_until(happened: Callable[[], bool], seconds: float, found: Callable[[], object]) -> None:
    """Wait for what a thread of the test does; `found` says how far it has come when it takes too long."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, found()
        time.sleep(0.01)


class Publishing:
    """Publishes numbered transactions on a thread of its own, one after another, and measures each."""

    def __init__(self, publish: Callable[[int], None]) -> None:
        self._publish = publish
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.count = 0
        self.longest = 0.0
        self.error: Exception | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join(PATIENCE)

    def wait_for_more(self) -> None:
        """Wait until some more transactions are committed."""
        wanted = self.count + MORE
        wait_until(lambda: self.error is not None or self.count >= wanted, 2 * LONGEST_COMMIT, lambda: self.count)
        assert self.error is None, self.error

    def _run(self) -> None:
        try:
            while not self._stopping.wait(PAUSE):
                began = time.monotonic()
                self._publish(self.count)
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1
        except Exception as error:  # noqa: BLE001 - of any kind: told by `wait_for_more`
            self.error = error


def all_go_on(*publishing: Publishing) -> None:
    for each in publishing:
        each.wait_for_more()


class Following:
    """Reads committed records on a thread of its own, by partition."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self.values: dict[int, list[bytes | None]] = {partition: [] for partition in range(partitions)}
        client = KafkaConnection(servers).librdkafka()
        self._consumer = Consumer({**client, "group.id": "following", "isolation.level": "read_committed"})
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in self.values])
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping = True
            self._thread.join(PATIENCE)
            self._consumer.close()

    def wait_for(self, count: int) -> None:
        """Wait until each partition has given so many records."""
        wait_until(lambda: min(self._lengths()) >= count, PATIENCE, self._lengths)

    def _lengths(self) -> list[int]:
        return [len(values) for values in self.values.values()]

    def _run(self) -> None:
        while not self._stopping:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.values[message.partition() or 0].append(message.value())


def transactions(servers: str, topic: str) -> Callable[[int], None]:
    """Return what writes a number to every partition of a topic, in a transaction."""
    producer = Producer({**KafkaConnection(servers).librdkafka(), "transactional.id": topic, "linger.ms": 0})
    producer.init_transactions(PATIENCE)

    def publish(number: int) -> None:
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(topic, str(number).encode(), partition=partition)
        while True:
            try:
                producer.commit_transaction(PATIENCE)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return

    return publish


def alerts(sink: AlertSink) -> Callable[[int], None]:
    """Return what publishes a batch of one alert."""

    def publish(number: int) -> None:
        batch = BatchFacts(number, "query", f"sha of {number}", {"sensors": {"0": number}}, None)
        message = OutgoingMessage(b"key", str(number).encode(), [])
        assert sink.publish(batch, JudgedBy("model", "config"), lambda: [message], 1).outcome == "committed"

    return publish


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(nodes=3) as running:
        yield running


def test_any_one_node_of_three_may_be_killed(cluster: EmbeddedBroker) -> None:
    servers = cluster.bootstrap_servers
    preflight = Preflight(KafkaConnection(servers))
    assert preflight.ensure("events", PARTITIONS, COPIES, {})
    preflight.ensure_outputs("alerts", "dead", "commits", COPIES)
    log = log_on(servers, "alerts", "commits", transactional_id="sink")
    sink = AlertSink(log, SinkSpec("sink"))
    sink.start(CheckpointFacts("owner", None, -1, "the checkpoint"))
    plain, fenced = Publishing(transactions(servers, "events")), Publishing(alerts(sink))
    events, published = Following(servers, "events", PARTITIONS), Following(servers, "alerts", 4)
    with events.going_on(), published.going_on():
        with plain.going_on(), fenced.going_on():
            for node in NODES:
                all_go_on(plain, fenced)
                cluster.kill(node)
                all_go_on(plain, fenced)
                cluster.start(node)
        numbers = [str(number).encode() for number in range(plain.count)]
        events.wait_for(plain.count)
        assert events.values == dict.fromkeys(range(PARTITIONS), numbers)
    assert max(plain.longest, fenced.longest) < LONGEST_COMMIT
