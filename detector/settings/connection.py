"""How Kafka is reached, and what is read from it.

Not here: the topics that are written (``schema``) and the clients (``detector.kafka``).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from detector.settings.section import Section
from detector.settings.values import (
    ExistingFile,
    RegularExpression,
    Text,
    TopicName,
    WindowDuration,
    topic_or_empty,
)

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_HIGHEST_PORT = 65_535


def _bootstrap_servers(text: str) -> str:
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if match is None or not 1 <= int(match[2]) <= _HIGHEST_PORT:
            raise ValueError(f"{server.strip()!r} is not host:port; write host:9092 or host-a:9092,host-b:9092")
    return ",".join(server.strip() for server in text.split(","))


class SecuritySettings(Section):
    """Encryption and authentication towards Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Whether the connection is encrypted (SSL) and authenticated (SASL)."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="How the user name and password are proved; required with SASL."
    )
    username: Text | None = Field(default=None, description="User name; required with SASL.")
    password: Annotated[SecretStr, Field(min_length=1)] | None = Field(
        default=None,
        description="Password; required with SASL. Best given by the environment. Never printed.",
    )
    ca_file: ExistingFile | None = Field(
        default=None,
        description="PEM file of the authorities that sign the brokers' certificates; else the system's.",
    )
    certificate_file: ExistingFile | None = Field(
        default=None, description="PEM file of the client's certificate chain; needs `key_file`."
    )
    key_file: ExistingFile | None = Field(
        default=None, description="PEM file of the client's private key; needs `certificate_file`."
    )
    key_password: Annotated[SecretStr, Field(min_length=1)] | None = Field(
        default=None, description="Password of the private key, if it is encrypted. Never printed."
    )

    @model_validator(mode="after")
    def _agree_with_the_protocol(self) -> Self:
        sasl = {
            "sasl_mechanism": self.sasl_mechanism,
            "username": self.username,
            "password": self.password,
        }
        ssl = {
            "ca_file": self.ca_file,
            "certificate_file": self.certificate_file,
            "key_file": self.key_file,
            "key_password": self.key_password,
        }
        absent = [name for name, value in sasl.items() if value is None]
        if self.protocol.startswith("SASL") and absent:
            raise ValueError(f"protocol {self.protocol} needs {', '.join(absent)}; set them")
        given = [name for name, value in sasl.items() if value is not None]
        if not self.protocol.startswith("SASL") and given:
            raise ValueError(
                f"{', '.join(given)} would have no effect with protocol {self.protocol}; "
                "set protocol to SASL_SSL or SASL_PLAINTEXT, or remove them"
            )
        given = [name for name, value in ssl.items() if value is not None]
        if not self.protocol.endswith("SSL") and given:
            raise ValueError(
                f"{', '.join(given)} would have no effect with protocol {self.protocol}; "
                "set protocol to SSL or SASL_SSL, or remove them"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together; set both or neither")
        if self.key_password is not None and self.key_file is None:
            raise ValueError("key_password needs key_file; set it, or remove key_password")
        return self


class KafkaSettings(Section):
    """The cluster that is read from and written to."""

    bootstrap_servers: Annotated[str, AfterValidator(_bootstrap_servers)] = Field(
        default="127.0.0.1:9092",
        description="Brokers to contact first: `host:port`, several joined by commas.",
    )
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    replication_factor: int = Field(
        default=1,
        ge=1,
        le=32_767,
        description="Copies of each topic that Tidemark creates; with 3, any one broker may fail.",
    )


class SourceSettings(Section):
    """What is read from Kafka, and how much at a time."""

    topics: tuple[TopicName, ...] | None = Field(
        default=None, min_length=1, description="Topics to read; exactly one of `topics` and `topic_pattern`."
    )
    topic_pattern: RegularExpression | None = Field(
        default=None,
        description="Regular expression that the whole name of a topic to read matches; new topics join.",
    )
    starting_offsets: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where to begin when there is no checkpoint yet."
    )
    max_records_per_batch: int = Field(
        default=1_000_000, ge=1, le=1_000_000_000, description="Most records that one micro-batch reads."
    )
    min_partitions: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Least number of Spark partitions a batch is read in; null: as many as Kafka has.",
    )
    on_data_loss: Literal["fail", "continue"] = Field(
        default="fail",
        description="What to do where retention has deleted records before they were read: end, or count and go on.",
    )
    heartbeat_after: WindowDuration | None = Field(
        default=None,
        description="Close the last windows when no record has come for so long (at least windows.length + "
        "windows.lateness); null: they stay open until something comes.",
    )
    heartbeat_topic: Annotated[str, AfterValidator(topic_or_empty)] = Field(
        default="", description="Topic of the heartbeats that do it. Empty: `<app.name>.<app.deployment>.heartbeats`."
    )
    require_log_append_time: bool = Field(
        default=False,
        description="Refuse to start unless the topics carry the broker's time (LogAppendTime).",
    )

    @model_validator(mode="after")
    def _name_the_source_once(self) -> Self:
        if self.topics is None and self.topic_pattern is None:
            raise ValueError("nothing to read; set source.topics (or source.topic_pattern)")
        if self.topics is not None and self.topic_pattern is not None:
            raise ValueError("topics and topic_pattern are both set; set one of them to null")
        if self.topics is not None and len(set(self.topics)) < len(self.topics):
            raise ValueError("topics names a topic twice; name each once")
        return self

    def reads(self, topic: str) -> bool:
        """Tell whether a topic is among those read.

        Parameters
        ----------
        topic : str
            The topic's full name.

        Returns
        -------
        bool
            True if `topics` lists it or `topic_pattern` matches the whole name.
        """
        if self.topic_pattern is not None:
            return re.fullmatch(self.topic_pattern, topic) is not None
        return topic in (self.topics or ())
