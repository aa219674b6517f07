"""The tree of all settings: names, defaults, limits, and the checks across sections.

Not here: reading files, environment and flags (``load``), and the larger sections, which
``connection`` and ``records`` hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from detector.settings.connection import KafkaSettings, SourceSettings
from detector.settings.records import RecordSettings, WindowSettings
from detector.settings.section import Section, without_nulls
from detector.settings.values import (
    ExistingFile,
    Identifier,
    LocalPath,
    MarkerDuration,
    Place,
    Text,
    TopicName,
    TransactionDuration,
    TriggerDuration,
    format_duration,
    topic_or_empty,
)

_MASTER = re.compile(r"local(\[(\*|\d+)(,\d+)?\])?|(spark|k8s)://\S+|yarn")
_MEMORY = re.compile(r"[1-9]\d*[mMgG]")
# Spark settings that Tidemark sets itself, and what to set instead.
_OWNED_CONF = {
    "spark.app.name": "app.name",
    "spark.master": "spark.master",
    "spark.driver.memory": "spark.driver_memory",
    "spark.sql.shuffle.partitions": "state.shuffle_partitions",
    "spark.sql.session.timeZone": "records.timezone (the session is always UTC)",
}


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        below = 1 << (number.bit_length() - 1)
        raise ValueError(f"{number} is not a power of two; write {below} or {2 * below}")
    return number


def _master(text: str) -> str:
    if not _MASTER.fullmatch(text):
        raise ValueError(f"{text!r} is not a Spark master; write local[*,4], local[2,4], spark://host:7077 or yarn")
    return text


def _memory(text: str) -> str:
    if not _MEMORY.fullmatch(text):
        raise ValueError(f"{text!r} is not a JVM memory size; write 512m or 2g")
    return text.lower()


def _spark_conf(conf: Mapping[str, str]) -> Mapping[str, str]:
    for key in conf:
        if not key.startswith("spark."):
            raise ValueError(f"{key!r} is not a Spark setting; write spark.{key}")
        if key in _OWNED_CONF:
            raise ValueError(f"{key} belongs to Tidemark; set {_OWNED_CONF[key]} instead")
    return conf


class AppSettings(Section):
    """Who this application is towards Kafka."""

    name: Identifier = Field(
        default="tidemark",
        description="Name of the application; begins its transactional id and commits topic.",
    )
    deployment: Identifier = Field(
        default="default",
        description="Name of this instance; two running under one name and deployment fence each other.",
    )


class ModelSettings(Section):
    """Which model scores, how it is trained, and when an incident ends."""

    registry: Place = Field(
        default="models-registry",
        description="Directory, or address of an object store, of the trained models and their aliases.",
    )
    version: Text = Field(default="champion", description="Alias or version of the model to run.")
    signing_key: LocalPath | None = Field(
        default=None,
        description="File of the private Ed25519 key (PEM) that signs what `tidemark train` publishes.",
    )
    trusted_keys: tuple[ExistingFile, ...] = Field(
        default=(),
        description="Files of public Ed25519 keys (PEM); with any, only models that one of them has signed are used.",
    )
    false_alarm_rate: float = Field(
        default=0.001, gt=0, le=0.1, description="Share of normal windows that may score above the threshold."
    )
    fit_share: float = Field(
        default=0.7,
        ge=0.1,
        le=0.9,
        description="First part of the history that is fitted; the rest calibrates.",
    )
    min_windows: int = Field(
        default=128, ge=64, le=10_000_000, description="Least windows of history for a sensor to get a model."
    )
    close_ratio: float = Field(
        default=0.5, gt=0, le=1, description="Part of the threshold below which a window counts as quiet."
    )
    quiet_windows: int = Field(
        default=3, ge=1, le=100_000, description="Quiet windows in a row that close an incident."
    )
    population: bool = Field(
        default=True,
        description="Judge sensors without a model of their own by the model of all sensors together.",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of everything random in training.")


class StateSettings(Section):
    """The state of the query; frozen by its checkpoint."""

    checkpoint: LocalPath = Field(
        default=Path("checkpoint"),
        description="Directory of the query's checkpoint; belongs to one deployment.",
    )
    buckets: Annotated[int, AfterValidator(_power_of_two)] = Field(
        default=64,
        ge=1,
        le=4096,
        description="Buckets the sensors are spread over, a power of two; frozen by checkpoint and model.",
    )
    shuffle_partitions: int = Field(
        default=4,
        ge=1,
        le=4096,
        description="Spark partitions of the state, about twice the cores; frozen by the checkpoint.",
    )


class AlertSettings(Section):
    """Where alerts go, and the transactions that carry them."""

    topic: TopicName = Field(default="alerts", description="Topic the alerts are published to.")
    commits_topic: Annotated[str, AfterValidator(topic_or_empty)] = Field(
        default="", description="Compacted topic of the batch markers. Empty: `<app.name>.commits`."
    )
    max_openings_per_bucket: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Most incidents a bucket opens in one batch; more are summed up.",
    )
    transaction_timeout: TransactionDuration = Field(
        default=timedelta(seconds=60),
        description="When the broker aborts an unfinished transaction (10s to 15m, or the broker's limit).",
    )
    marker_interval: MarkerDuration = Field(
        default=timedelta(seconds=60),
        description="Longest time between batch markers without alerts (1s to 1h).",
    )


class DeadLetterSettings(Section):
    """Where rejected and late records go."""

    topic: TopicName = Field(default="dead-letters", description="Topic of rejected and late records.")
    max_backlog_batches: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Most batches whose rejected and late records still wait to be published before reading pauses.",
    )


class HttpSettings(Section):
    """The server of `/metrics`, `/livez` and `/readyz`."""

    host: Text = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=9108, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")


class LogSettings(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe messages that are written."
    )
    format: Literal["console", "json"] = Field(
        default="console", description="For people (console) or one JSON object per line (json)."
    )


class SparkSettings(Section):
    """The Spark session."""

    master: Annotated[str, AfterValidator(_master)] = Field(
        default="local[*,4]", description="Spark master; in local[cores,failures], keep failures at 4."
    )
    driver_memory: Annotated[str, AfterValidator(_memory)] = Field(
        default="2g", description="Heap of the driver's JVM, in Spark's form: 512m, 2g."
    )
    conf: Annotated[Mapping[str, str], AfterValidator(_spark_conf)] = Field(
        default_factory=dict,
        repr=False,  # some of Spark's settings are secrets
        description="Further Spark settings, `spark.name: value`, as Spark knows them.",
    )


class Settings(BaseSettings):
    """All settings of Tidemark; made by ``detector.settings.load``, which is where values come from."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    app: AppSettings = Field(default_factory=AppSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    source: SourceSettings
    records: RecordSettings = Field(default_factory=RecordSettings)
    windows: WindowSettings = Field(default_factory=WindowSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    dead_letter: DeadLetterSettings = Field(default_factory=DeadLetterSettings)
    trigger: TriggerDuration = Field(
        default=timedelta(seconds=1),
        description="Time between micro-batches (0s to 1h); 0s: without a pause.",
    )
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - signature of pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of pydantic-settings
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of pydantic-settings
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the call alone; ``load`` hands in the layers of file, environment and flags."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, values: dict[str, Any]) -> dict[str, Any]:
        # An absent source is read as an empty one, whose own check says what to set.
        return {"source": {}, **without_nulls(cls, values)}

    @field_validator("alerts")
    @classmethod
    def _name_the_commits_topic(cls, alerts: AlertSettings, info: ValidationInfo) -> AlertSettings:
        if alerts.commits_topic or "app" not in info.data:
            return alerts
        return alerts.model_copy(update={"commits_topic": f"{info.data['app'].name}.commits"})

    @field_validator("source")
    @classmethod
    def _name_the_heartbeat_topic(cls, source: SourceSettings, info: ValidationInfo) -> SourceSettings:
        if source.heartbeat_topic or "app" not in info.data:
            return source
        app = info.data["app"]
        return source.model_copy(update={"heartbeat_topic": f"{app.name}.{app.deployment}.heartbeats"})

    @model_validator(mode="after")
    def _wait_for_late_records_before_a_heartbeat(self) -> Self:
        after, least = self.source.heartbeat_after, self.windows.length + self.windows.lateness
        if after is not None and after < least:
            raise ValueError(
                f"source.heartbeat_after {format_duration(after)} is shorter than windows.length + windows.lateness: a "
                f"heartbeat would make records late that are not; write {format_duration(least)} or more"
            )
        return self

    @model_validator(mode="after")
    def _keep_topics_apart(self) -> Self:
        outputs = {
            "alerts.topic": self.alerts.topic,
            "alerts.commits_topic": self.alerts.commits_topic,
            "dead_letter.topic": self.dead_letter.topic,
            "source.heartbeat_topic": self.source.heartbeat_topic,
        }
        for setting, topic in outputs.items():
            twin = next((other for other, name in outputs.items() if name == topic and other != setting), None)
            if twin is not None:
                raise ValueError(f"{setting} and {twin} are both {topic!r}; give each its own topic")
            if self.source.reads(topic):
                raise ValueError(f"{setting} {topic!r} is also read as a source; exclude it from source or rename it")
        return self
