"""Fixtures of more than one suite: a real Kafka broker and topics on it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One broker for the whole run; a broker that cannot start is an error, never a skip."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def new_topic(broker: EmbeddedBroker) -> Callable[..., str]:
    """Create a topic with a name nobody else has, and wait until the broker leads its partitions."""
    preflight = Preflight(KafkaConnection(broker.bootstrap_servers))

    def create(prefix: str = "topic", partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = f"{prefix}-{uuid4().hex[:12]}"
        assert preflight.ensure(name, partitions, 1, config or {})
        return name

    return create
