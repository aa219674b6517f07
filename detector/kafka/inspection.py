"""Looks at a cluster without changing it: brokers, topics, what this client may do, the newest timestamps.

Nothing here creates, writes, commits or initialises: all of it may run beside the instance that owns the deployment.

Not here: what must hold (``preflight`` for a start, ``detector.app.doctor`` for a person).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.rights import REFUSED

REQUEST_SECONDS: Final = 10.0  # for each request; a person waits for the answer
ROUND_TRIPS: Final = 3  # of which the median is told; the first one of all connects and does not count
# What the client meets when the way to the brokers itself is at fault, and the settings to look at.
ADVICE: Final[Mapping[int, str]] = {
    KafkaError._AUTHENTICATION: "Check kafka.security: user name, password and sasl_mechanism",  # noqa: SLF001 - public
    KafkaError._SSL: "Check kafka.security.ca_file, certificate_file and key_file",  # noqa: SLF001 - public constant
    KafkaError._RESOLVE: "Check the host names in kafka.bootstrap_servers",  # noqa: SLF001 - public constant
}
# What the client says where the port speaks another protocol than it does; the code is that of other causes too.
SIGNS: Final[Mapping[str, str]] = {
    "Request not valid in current SASL state": (
        "This port knows no SASL, so user name and password do not matter: set kafka.security.protocol to PLAINTEXT or "
        "SSL, or kafka.bootstrap_servers to a port with SASL"
    ),
    "connecting to a PLAINTEXT broker listener": (
        "This port speaks no TLS, so certificates do not matter: set kafka.security.protocol to PLAINTEXT or "
        "SASL_PLAINTEXT, or kafka.bootstrap_servers to a port with TLS"
    ),
}
AROUND: Final = re.compile(r"^\S+/\S+: | \(after \d+ms in state \w+[^)]*\)$")  # the client's own view of a failure
UNREACHABLE: Final = (
    "Check kafka.bootstrap_servers, that the brokers run, and that this machine may reach them; with another "
    "kafka.security.protocol than theirs brokers do not answer either"
)


@dataclass(frozen=True)
class Cluster:
    """What the brokers say of themselves.

    Parameters
    ----------
    cluster_id : str
        Of the whole cluster.
    brokers : mapping of int to str
        Broker id to its ``host:port``.
    operations : frozenset of str
        What this client may do with the cluster, such as ``CREATE``.
    seconds : float
        A round trip.
    """

    cluster_id: str
    brokers: Mapping[int, str]
    operations: frozenset[str]
    seconds: float


@dataclass(frozen=True)
class TopicState:
    """A topic as it is now.

    Parameters
    ----------
    uuid : str
        Its id: a topic that was deleted and made again has another.
    replication : int
        Copies of the partition that has the fewest.
    in_sync : int
        Copies that are in sync, of the partition that has the fewest.
    leaderless : tuple of int
        Partitions that nobody leads.
    operations : frozenset of str
        What this client may do with it, such as ``READ``.
    """

    uuid: str
    replication: int
    in_sync: int
    leaderless: tuple[int, ...]
    operations: frozenset[str]


class Acl(NamedTuple):
    """One access rule: who, from which host, what (``WRITE``), and whether it is allowed or denied."""

    principal: str
    host: str
    operation: str
    permission: str


class Inspector:
    """Asks one cluster.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    request_seconds : float
        How long each request may take.
    """

    def __init__(self, connection: KafkaConnection, request_seconds: float = REQUEST_SECONDS) -> None:
        self._servers = connection.bootstrap_servers
        self._seconds = request_seconds
        self._met: list[KafkaError] = []
        config: dict[str, Any] = {**connection.librdkafka(), "error_cb": self._met.append}
        self._admin = AdminClient(config)

    def cluster(self) -> Cluster:
        """Describe the cluster and measure a round trip.

        Raises
        ------
        TransientError
            If no broker answers; the message says what the client met instead.
        """
        try:
            found = self._described_cluster()
            seconds = []
            for _ in range(ROUND_TRIPS):
                began = time.monotonic()
                found = self._described_cluster()
                seconds.append(time.monotonic() - began)
        except KafkaException as error:
            raise self._unreachable(error.args[0]) from error
        brokers = {node.id: f"{node.host}:{node.port}" for node in found.nodes}
        return Cluster(found.cluster_id or "", brokers, _names(found.authorized_operations), median(seconds))

    def describe(self, topics: Iterable[str]) -> dict[str, TopicState]:
        """Describe those of some topics that exist and that this client may see."""
        if not (names := list(topics)):
            return {}
        asked = TopicCollection(names)
        request = self._admin.describe_topics(asked, include_authorized_operations=True, request_timeout=self._seconds)
        found = {}
        for topic, future in request.items():
            try:
                described = future.result()
            except KafkaException as error:
                if error.args[0].code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED):
                    continue
                raise self._unreachable(error.args[0]) from error
            found[topic] = TopicState(
                uuid=str(described.topic_id),
                replication=min(len(p.replicas) for p in described.partitions),
                in_sync=min(len(p.isr) for p in described.partitions),
                leaderless=tuple(p.id for p in described.partitions if p.leader is None or p.leader.id < 0),
                operations=_names(described.authorized_operations),
            )
        return found

    def topic_config(self, topic: str) -> Mapping[str, str] | None:
        """Return the configuration of a topic; None where this client may not read it."""
        return self._config(ConfigResource(ResourceType.TOPIC, topic))

    def broker_config(self, broker: int) -> Mapping[str, str] | None:
        """Return the configuration of a broker; None where this client may not read it."""
        return self._config(ConfigResource(ResourceType.BROKER, str(broker)))

    def acls_of(self, transactional_id: str) -> list[Acl] | None:
        """Return the access rules that match a transactional id; None where this client may not read them."""
        kind, pattern, anybody = ResourceType.TRANSACTIONAL_ID, ResourcePatternType.MATCH, cast("str", None)
        wanted = AclBindingFilter(
            kind, transactional_id, pattern, anybody, anybody, AclOperation.ANY, AclPermissionType.ANY
        )
        try:
            bindings = self._admin.describe_acls(wanted, request_timeout=self._seconds).result()
        except KafkaException as error:
            if error.args[0].code() in {*REFUSED, KafkaError.SECURITY_DISABLED}:
                return None
            raise self._unreachable(error.args[0]) from error
        return [Acl(b.principal, b.host, b.operation.name, b.permission_type.name) for b in bindings]

    def newest(self, partitions: Mapping[str, int]) -> dict[str, float]:
        """Return the latest Kafka timestamp in each topic that has records, epoch seconds."""
        places = [TopicPartition(topic, p) for topic, count in partitions.items() for p in range(count)]
        wanted = {place: OffsetSpec.max_timestamp() for place in places}  # type: ignore[no-untyped-call]  # no types here
        found: dict[str, float] = {}
        try:
            for place, future in self._admin.list_offsets(wanted, request_timeout=self._seconds).items():
                timestamp = future.result().timestamp
                if timestamp >= 0:
                    found[place.topic] = max(found.get(place.topic, 0.0), timestamp / 1000)
        except KafkaException as error:
            raise self._unreachable(error.args[0]) from error
        return found

    def _described_cluster(self) -> Any:
        asked = self._admin.describe_cluster(include_authorized_operations=True, request_timeout=self._seconds)
        return asked.result()

    def _config(self, resource: ConfigResource) -> Mapping[str, str] | None:
        future = self._admin.describe_configs([resource], request_timeout=self._seconds)[resource]
        try:
            return {name: entry.value or "" for name, entry in future.result().items()}
        except KafkaException as error:
            if error.args[0].code() in REFUSED:
                return None
            raise self._unreachable(error.args[0]) from error

    def _unreachable(self, error: KafkaError) -> TransientError:
        self._admin.poll(0)  # delivers what the client has met on the way
        telling = [met for met in self._met if met.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001 - public
        cause = next((met for met in telling if _advice(met)), telling[-1] if telling else error)
        advice = _advice(cause) or UNREACHABLE
        why = AROUND.sub("", cause.str())
        return TransientError(f"Kafka at {self._servers} does not answer ({why}). {advice}")


def _advice(met: KafkaError) -> str | None:
    likely = (advice for sign, advice in SIGNS.items() if sign in met.str())
    return next(likely, ADVICE.get(met.code()))


def _names(operations: Iterable[AclOperation] | None) -> frozenset[str]:
    return frozenset(operation.name for operation in operations or ())
