"""What a new checkpoint learns of a lost one from a real broker, and what it says where records are gone.

Not here: what it makes of that (``tests/unit/pipeline``, ``tests/unit/kafka_edge``), whole processes (``tests/fault``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from detector.app import data_loss
from detector.app.adopt import look_up
from detector.app.checkpoint import Checkpoint
from detector.errors import ContractError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.marker import Marker
from detector.kafka.preflight import Preflight, TopicFacts
from detector.pipeline.alerts import incident_id
from detector.settings import Settings, load
from tests.integration.kafka_records import PATIENCE, transaction

UNTIL = 1_795_000_000.0  # epoch seconds
RECORDS = 2_000  # one a second, the last at UNTIL
FOREVER = {"retention.ms": "-1"}  # their timestamps are those of the data
OPENED_AT = "2026-11-18T11:00:00Z"


class Deployment:
    """Topics, and settings that name them."""

    def __init__(self, broker: EmbeddedBroker, source: str, alerts: str) -> None:
        self.servers = broker.bootstrap_servers
        self.connection = KafkaConnection(self.servers)
        self.source, self.alerts = source, alerts

    def settings(self, *flags: str) -> Settings:
        own = (
            "app.name=plant",
            f"kafka.bootstrap_servers={self.servers}",
            f"source.topics=[{self.source}]",
            f"alerts.topic={self.alerts}",
        )
        return load(None, (*own, "windows.length=10s", "records.future_bound=1m", *flags), {})

    def facts(self) -> TopicFacts:
        return Preflight(self.connection).check_source((self.source,), None, require_log_append_time=False)

    def marker(self, read: int, **changed: Any) -> Marker:
        offsets = {self.source: {"0": read, "1": 0}}
        found = Marker(
            owner_uuid="lost",
            generation=1,
            spark_query_id="query",
            batch_id=3,
            end_offsets=offsets,
            topic_uuids=dict(self.facts().uuids),
            emitted_watermark=UNTIL,
        )
        return msgspec.structs.replace(found, **changed)

    def delete_before(self, offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.servers})
        (done,) = admin.delete_records([TopicPartition(self.source, 0, offset)]).values()
        done.result(PATIENCE)


@pytest.fixture
def deployment(broker: EmbeddedBroker, new_topic: Callable[..., str]) -> Deployment:
    found = Deployment(broker, new_topic("sensors", 2, FOREVER), new_topic("alerts", 2))
    producer = Producer({"bootstrap.servers": found.servers})
    for second in range(RECORDS):
        producer.produce(found.source, b"x", partition=0, timestamp=round((UNTIL - RECORDS + 1 + second) * 1000))
    assert producer.flush(PATIENCE) == 0
    return found


def alert(sensor: str, event: str, identity: str = "plant.default") -> bytes:
    own = {"asset_id": "pump-1", "sensor_id": sensor, "opened_at": OPENED_AT}
    incident = incident_id(identity, **own)
    return json.dumps({**own, "incident_id": str(incident), "event": event, "peak_score": 5.0}).encode()


def test_records_are_read_again_from_before_the_history_and_open_incidents_are_found(deployment: Deployment) -> None:
    published = [
        alert("flow", "opened"),
        alert("pressure", "opened"),
        alert("level", "opened", "another.default"),
        alert("pressure", "resolved"),
    ]
    transaction(deployment.servers, deployment.alerts, published, "commit")
    transaction(deployment.servers, deployment.alerts, [alert("flow", "resolved")], "abort")

    adoption = look_up(deployment.settings(), deployment.facts(), deployment.marker(RECORDS))

    assert adoption is not None
    assert adoption.until == UNTIL
    assert [incident.sensor_id for incident in adoption.incidents] == ["flow"]
    # 70 windows of 10 s, one whole window, and a minute that event times may be ahead of the Kafka timestamp
    assert adoption.starting == {deployment.source: {0: RECORDS - 1 - 700 - 10 - 60, 1: 0}}


def test_what_is_adopted_survives_on_the_disk(deployment: Deployment, tmp_path: Path) -> None:
    transaction(deployment.servers, deployment.alerts, [alert("flow", "opened")], "commit")
    adoption = look_up(deployment.settings(), deployment.facts(), deployment.marker(RECORDS))
    assert adoption is not None
    checkpoint = Checkpoint(tmp_path)

    checkpoint.keep_adoption(adoption)

    assert Checkpoint(tmp_path).adoption() == adoption
    assert checkpoint.read_offsets() == adoption.starting


def test_where_no_window_was_judged_yet_there_is_nothing_to_adopt(deployment: Deployment) -> None:
    marker = deployment.marker(RECORDS, emitted_watermark=None)

    assert look_up(deployment.settings(), deployment.facts(), marker) is None


def test_records_that_retention_deleted_before_they_were_read_are_named(deployment: Deployment) -> None:
    deployment.delete_before(150)

    with pytest.raises(ContractError, match=rf"{deployment.source}/0 offsets 100 to 149\. Set source\.on_data_loss"):
        look_up(deployment.settings(), deployment.facts(), deployment.marker(100))
    assert look_up(deployment.settings(), deployment.facts(), deployment.marker(150)) is not None
    allowed = deployment.settings("source.on_data_loss=continue")
    assert look_up(allowed, deployment.facts(), deployment.marker(100)) is not None


def test_lost_records_are_counted_by_topic_where_that_is_allowed(deployment: Deployment) -> None:
    deployment.delete_before(150)
    first = Preflight(deployment.connection).offsets(deployment.facts().partitions)
    read = {deployment.source: {0: 100, 1: 0}}

    assert data_loss.settle(deployment.settings("source.on_data_loss=continue"), read, first) == {deployment.source: 50}
    assert data_loss.settle(deployment.settings(), {deployment.source: {0: 150, 1: 0}}, first) == {}


def test_offsets_of_a_topic_that_was_made_again_are_not_held_against_the_new_one(deployment: Deployment) -> None:
    deployment.delete_before(150)
    facts = deployment.facts()
    again = replace(facts, uuids={deployment.source: "another"})

    assert look_up(deployment.settings(), again, deployment.marker(100)) is not None
