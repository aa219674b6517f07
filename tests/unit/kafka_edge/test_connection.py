from __future__ import annotations

from detector.kafka.connection import KafkaConnection

SECURED = KafkaConnection(
    "broker:9093",
    protocol="SASL_SSL",
    sasl_mechanism="SCRAM-SHA-512",
    username="tide",
    password='pa"ss\\word',  # noqa: S106  # of nobody
    ca_file="ca.pem",
)


def test_what_is_not_set_is_left_to_the_clients_defaults() -> None:
    plain = KafkaConnection("broker:9092")

    assert plain.spark() == {"kafka.bootstrap.servers": "broker:9092", "kafka.security.protocol": "PLAINTEXT"}
    assert not any("sasl" in key or "ssl" in key for key in plain.librdkafka())


def test_both_clients_are_given_the_credentials() -> None:
    assert SECURED.librdkafka()["sasl.password"] == 'pa"ss\\word'
    assert SECURED.librdkafka()["ssl.ca.location"] == "ca.pem"
    assert SECURED.spark()["kafka.ssl.truststore.location"] == "ca.pem"
    assert SECURED.spark()["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="tide" password="pa\\"ss\\\\word";'
    )


def test_a_connection_does_not_show_its_passwords() -> None:
    assert "pa" + '"ss' not in repr(SECURED)
    assert "key_password" not in repr(SECURED)
