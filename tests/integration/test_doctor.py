"""The doctor beside a real broker: it finds what is there, changes nothing and fences nobody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from detector.app.checkpoint import Checkpoint
from detector.app.checkpoint_lock import locked
from detector.app.doctor.deployment import Deployment, Kafka
from detector.app.doctor.examination import examine
from detector.app.doctor.findings import Result, Status, first_failure
from detector.app.lifecycle import frozen_settings
from detector.errors import ContractError, TransientError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.commit_log import CommitLog, OutgoingMessage
from detector.kafka.connection import KafkaConnection
from detector.kafka.inspection import Inspector
from detector.kafka.ports import free_port
from detector.kafka.preflight import Preflight
from detector.kafka.sampling import Sampler
from detector.kafka.sink_port import JudgedBy, SinkSpec
from detector.settings import Settings, load, specs
from models.registry import Registry
from tests.integration.kafka_records import write as write_records
from tests.unit.models.test_models_artifact import DATA, MANIFEST

LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}
QUERY = "5a9190d2-78e8-4e16-9f98-19fd99ba3542"


class Place:
    """A deployment with a model, a checkpoint of three batches, and an owner that has published them."""

    def __init__(self, directory: Path, servers: str, source: str) -> None:
        self.directory, self.servers, self.source = directory, servers, source
        self.name = f"test-{uuid4().hex[:8]}"
        registry = Registry(directory / "registry")
        registry.set_alias("champion", registry.publish(MANIFEST.with_shards({}), [(3, DATA)]))
        self.checkpoint = Checkpoint(directory / "checkpoint")
        self.owner = self.checkpoint.claim(frozen_settings(self.settings()))
        self.sink = AlertSink(CommitLog(specs.log(self.settings())), SinkSpec("test"))

    def settings(self, *flags: str) -> Settings:
        shape = (f"windows.length={MANIFEST.window_seconds:.0f}s", f"windows.slide={MANIFEST.slide_seconds:.0f}s")
        paths = (f"model.registry={self.directory}/registry", f"state.checkpoint={self.directory}/checkpoint")
        topics = (
            f"alerts.topic={self.name}.alerts",
            f"dead_letter.topic={self.name}.dead",
            f"source.topics=[{self.source}]",
        )
        kafka = (f"app.name={self.name}", f"kafka.bootstrap_servers={self.servers}", "http.port=0")
        return load(None, (*shape, *paths, *topics, *kafka, f"state.buckets={MANIFEST.buckets}", *flags), {})

    def run(self, batches: int) -> None:
        """Do to Kafka and the checkpoint what a run of some batches does."""
        preflight, settings = Preflight(KafkaConnection(self.servers)), self.settings()
        outputs = (settings.alerts.topic, settings.dead_letter.topic, settings.alerts.commits_topic)
        preflight.ensure_outputs(*outputs, settings.kafka.replication_factor)
        self.sink.start(self.checkpoint.facts(self.owner))
        for batch_id in range(batches):
            self.plan(batch_id)
            self.publish(batch_id)

    def plan(self, batch_id: int) -> None:
        spark = self.checkpoint.spark
        for log in ("offsets", "commits"):
            (spark / log).mkdir(parents=True, exist_ok=True)
        (spark / "metadata").write_text(json.dumps({"id": QUERY}))
        end = json.dumps({self.source: {"0": batch_id + 1}})
        (spark / "offsets" / str(batch_id)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{end}')
        (spark / "commits" / str(batch_id)).write_text("v1\n{}")

    def publish(self, batch_id: int) -> str:
        alert = [OutgoingMessage(b"key", b"value", [])]
        return self.sink.publish(self.checkpoint.batch(batch_id), JudgedBy("model", "config"), alert.copy, 1).outcome

    def forget(self, batch_id: int) -> None:
        """Roll the checkpoint back."""
        for log in ("offsets", "commits"):
            (self.checkpoint.spark / log / str(batch_id)).unlink()

    def examine(self, *flags: str) -> dict[str, Result]:
        return {result.name: result for result in examine(Deployment(lambda: self.settings(*flags)))}


@pytest.fixture
def place(broker: EmbeddedBroker, new_topic: Callable[..., str], tmp_path: Path) -> Iterator[Place]:
    source = new_topic("source", config=LOG_APPEND)
    record = {"sensor_id": "temp", "timestamp": round(time.time() * 1000), "value": 1.0}
    write_records(broker.bootstrap_servers, source, [json.dumps(record).encode()] * 5)
    made = Place(tmp_path, broker.bootstrap_servers, source)
    yield made
    made.sink.close()


def said(results: Mapping[str, Result], name: str) -> str:
    return "\n".join(finding.found for finding in results[name].findings)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_a_healthy_deployment_is_found_well_beside_the_instance_that_runs(place: Place) -> None:
    place.run(batches=3)
    topics = Preflight(KafkaConnection(place.servers)).topics()

    with locked(place.checkpoint.directory):
        before = files(place.directory)
        found = place.examine()

    ill = {name: said(found, name) for name in found if found[name].status is not Status.WELL}
    assert ill.pop("model").startswith("0001-")  # of 2025: it is old
    assert ill == {}
    assert first_failure(found.values()) is None
    assert "1 broker at" in said(found, "brokers")
    assert "5 of 5 of the newest records can be used" in said(found, "records")
    assert "2 records in 1 partition" in said(found, "unread")
    assert f"start 1 of owner {place.owner}, batch 2 is the last" in said(found, "marker")
    assert "a process of this machine runs from it" in said(found, "directory")
    assert files(place.directory) == before
    assert Preflight(KafkaConnection(place.servers)).topics() == topics
    place.plan(3)
    assert place.publish(3) == "committed"  # the owner was not fenced


def test_before_the_first_start_nothing_is_made(place: Place) -> None:
    found = place.examine()

    assert first_failure(found.values()) is None
    assert "the first start creates what is missing" in said(found, "outputs")
    assert "nothing was ever published" in said(found, "marker")
    assert place.examine("source.topics=[absent]")["outputs"].status is Status.WELL
    assert f"{place.name}.alerts" not in Preflight(KafkaConnection(place.servers)).topics()


def test_a_missing_source_topic_hides_nothing_that_does_not_need_it(place: Place) -> None:
    place.run(batches=1)

    found = place.examine("source.topics=[absent]")

    assert found["source"].findings[0].kind is ContractError
    assert "topic absent does not exist" in said(found, "source")
    assert said(found, "unread") == "the source topics are not as they must be"
    assert [found[name].status for name in ("transactions", "outputs", "batches", "agreement")] == [Status.WELL] * 4


def test_a_checkpoint_that_was_rolled_back_is_found_before_a_start_refuses_it(place: Place) -> None:
    place.run(batches=3)
    place.forget(2)

    found = place.examine()

    assert first_failure(found.values()) is ContractError
    assert "batch 2 was published but the checkpoint" in said(found, "agreement")
    assert "it was rolled back" in said(found, "agreement")


def test_a_commits_topic_that_may_lose_markers_is_found(place: Place, new_topic: Callable[..., str]) -> None:
    commits = new_topic("commits", config={"cleanup.policy": "delete"})

    found = place.examine(f"alerts.commits_topic={commits}")

    assert first_failure(found.values()) is ContractError
    assert f"topic {commits} has cleanup.policy=delete" in said(found, "outputs")


def test_brokers_that_do_not_answer_are_one_failure_with_its_reason(place: Place) -> None:
    address = f"127.0.0.1:{free_port()}"
    connection = KafkaConnection(address)

    def impatient(settings: Settings) -> Kafka:
        log = CommitLog(replace(specs.log(settings), transaction_timeout_seconds=0.5))
        return Kafka(Preflight(connection, 0.5), Inspector(connection, 0.5), log, lambda: Sampler(connection, 0.5))

    deployment = Deployment(lambda: place.settings(f"kafka.bootstrap_servers={address}"), impatient)
    found = {result.name: result for result in examine(deployment)}

    (failure,) = found["brokers"].findings
    assert failure.kind is TransientError
    assert (
        f"Kafka at {address} does not answer (Connect to ipv4#{address} failed: Connection refused). Check"
        in failure.found
    )
    assert said(found, "marker") == said(found, "source") == "Kafka does not answer"
    assert found["model"].status is Status.WARNING  # still looked at: it is old
