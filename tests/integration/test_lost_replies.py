"""Exactly once through a bad network: lost requests, lost replies, cut connections and a slow broker."""

from __future__ import annotations

import random
from collections.abc import Iterator
from uuid import uuid4

import pytest

from detector.kafka.alert_sink import SLOW_COMMIT_SECONDS, AlertSink
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.connection import KafkaConnection
from detector.kafka.ports import free_port
from detector.kafka.preflight import Preflight
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, Published, SinkSpec
from tests.integration.kafka_records import PATIENCE, log_on, read
from tests.integration.proxy import ADD_PARTITIONS, END_TXN, INIT_PRODUCER, PRODUCE, Fault, Proxy

REQUESTS = (PRODUCE, ADD_PARTITIONS, END_TXN)
CUTS: tuple[Fault, ...] = ("lost request", "half a request", "lost reply")
ALERTS = [b"one", b"two", b"three"]
BATCHES = 20
FAULT_RATE = 0.15  # of a request; about every third transaction meets one


class Site:
    """A deployment that reaches its broker through the proxy; its topics are read past it."""

    def __init__(self, servers: str, proxied: str, proxy: Proxy) -> None:
        self.servers, self.proxied, self.proxy = servers, proxied, proxy
        self.name = uuid4().hex[:12]
        self.alerts, self.commits = f"alerts-{self.name}", f"commits-{self.name}"
        preflight = Preflight(KafkaConnection(servers))
        assert preflight.ensure(self.alerts, 1, 1, {})
        assert preflight.ensure(self.commits, 1, 1, {"cleanup.policy": "compact"})
        self.start()

    def start(self, seconds: float = PATIENCE) -> None:
        """Start a sink that has so much patience with each request, and lets the network thaw before it tries again."""
        log = log_on(self.proxied, self.alerts, self.commits, transactional_id=self.name, seconds=seconds)
        self.sink = AlertSink(log, SinkSpec(self.name), pause=lambda _: self.proxy.thaw())
        self.sink.start(CheckpointFacts("owner", None, -1, "the checkpoint"))
        self.proxy.done.clear()

    def publish(self, batch_id: int, values: list[bytes]) -> Published:
        facts = BatchFacts(batch_id, "query", f"sha of {batch_id}", {"sensors": {"0": batch_id}}, None)
        messages = [OutgoingMessage(b"key", value, []) for value in values]
        return self.sink.publish(facts, JudgedBy("model", "config"), messages.copy, len(messages))

    def recycles(self, batch_id: int, values: list[bytes]) -> bool:
        """Publish, and tell whether that began with a new producer."""
        before = self.proxy.asked[INIT_PRODUCER]
        assert self.publish(batch_id, values).outcome == "committed"
        return self.proxy.asked[INIT_PRODUCER] > before

    def values(self) -> list[bytes | None]:
        return [record.value for record in read(self.servers, self.alerts)]


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[EmbeddedBroker, Proxy, str]]:
    port = free_port()
    with EmbeddedBroker(proxy_port=port) as broker, Proxy(port, broker.proxied_ports[0]) as proxy:
        yield broker, proxy, f"127.0.0.1:{port}"


@pytest.fixture
def site(network: tuple[EmbeddedBroker, Proxy, str]) -> Iterator[Site]:
    broker, proxy, proxied = network
    made = Site(broker.bootstrap_servers, proxied, proxy)
    yield made
    proxy.choose = lambda _: ""
    proxy.thaw()
    made.sink.close()


@pytest.mark.parametrize("fault", CUTS)
@pytest.mark.parametrize("request_kind", REQUESTS)
def test_alerts_come_once_whatever_connection_is_cut(site: Site, request_kind: int, fault: Fault) -> None:
    site.proxy.once(request_kind, fault)
    published = site.publish(0, ALERTS)

    assert site.proxy.done == {(request_kind, fault): 1}
    assert published.outcome == "committed"
    assert site.recycles(1, [b"four"])
    assert not site.recycles(2, [b"five"])
    assert site.values() == [*ALERTS, b"four", b"five"]


@pytest.mark.parametrize(
    ("request_kind", "fault"),
    [(PRODUCE, "frozen request"), (END_TXN, "frozen request"), (END_TXN, "frozen reply")],
)
def test_a_transaction_without_an_answer_is_settled_by_the_marker(site: Site, request_kind: int, fault: Fault) -> None:
    site.start(seconds=3.0)
    site.proxy.once(request_kind, fault)
    published = site.publish(0, ALERTS)

    assert site.proxy.done == {(request_kind, fault): 1}
    assert (published.outcome, published.uncertain) == ("committed", 1)
    assert site.publish(1, [b"four"]).outcome == "committed"
    assert site.values() == [*ALERTS, b"four"]


def test_a_slow_commit_is_followed_by_a_new_producer(site: Site) -> None:
    assert site.proxy.late_seconds > SLOW_COMMIT_SECONDS
    site.proxy.once(END_TXN, "late reply")
    published = site.publish(0, ALERTS)

    assert published.seconds > SLOW_COMMIT_SECONDS
    assert (published.outcome, published.uncertain) == ("committed", 0)
    assert site.recycles(1, [b"four"])
    assert site.values() == [*ALERTS, b"four"]


@pytest.mark.parametrize("seed", range(3))
def test_alerts_come_once_and_in_order_over_a_network_that_fails_again_and_again(site: Site, seed: int) -> None:
    rng = random.Random(seed)
    site.proxy.choose = lambda key: rng.choice(CUTS) if key in REQUESTS and rng.random() < FAULT_RATE else ""
    expected = [f"{batch}/{number}".encode() for batch in range(BATCHES) for number in range(3)]
    for batch in range(BATCHES):
        assert site.publish(batch, expected[3 * batch : 3 * batch + 3]).outcome == "committed"

    assert site.proxy.done.total() > 3
    assert site.values() == expected
