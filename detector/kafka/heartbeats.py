"""Writes heartbeats: records that only say how far event time has come, to a topic that the query reads too.

Not here: when one is due (``detector.app.heartbeat``), how it is read (``detector.pipeline.decode``).
"""

from __future__ import annotations

from typing import Final

import structlog
from confluent_kafka import KafkaError, Message, Producer

from detector.kafka.connection import KafkaConnection

CLOSE_SECONDS: Final = 5.0  # how long a heartbeat that is under way may take at the end

log = structlog.get_logger()


class HeartbeatWriter:
    """Writes to one topic.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    topic : str
        Where to.
    """

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._producer = Producer({**connection.librdkafka(), "enable.idempotence": True, "linger.ms": 0})

    def write(self, event_us: int) -> None:
        """Say that event time has come to here, microseconds since 1970; does not wait for Kafka."""
        self._producer.produce(self._topic, str(event_us).encode(), on_delivery=_delivered)
        self._producer.poll(0)

    def close(self) -> None:
        """Send what is under way."""
        self._producer.flush(CLOSE_SECONDS)


def _delivered(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        log.warning("a heartbeat was not written; open windows stay open", topic=message.topic(), why=error.str())
