"""A healthy deployment on a Kafka in memory, every part of which a test can make ill.

Not here: what must be found (the tests beside).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from detector.app.checkpoint import Checkpoint
from detector.app.doctor.deployment import Deployment, Kafka
from detector.app.doctor.findings import Finding, Status
from detector.app.lifecycle import frozen_settings
from detector.kafka.inspection import Acl, Cluster, TopicState
from detector.kafka.marker import Marker
from detector.kafka.preflight import Bounds, TopicFacts
from detector.settings import Settings, load
from models.registry import Registry
from tests.unit.app.test_checkpoint import QUERY, offsets_text, write
from tests.unit.models.test_models_artifact import DATA, MANIFEST

NOW = 1_795_366_100.0
ALL = frozenset({"READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"})
TOPIC_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "min.insync.replicas": "2",
    "max.message.bytes": "1048588",
}
BROKER_CONFIG = {
    "authorizer.class.name": "",
    "transaction.max.timeout.ms": "900000",
    "transaction.state.log.replication.factor": "3",
}
GOOD = b'{"sensor_id": "temp", "timestamp": 1795366000000, "value": 1.0}'


@dataclass
class Site:
    """What Kafka and the disk say."""

    directory: Path
    flags: tuple[str, ...] = ()
    now: float = NOW
    brokers: int = 3
    replication: int = 3
    in_sync: int = 3
    leaderless: tuple[int, ...] = ()
    operations: dict[str, frozenset[str]] = field(default_factory=dict)
    topics: dict[str, int] = field(
        default_factory=lambda: {"plant": 2, "alerts": 4, "dead-letters": 1, "tidemark.commits": 1}
    )
    configs: dict[str, Mapping[str, str] | None] = field(
        default_factory=lambda: {"dead-letters": {**TOPIC_CONFIG, "max.message.bytes": "33554432"}}
    )
    broker: Mapping[str, str] | None = field(default_factory=lambda: dict(BROKER_CONFIG))
    acls: list[Acl] | None = None
    first: int = 0
    end: int = 1_200
    ends: dict[int, int] = field(default_factory=dict)
    record: bytes = GOOD
    record_time: float = NOW - 10
    newest_time: float = NOW - 1
    warnings: tuple[str, ...] = ()
    marker: Marker | None = None
    marker_topics: dict[str, str] = field(default_factory=lambda: {"plant": "id of plant"})

    def __post_init__(self) -> None:
        registry = Registry(self.directory / "registry")
        draft = MANIFEST.with_shards({})
        version = registry.publish(replace(draft, created_at="2026-11-20T00:00:00+00:00"), [(3, DATA)])
        registry.set_alias("champion", version)

    @property
    def settings(self) -> Settings:
        shape = (f"windows.length={MANIFEST.window_seconds:.0f}s", f"windows.slide={MANIFEST.slide_seconds:.0f}s")
        places = (f"model.registry={self.directory / 'registry'}", f"state.checkpoint={self.directory / 'checkpoint'}")
        kafka = ("source.topics=[plant]", "kafka.replication_factor=3", "http.port=0")
        return load(None, (*shape, *places, *kafka, f"state.buckets={MANIFEST.buckets}", *self.flags), {})

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.directory / "checkpoint")

    def use_checkpoint(self, *, planned: int = 11, finished: int = 11, end: int = 1_100) -> str:
        """Let Spark have run from the checkpoint; returns its owner."""
        checkpoint = self.checkpoint
        owner = checkpoint.claim(frozen_settings(self.settings))
        write(checkpoint.spark / "metadata", f'{{"id":"{QUERY}"}}')
        write(checkpoint.spark / "offsets" / str(planned), offsets_text(end, 1_500))
        if finished >= 0:
            write(checkpoint.spark / "commits" / str(finished), "v1\n{}")
        write(checkpoint.directory / "lock", "")
        return owner

    def publish(self, owner: str, batch_id: int, *, query_id: str | None = QUERY, age: float = 30.0) -> None:
        """Let a batch have been published."""
        self.marker = Marker(
            owner_uuid=owner,
            generation=3,
            topic_uuids=self.marker_topics,
            spark_query_id=query_id,
            batch_id=batch_id,
            time=self.now - age,
        )

    def deployment(self) -> Deployment:
        return Deployment(lambda: self.settings, lambda _: self._kafka(), lambda: self.now)

    def _kafka(self) -> Kafka:
        fake: Any = _Fake(self)
        log: Any = SimpleNamespace(read_marker=lambda **_: self.marker)
        return Kafka(fake, fake, log, lambda: fake)


class _Fake:
    """All clients in one: preflight, inspector, sampler."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def topics(self) -> dict[str, int]:
        return dict(self._site.topics)

    def check_source(self, *_: object, **__: object) -> TopicFacts:
        return TopicFacts({"plant": self._site.topics["plant"]}, {"plant": "id of plant"}, self._site.warnings)

    def check_commits(self, commits: str) -> None:
        """Find it well."""

    def bounds(self, partitions: Mapping[str, int]) -> Bounds:
        site = self._site
        first = {topic: dict.fromkeys(range(count), site.first) for topic, count in partitions.items()}
        end = {topic: {p: site.ends.get(p, site.end) for p in range(count)} for topic, count in partitions.items()}
        return Bounds(first, end)

    def cluster(self) -> Cluster:
        addresses = {number: f"kafka-{number}:9092" for number in range(1, self._site.brokers + 1)}
        return Cluster("a-cluster", addresses, self._site.operations.get("", ALL), 0.004)

    def describe(self, topics: Iterable[str]) -> dict[str, TopicState]:
        site = self._site
        return {
            topic: TopicState(
                f"id of {topic}", site.replication, site.in_sync, site.leaderless, site.operations.get(topic, ALL)
            )
            for topic in topics
        }

    def topic_config(self, topic: str) -> Mapping[str, str] | None:
        return self._site.configs.get(topic, TOPIC_CONFIG)

    def broker_config(self, _: int) -> Mapping[str, str] | None:
        return self._site.broker

    def acls_of(self, _: str) -> list[Acl] | None:
        return self._site.acls

    def newest(self, partitions: Mapping[str, int]) -> dict[str, float]:
        return dict.fromkeys(partitions, self._site.newest_time)

    def read(self, ranges: Mapping[tuple[str, int], tuple[int, int]]) -> dict[tuple[str, int], list[Any]]:
        return {place: [self._message(place, first)] for place, (first, _) in ranges.items()}

    def _message(self, place: tuple[str, int], offset: int) -> Any:
        site = self._site
        return SimpleNamespace(
            key=lambda: None,
            value=lambda: site.record,
            topic=lambda: place[0],
            partition=lambda: place[1],
            offset=lambda: offset,
            timestamp=lambda: (1, round(site.record_time * 1000)),
        )

    def close(self) -> None:
        """Close nothing."""


def worst(findings: Iterable[Finding]) -> Finding:
    """Return the finding that counts most, to be asserted on."""
    order = list(Status)
    return max(findings, key=lambda finding: order.index(finding.status))
