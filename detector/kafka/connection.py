"""How to reach Kafka, once, for librdkafka and for Spark's connector.

Not here: topics (``preflight``) and what is read or written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

RECONNECT_MS: Final = 1000  # at most between two attempts; librdkafka's 10 s would be the first thing after an outage
LOG: Final = logging.getLogger("librdkafka")  # else librdkafka prints to standard error, past every log setting

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


@dataclass(frozen=True)
class KafkaConnection:
    """Address and credentials of a Kafka cluster.

    Parameters
    ----------
    bootstrap_servers : str
        Comma-separated host:port list.
    protocol : {'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'}
        Security protocol.
    sasl_mechanism, username, password : str
        SASL credentials; empty where the protocol has none.
    ca_file, certificate_file, key_file, key_password : str
        PEM files for TLS; an empty CA means the system's.
    """

    bootstrap_servers: str
    protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)

    def librdkafka(self) -> dict[str, Any]:
        """Return the configuration of a confluent-kafka client."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "logger": LOG,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            "security.protocol": self.protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file,
            "ssl.key.password": self.key_password,
        }
        return {key: value for key, value in config.items() if value}

    def spark(self) -> dict[str, str]:
        """Return the ``kafka.*`` options of Spark's Kafka source."""
        config = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.jaas.config": self._jaas(),
            "ssl.truststore.type": "PEM" if self.ca_file else "",
            "ssl.truststore.location": self.ca_file,
            "ssl.keystore.type": "PEM" if self.key_file else "",
            "ssl.keystore.key": _content(self.key_file),
            "ssl.keystore.certificate.chain": _content(self.certificate_file),
            "ssl.key.password": self.key_password,
        }
        return {f"kafka.{key}": value for key, value in config.items() if value}

    def _jaas(self) -> str:
        if not self.protocol.startswith("SASL"):
            return ""
        module = "plain.PlainLoginModule" if self.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (self.username, self.password))
        return f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";'


def _content(file: str) -> str:
    """Return a PEM file's text: Java takes key and certificate from one file, or as text."""
    return Path(file).read_text() if file else ""
