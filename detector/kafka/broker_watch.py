"""Watches whether the brokers answer, beside everything else that talks to them.

A thread asks for the metadata of one topic every few seconds. Nothing else tells soon: Spark and librdkafka retry in
silence, and a broker that stands still keeps its connections, so that a client learns of it when a request has waited
for a minute (``socket.timeout.ms``).

Not here: what follows when they do not answer (``detector.app.outages``, ``detector.observability.health``).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from detector.kafka.connection import KafkaConnection

ASK_SECONDS: Final = 2.0  # between two questions; each is one small request
ANSWER_SECONDS: Final = 3.0  # for an answer, which takes milliseconds
SILENT_SECONDS: Final = 6.0  # without an answer they count as away: one question may be lost


class BrokerWatch:
    """Knows when the brokers answered last.

    Parameters
    ----------
    connection : KafkaConnection
        The cluster.
    topic : str
        A topic that exists; any broker knows of it.
    on_look : callable
        Told after every question: seconds of silence if the brokers count as away, else None.
    """

    def __init__(self, connection: KafkaConnection, topic: str, on_look: Callable[[float | None], None]) -> None:
        self._admin = AdminClient(connection.librdkafka())
        self._topic = topic
        self._on_look = on_look
        self._answered_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-watch", daemon=True)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    def answered_since(self, moment: float) -> bool:
        """Tell whether there was an answer to a question that was asked after a moment (`time.monotonic`)."""
        return self._answered_at > moment

    def _run(self) -> None:
        while not self._stopping.is_set():
            asked_at = time.monotonic()
            if self._ask():
                self._answered_at = asked_at
            silence = time.monotonic() - self._answered_at
            self._on_look(silence if silence > SILENT_SECONDS else None)
            self._stopping.wait(asked_at + ASK_SECONDS - time.monotonic())

    def _ask(self) -> bool:
        try:
            self._admin.list_topics(self._topic, timeout=ANSWER_SECONDS)
        except KafkaException:
            return False
        return True
