"""What a client is told that speaks another protocol than the port of a real broker."""

from __future__ import annotations

import pytest

from detector.errors import TransientError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.inspection import Inspector

SECONDS = 2.0  # for a request that nobody answers


def test_user_and_password_for_a_port_without_sasl_are_not_what_is_wrong(broker: EmbeddedBroker) -> None:
    connection = KafkaConnection(broker.bootstrap_servers, "SASL_PLAINTEXT", "PLAIN", "somebody", "something")

    with pytest.raises(TransientError, match="This port knows no SASL, so user name and password do not matter"):
        Inspector(connection, SECONDS).cluster()


def test_certificates_for_a_port_without_tls_are_not_what_is_wrong(broker: EmbeddedBroker) -> None:
    connection = KafkaConnection(broker.bootstrap_servers, "SSL")

    with pytest.raises(TransientError, match="This port speaks no TLS, so certificates do not matter"):
        Inspector(connection, SECONDS).cluster()
