"""What the alert sink's protocol needs from outside: a transactional log, the checkpoint's facts, its identity.

Not here: the protocol (``alert_sink``) and the log on Kafka (``commit_log``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.marker import Marker

Outcome = Literal["committed", "skipped_replay", "empty"]


class TransactionalLog(Protocol):
    """What the protocol needs of Kafka; `detector.kafka.commit_log.CommitLog` is the real one."""

    def open(self) -> None:
        """Fence every earlier owner."""

    def read_marker(self, *, settled: bool = True) -> Marker | None:
        """Return the newest committed marker; a look that is not settled may miss the newest."""

    def publish(self, messages: Iterable[OutgoingMessage], marker: Marker) -> float:
        """Publish alerts and marker in one transaction; return the seconds of the commit."""

    def close(self) -> None:
        """Drop the producer."""

    @property
    def disconnects(self) -> int:
        """Count of broker connections lost since `open` began."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What the checkpoint says at start.

    Parameters
    ----------
    owner_uuid : str
        Identity of this checkpoint.
    query_id : str or None
        Spark's query id; None for an empty checkpoint.
    last_batch : int
        Newest batch with an ``offsets`` file, -1 for none.
    place : str
        Where it is, for messages.
    """

    owner_uuid: str
    query_id: str | None
    last_batch: int
    place: str


class BatchFacts(NamedTuple):
    """What the checkpoint says of the batch that is being published."""

    batch_id: int
    query_id: str
    offsets_sha256: str
    end_offsets: dict[str, dict[str, int]]
    watermark: float | None


class JudgedBy(NamedTuple):
    """Digests of the model and of the settings that judge a batch."""

    model: str
    config: str


class Published(NamedTuple):
    """What became of a batch: outcome, seconds of the whole publication, times the outcome was uncertain."""

    outcome: Outcome
    seconds: float
    uncertain: int = 0
    aborted: int = 0


@dataclass(frozen=True)
class SinkSpec:
    """Identity and patience of the sink.

    Parameters
    ----------
    deployment : str
        Transactional id, for messages.
    marker_interval_seconds : float
        A marker is written at least this often, also without alerts.
    deadline_seconds : float
        How long one batch may try before the process ends.
    take_over : bool
        Fence an owner that seems alive.
    topic_uuids : mapping of str to str
        Kafka's ids of the source topics: one that was deleted and made again has another.
    """

    deployment: str
    marker_interval_seconds: float = 60.0
    deadline_seconds: float = 300.0
    take_over: bool = False
    topic_uuids: Mapping[str, str] = field(default_factory=dict)
