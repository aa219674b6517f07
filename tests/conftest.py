"""Fixtures of more than one suite: a real Kafka broker and topics on it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from detector.kafka.broker import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One broker for the whole run; a broker that cannot start is an error, never a skip."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def new_topic(broker: EmbeddedBroker) -> Callable[..., str]:
    """Create a topic with a name nobody else has: ``new_topic("sensors", partitions=4, config={...})``."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})

    def create(prefix: str = "topic", partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = f"{prefix}-{uuid4().hex[:12]}"
        admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])[name].result(30)
        return name

    return create
