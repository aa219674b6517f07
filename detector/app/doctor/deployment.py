"""The deployment that is examined: its settings, and what Kafka and the disk say of it, asked once each.

A fact is asked for when a check first needs it. What cannot be had raises the error that a start would end with; the
order of the checks sees to it that nobody asks twice for what is not there.

Not here: what follows from the facts (the checks).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from detector.app import checkpoint_lock
from detector.app.checkpoint import OWNER_FILE, Checkpoint
from detector.app.judge import Judge, load_judge
from detector.app.model_registry import open_registry
from detector.kafka.commit_log import CommitLog
from detector.kafka.inspection import REQUEST_SECONDS, Cluster, Inspector, TopicState
from detector.kafka.marker import Marker
from detector.kafka.preflight import INTERNAL_TOPICS, Preflight, TopicFacts
from detector.kafka.sampling import Sampler
from detector.kafka.source import Offsets
from detector.settings import Settings, specs
from models.registry import Registry

NO_OWNER: Final = "of its own, not made yet"


@dataclass(frozen=True)
class Kafka:
    """The clients that look.

    Parameters
    ----------
    preflight : Preflight
        What a start checks.
    inspector : Inspector
        What a start has no need of.
    log : CommitLog
        Reads the marker; never opened, which would fence.
    sampler : callable
        Returns a reader of single records; who calls it closes it.
    """

    preflight: Preflight
    inspector: Inspector
    log: CommitLog
    sampler: Callable[[], Sampler]


def reach(settings: Settings) -> Kafka:
    """Return the clients for the cluster of the settings."""
    connection = specs.connection(settings)
    patient = replace(specs.log(settings), transaction_timeout_seconds=REQUEST_SECONDS)
    preflight = Preflight(connection, REQUEST_SECONDS)
    return Kafka(preflight, Inspector(connection), CommitLog(patient), lambda: Sampler(connection, REQUEST_SECONDS))


class Deployment:
    """What the checks are about.

    Parameters
    ----------
    load : callable
        Reads the settings; raises ConfigError.
    kafka : callable
        Returns the clients; connects nowhere yet.
    clock : callable
        Epoch seconds.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        kafka: Callable[[Settings], Kafka] = reach,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load = load
        self._kafka = kafka
        self.clock = clock

    @cached_property
    def settings(self) -> Settings:
        """All settings."""
        return self._load()

    @cached_property
    def kafka(self) -> Kafka:
        """The clients."""
        return self._kafka(self.settings)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, which may not exist."""
        return Checkpoint(self.settings.state.checkpoint)

    @cached_property
    def judge(self) -> Judge:
        """The model, if it fits the settings."""
        return load_judge(self.settings)

    @cached_property
    def cluster(self) -> Cluster:
        """The brokers."""
        return self.kafka.inspector.cluster()

    @cached_property
    def known_topics(self) -> dict[str, int]:
        """Every topic that this client may see, and its number of partitions."""
        return self.kafka.preflight.topics()

    @cached_property
    def source_names(self) -> tuple[str, ...]:
        """The topics that are read, as far as they exist; without a check of them."""
        source = specs.source(self.settings)
        if source.topic_pattern is None:
            return tuple(topic for topic in source.topics if topic in self.known_topics)
        pattern = re.compile(source.topic_pattern)
        return tuple(t for t in sorted(self.known_topics) if pattern.fullmatch(t) and t not in INTERNAL_TOPICS)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The settings that name what is written, and the topics."""
        settings = self.settings
        return {
            "alerts.topic": settings.alerts.topic,
            "dead_letter.topic": settings.dead_letter.topic,
            "alerts.commits_topic": settings.alerts.commits_topic,
        }

    @cached_property
    def topic_states(self) -> dict[str, TopicState]:
        """How the topics that are read and written are, as far as they exist."""
        return self.kafka.inspector.describe({*self.source_names, *self.outputs.values()} & {*self.known_topics})

    @cached_property
    def source(self) -> TopicFacts:
        """The topics that are read, as a start checks them; their timestamps are a matter of their own."""
        source = specs.source(self.settings)
        return self.kafka.preflight.check_source(source.topics, source.topic_pattern, require_log_append_time=False)

    @cached_property
    def marker(self) -> Marker | None:
        """The marker of the last published batch; None also where there is no commits topic yet."""
        if self.settings.alerts.commits_topic not in self.known_topics:
            return None
        return self.kafka.log.read_marker(settled=False)

    @cached_property
    def in_use(self) -> bool:
        """Whether a process of this machine runs from the checkpoint."""
        return checkpoint_lock.in_use(self.checkpoint.directory)

    @cached_property
    def read_up_to(self) -> Offsets:
        """How far the source is read or planned to be; empty before the first batch."""
        return self.checkpoint.read_offsets()

    @property
    def has_owner(self) -> bool:
        """Whether the checkpoint was ever claimed."""
        return (self.checkpoint.directory / OWNER_FILE).exists()

    @cached_property
    def registry(self) -> Registry:
        """Where the models are."""
        return open_registry(self.settings)
