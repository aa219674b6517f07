"""Reads what the main job has published, as a consumer would: committed records only.

Not here: what a run must have published (the parts).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight

POLL_SECONDS: Final = 0.1
READ_SECONDS: Final = 120.0  # for a whole topic of some 100,000 alerts


class AlertReader:
    """A consumer of all partitions of an alerts topic from where they end when it is made, or from the beginning.

    Parameters
    ----------
    servers, topic : str
        Where the alerts are.
    from_end : bool
        Whether to leave out what is there already.
    """

    def __init__(self, servers: str, topic: str, *, from_end: bool) -> None:
        connection = KafkaConnection(servers)
        preflight = Preflight(connection)
        partitions = {topic: preflight.topics()[topic]}
        begins = preflight.offsets(partitions, end=from_end)[topic]
        self._topic = topic
        self._unread = set(begins)  # partitions whose end has not been seen
        self._consumer = Consumer(
            {
                **connection.librdkafka(),
                "group.id": f"bench-{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # what is measured is the job, not the consumer's patience
            }
        )
        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in begins.items()])

    def poll(self) -> tuple[float, dict[str, Any]] | None:
        """Return when the next alert could be read (epoch seconds) and the alert; None if there is none yet."""
        message = self._consumer.poll(POLL_SECONDS)
        now = time.time()
        if message is None:
            return None
        error = message.error()
        if error is None:
            return now, json.loads(message.value() or b"{}")
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - the only name of the code
            raise TransientError(f"alerts cannot be read from {self._topic}: {error.str()}")
        self._unread.discard(message.partition() or 0)
        return None

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield alerts until the end of every partition has been seen.

        Raises
        ------
        TransientError
            If the broker does not hand them over in time.
        """
        deadline = time.monotonic() + READ_SECONDS
        while self._unread:
            if (found := self.poll()) is not None:
                yield found[1]
            elif time.monotonic() > deadline:
                raise TransientError(f"{self._topic} cannot be read to its end in {READ_SECONDS:.0f} s")

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def read_alerts(servers: str, topic: str) -> list[dict[str, Any]]:
    """Return all alerts of a topic."""
    reader = AlertReader(servers, topic, from_end=False)
    try:
        return list(reader.all())
    finally:
        reader.close()
