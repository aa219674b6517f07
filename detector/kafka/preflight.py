"""What must hold of the topics before the application starts, checked or created in one place.

Not here: writing to them. A check either passes, warns, or raises an error that says the way forward.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, NewTopic, ResourceType

from detector.errors import ContractError, DetectorError, TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.rights import missing_right
from detector.pipeline.schema import topic_id

REQUEST_SECONDS: Final = 15.0  # for each request to the cluster; brokers answer in milliseconds or not at all
DEAD_LETTER_MAX_BYTES: Final = 33_554_432  # the original of a record that was too large must fit
UNBOUNDED_MS: Final = 9_223_372_036_854_775_807  # Kafka's default of message.timestamp.after.max.ms before 4.0
HOUR_MS: Final = 3_600_000
# Of what is written: since 4.0 a broker refuses a CreateTime, the writer's clock, that is an hour ahead of its own.
BROKER_TIME: Final[Mapping[str, str]] = {"message.timestamp.type": "LogAppendTime"}
INTERNAL_TOPICS: Final = frozenset(  # Kafka's own; no pattern of Spark's source matches them either
    {"__consumer_offsets", "__transaction_state", "__share_group_state"}
)


@dataclass(frozen=True)
class TopicFacts:
    """What the cluster says of the source topics.

    Parameters
    ----------
    partitions : mapping of str to int
        Number of partitions of each topic.
    uuids : mapping of str to str
        Topic ids: a topic that was deleted and made again has another.
    warnings : tuple of str
        What is allowed but deserves a look.
    """

    partitions: Mapping[str, int]
    uuids: Mapping[str, str]
    warnings: tuple[str, ...]


class Bounds(NamedTuple):
    """From where to where partitions hold records, by topic and partition; `end` is where `read_committed` ends."""

    first: dict[str, dict[int, int]]
    end: dict[str, dict[int, int]]


class Preflight:
    """Checks and creates topics of one cluster.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    request_seconds : float
        How long each request may take.
    """

    def __init__(self, connection: KafkaConnection, request_seconds: float = REQUEST_SECONDS) -> None:
        self._connection = connection
        self._seconds = request_seconds
        self._admin = AdminClient(connection.librdkafka())

    def topics(self) -> dict[str, int]:
        """Return the partitions of every topic.

        Raises
        ------
        TransientError
            If no broker answers.
        """
        try:
            found = self._admin.list_topics(timeout=self._seconds).topics
        except KafkaException as error:
            raise self._failure(error) from error
        return {name: len(topic.partitions) for name, topic in found.items()}

    def source_topics(self, topics: tuple[str, ...], pattern: str | None) -> dict[str, int]:
        """Return the topics that are read and their partitions.

        Raises
        ------
        ContractError
            If a topic is missing, or the pattern matches none.
        TransientError
            If no broker answers.
        """
        known = self.topics()
        chosen = (
            {t: n for t, n in known.items() if re.fullmatch(pattern, t) and t not in INTERNAL_TOPICS}
            if pattern
            else {t: known[t] for t in topics if t in known}
        )
        missing = [topic for topic in topics if topic not in known]
        if missing or not chosen:
            what = f"topic {', '.join(missing)} does not exist" if missing else f"no topic matches {pattern!r}"
            others = ", ".join(sorted(name for name in known if not name.startswith("__"))) or "no topics"
            raise ContractError(
                f"{what} on {self._connection.bootstrap_servers}; create it, or correct source.topics / "
                f"source.topic_pattern. The cluster has: {others}"
            )
        return chosen

    def check_source(
        self, topics: tuple[str, ...], pattern: str | None, *, require_log_append_time: bool
    ) -> TopicFacts:
        """Check the topics that are read.

        Raises
        ------
        ContractError
            If a topic is missing, the pattern matches none, two names share a code, or a timestamp type is not
            the required one.
        TransientError
            If no broker answers.
        """
        chosen = self.source_topics(topics, pattern)
        codes = {topic_id(topic): topic for topic in chosen}
        twins = [f"{topic} and {codes[topic_id(topic)]}" for topic in chosen if codes[topic_id(topic)] != topic]
        if twins:
            raise ContractError(
                f"the topics {', '.join(twins)} have the same code (CRC-32), so their records could not be told apart; "
                "read them from two deployments, or rename one"
            )
        warnings = [text for topic in sorted(chosen) if (text := self._timestamp_warning(topic))]
        if warnings and require_log_append_time:
            raise ContractError(f"source.require_log_append_time is set, but {warnings[0]}")
        described = self._admin.describe_topics(TopicCollection(list(chosen)), request_timeout=self._seconds)
        try:
            uuids = {topic: str(future.result().topic_id) for topic, future in described.items()}
        except KafkaException as error:
            raise self._failure(error) from error
        return TopicFacts(chosen, uuids, tuple(warnings))

    def ensure(self, topic: str, partitions: int, replication: int, config: Mapping[str, str]) -> bool:
        """Create a topic unless it exists; returns whether it was created.

        Raises
        ------
        TransientError
            If the cluster refuses or does not answer.
        """
        if topic in self.topics():
            return False
        wanted = NewTopic(topic, partitions, replication, config=dict(config))
        future = self._admin.create_topics([wanted], request_timeout=self._seconds)[topic]
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise TransientError(
                f"topic {topic} could not be created ({error.args[0].str()}); create it by hand with "
                f"{partitions} partitions and {dict(config)}"
            ) from error
        self._wait_for(topic)
        return True

    def ensure_outputs(self, alerts: str, dead_letter: str, commits: str, replication: int) -> None:
        """Create the topics that the application writes, and check that markers cannot be deleted.

        Raises
        ------
        ContractError
            If the commits topic is not one compacted partition.
        """
        self.ensure(alerts, 4, replication, BROKER_TIME)
        letters = {**BROKER_TIME, "max.message.bytes": str(DEAD_LETTER_MAX_BYTES)}
        self.ensure(dead_letter, 1, replication, letters)
        # One that was made just now is right, and not every broker knows it yet.
        if not self.ensure(commits, 1, replication, {**BROKER_TIME, "cleanup.policy": "compact"}):
            self.check_commits(commits)

    def check_commits(self, commits: str) -> None:
        """Check that markers cannot be deleted; ContractError if the commits topic is not one compacted partition."""
        policy = self._config(commits)["cleanup.policy"].value
        partitions = self.topics().get(commits)
        if policy != "compact" or partitions != 1:
            raise ContractError(
                f"topic {commits} has cleanup.policy={policy} and {partitions} partitions; exactly-once alerts need "
                "cleanup.policy=compact and one partition (alerts.commits_topic names it)"
            )

    def bounds(self, partitions: Mapping[str, int]) -> Bounds:
        """Return the first offset of every partition and its end, each partition's two at one moment.

        Parameters
        ----------
        partitions : mapping of str to int
            Topics and their number of partitions.

        Raises
        ------
        TransientError
            If Kafka does not answer.
        """
        return self._ask(partitions, None)[0]

    def offsets(
        self, partitions: Mapping[str, int], *, at: float | None = None, end: bool = False
    ) -> dict[str, dict[int, int]]:
        """Return an offset for every partition: the first, the end, or the first at or after a Kafka timestamp.

        Parameters
        ----------
        partitions : mapping of str to int
            Topics and their number of partitions.
        at : float or None
            Kafka timestamp, epoch seconds; a partition without a record from then on gives its end.
        end : bool
            The last stable offset, where a `read_committed` reader ends.
        """
        bounds, times = self._ask(partitions, at)
        if at is None:
            return bounds.end if end else bounds.first
        return {
            topic: {p: stop if times[topic, p] < 0 else times[topic, p] for p, stop in parts.items()}
            for topic, parts in bounds.end.items()
        }

    def _ask(self, partitions: Mapping[str, int], at: float | None) -> tuple[Bounds, dict[tuple[str, int], int]]:
        """Ask for the bounds, and for the first offset from a time on; below 0 where nothing came since."""
        wanted = [(topic, p) for topic, count in sorted(partitions.items()) for p in range(count)]
        consumer = Consumer(
            {**self._connection.librdkafka(), "group.id": "tidemark-preflight", "isolation.level": "read_committed"}
        )
        found = Bounds({topic: {} for topic in partitions}, {topic: {} for topic in partitions})
        times: dict[tuple[str, int], int] = {}
        try:
            if at is not None:
                asked = [TopicPartition(topic, p, round(at * 1000)) for topic, p in wanted]
                times = {(t.topic, t.partition): t.offset for t in consumer.offsets_for_times(asked, self._seconds)}
            for topic, p in wanted:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), self._seconds)
                found.first[topic][p], found.end[topic][p] = low, high
        except KafkaException as error:
            raise self._failure(error) from error
        finally:
            consumer.close()
        return found, times

    def _timestamp_warning(self, topic: str) -> str | None:
        config = self._config(topic)
        if config["message.timestamp.type"].value == "LogAppendTime":
            return None
        after = config.get("message.timestamp.after.max.ms")
        bound = int(after.value or UNBOUNDED_MS) if after else UNBOUNDED_MS
        if bound <= HOUR_MS:
            return None
        return (
            f"topic {topic} has message.timestamp.type=CreateTime without a bound of an hour or less "
            "(message.timestamp.after.max.ms): a producer with a wrong clock can pass the bound on future event times "
            "(records.future_bound). Prefer LogAppendTime"
        )

    def _config(self, topic: str) -> dict[str, ConfigEntry]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        future = self._admin.describe_configs([resource], request_timeout=self._seconds)[resource]
        try:
            return dict(future.result())
        except KafkaException as error:
            raise self._failure(error) from error

    def _wait_for(self, topic: str) -> None:
        """Wait until every client can see the new topic with leaders."""
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            found = self._admin.list_topics(topic, timeout=self._seconds).topics[topic]
            if found.error is None and all(p.leader >= 0 for p in found.partitions.values()):
                return
        raise TransientError(
            f"topic {topic} was created but has no leader after {self._seconds:.0f} s; check the brokers"
        )

    def _failure(self, error: KafkaException) -> DetectorError:
        refused = missing_right(error.args[0], f"a request to {self._connection.bootstrap_servers}")
        return refused or TransientError(
            f"Kafka at {self._connection.bootstrap_servers} does not answer ({error.args[0].str()}); "
            "check kafka.bootstrap_servers and that the broker runs"
        )
