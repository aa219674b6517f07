"""The protocol on a real broker: what the model test assumes of Kafka is what Kafka does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from detector.errors import ContractError, FencedError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, SinkSpec
from tests.integration.kafka_records import log_on, read, transaction

EMPTY = CheckpointFacts("owner", None, -1, "the checkpoint")


class Site:
    """One deployment on a real broker."""

    def __init__(self, servers: str, alerts: str, commits: str) -> None:
        self.servers, self.alerts, self.commits = servers, alerts, commits
        self.identity = f"test-{uuid4().hex}"
        self.sinks: list[AlertSink] = []

    def sink(self) -> AlertSink:
        log = log_on(self.servers, self.alerts, self.commits, transactional_id=self.identity)
        sink = AlertSink(log, SinkSpec(self.identity))
        self.sinks.append(sink)
        return sink

    def values(self) -> list[bytes | None]:
        return [record.value for record in read(self.servers, self.alerts)]


@pytest.fixture
def site(broker: EmbeddedBroker, new_topic: Callable[..., str]) -> Iterator[Site]:
    commits = new_topic("commits", config={"cleanup.policy": "compact"})
    made = Site(broker.bootstrap_servers, new_topic("alerts"), commits)
    yield made
    for sink in made.sinks:
        sink.close()


def batch(batch_id: int) -> BatchFacts:
    return BatchFacts(batch_id, "query", f"sha of {batch_id}", {"sensors": {"0": batch_id}}, None)


def publish(sink: AlertSink, batch_id: int, *values: bytes) -> str:
    messages = [OutgoingMessage(b"key", value, []) for value in values]
    return sink.publish(batch(batch_id), JudgedBy("model", "config"), messages.copy, len(messages)).outcome


def used(last_batch: int) -> CheckpointFacts:
    return CheckpointFacts("owner", "query", last_batch, "the checkpoint")


def test_batches_are_published_and_a_restart_skips_the_one_that_is_run_again(site: Site) -> None:
    first = site.sink()
    first.start(EMPTY)
    outcomes = [publish(first, 0, b"a", b"b"), publish(first, 1), publish(first, 2, b"c")]
    first.close()
    second = site.sink()
    before = second.start(used(2))

    assert outcomes == ["committed", "empty", "committed"]
    assert before is not None
    assert (before.batch_id, second.marker.generation) == (2, 2)
    assert publish(second, 2, b"c") == "skipped_replay"
    assert publish(second, 3, b"d") == "committed"
    assert site.values() == [b"a", b"b", b"c", b"d"]


def test_a_process_that_another_one_replaced_publishes_nothing_more(site: Site) -> None:
    zombie = site.sink()
    zombie.start(EMPTY)
    successor = site.sink()
    successor.start(used(0))
    publish(successor, 0, b"a")

    with pytest.raises(FencedError, match="was fenced"):
        publish(zombie, 0, b"a")
    assert publish(successor, 1, b"b") == "committed"
    assert site.values() == [b"a", b"b"]


def test_alerts_of_an_owner_that_died_within_its_transaction_are_never_visible(site: Site) -> None:
    first = site.sink()
    first.start(EMPTY)
    first.close()
    dead = transaction(site.servers, site.alerts, [b"half a batch"], "open", site.identity)
    second = site.sink()
    second.start(used(0))
    publish(second, 0, b"whole")

    assert site.values() == [b"whole"]
    del dead


def test_a_checkpoint_that_is_older_than_the_marker_is_refused_and_the_owner_goes_on(site: Site) -> None:
    owner = site.sink()
    owner.start(EMPTY)
    publish(owner, 0, b"a")
    publish(owner, 1, b"b")

    with pytest.raises(ContractError, match="was rolled back"):
        site.sink().start(used(0))
    assert publish(owner, 2, b"c") == "committed"


def test_another_checkpoint_is_refused_while_the_owner_seems_alive(site: Site) -> None:
    owner = site.sink()
    owner.start(EMPTY)

    with pytest.raises(FencedError, match="is run from another checkpoint"):
        site.sink().start(CheckpointFacts("another", None, -1, "another checkpoint"))
    assert publish(owner, 0, b"a") == "committed"
