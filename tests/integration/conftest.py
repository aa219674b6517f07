"""A topic that a test has just created can be used at once."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight


@pytest.fixture
def new_topic(broker: EmbeddedBroker) -> Callable[..., str]:
    """Create a topic as the fixture of the whole suite does, and wait until the broker leads its partitions."""
    preflight = Preflight(KafkaConnection(broker.bootstrap_servers))

    def create(prefix: str = "topic", partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = f"{prefix}-{uuid4().hex[:12]}"
        assert preflight.ensure(name, partitions, 1, config or {})
        return name

    return create
