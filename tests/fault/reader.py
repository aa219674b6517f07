"""A consumer that reads alerts all the time, while the process that publishes them is killed.

Not here: what the alerts should be (``test_kills``).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition

from tests.e2e.deployment import DEADLINE, PARTITIONS, Deployment, Run


class Reader:
    """Reads committed alerts from the beginning on a thread of its own.

    Attributes
    ----------
    alerts : list of (float, dict)
        When each came (`time.monotonic`), and what it says.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.alerts: list[tuple[float, dict[str, Any]]] = []
        config = {"group.id": "reader", "isolation.level": "read_committed", "log_level": 0}  # a broker may be away
        self._consumer = Consumer({"bootstrap.servers": deployment.servers, **config})
        self._consumer.assign([TopicPartition(deployment.alerts, partition, 0) for partition in range(PARTITIONS)])
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self._stopping = True
        self._thread.join()
        self._consumer.close()

    def wait_for(self, run: Run, wanted: Callable[[dict[str, Any]], bool], since: int = 0) -> float:
        """Wait for an alert after the first `since`, as long as the run lives; return when it came."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            while time.monotonic() < deadline:
                for at, alert in self.alerts[since:]:
                    if wanted(alert):
                        return at
                assert run.process.poll() is None, run.log()
                self._changed.wait(1)
        raise AssertionError(f"the alert did not come; the last of {len(self.alerts)}: {self.alerts[-3:]}\n{run.log()}")

    def wait_for_count(self, count: int) -> None:
        """Wait until so many alerts have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.alerts) >= count, DEADLINE), len(self.alerts)

    def _run(self) -> None:
        while not self._stopping:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                with self._changed:
                    self.alerts.append((time.monotonic(), json.loads(message.value() or b"")))
                    self._changed.notify_all()
