"""Settings become the frozen specs that each room owns; no room below reads settings.

Not here: reading and checking settings (``load``, ``schema``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from detector.kafka.commit_log import LogSpec
from detector.kafka.connection import KafkaConnection
from detector.kafka.dead_letter import LedgerSpec
from detector.kafka.source import SourceSpec
from detector.pipeline.decode import DecodeSpec, ValueRange
from detector.pipeline.identity import AssetRule
from detector.pipeline.json_records import RecordLayout
from detector.pipeline.paths import parse_path
from detector.pipeline.windows import WindowSpec
from detector.settings.schema import Settings

QUERY_NAME = "alerts"  # of the one streaming query; part of the transactional id and key of the marker
_MICROSECOND = timedelta(microseconds=1)


def connection(settings: Settings) -> KafkaConnection:
    """Return how to reach Kafka."""
    kafka, security = settings.kafka, settings.kafka.security
    return KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        protocol=security.protocol,
        sasl_mechanism=security.sasl_mechanism or "",
        username=security.username or "",
        password=_secret(security.password),
        ca_file=str(security.ca_file or ""),
        certificate_file=str(security.certificate_file or ""),
        key_file=str(security.key_file or ""),
        key_password=_secret(security.key_password),
    )


def source(settings: Settings) -> SourceSpec:
    """Return what is read."""
    chosen = settings.source
    return SourceSpec(
        connection=connection(settings),
        topics=tuple(chosen.topics or ()),
        topic_pattern=chosen.topic_pattern,
        starting_offsets=chosen.starting_offsets,
        max_records_per_batch=chosen.max_records_per_batch,
        min_partitions=chosen.min_partitions,
        fail_on_data_loss=chosen.on_data_loss == "fail",
    )


def stream_source(settings: Settings, read: Collection[str]) -> SourceSpec:
    """Return what the stream reads: the source, and the heartbeats if there are any or were among the topics read."""
    reading, topic = source(settings), settings.source.heartbeat_topic
    if settings.source.heartbeat_after is None and topic not in read:
        return reading
    if reading.topic_pattern is None:
        return replace(reading, topics=(*reading.topics, topic))
    return replace(reading, topic_pattern=f"(?:{reading.topic_pattern})|{re.escape(topic)}")


def decode(settings: Settings) -> DecodeSpec:
    """Return how records are read."""
    records, fields, asset = settings.records, settings.records.fields, settings.records.asset
    return DecodeSpec(
        layout=RecordLayout(
            sensor_id=parse_path(fields.sensor_id),
            timestamp=parse_path(fields.timestamp),
            value=parse_path(fields.value),
            asset_id=parse_path(fields.asset_id),
            unit=parse_path(fields.unit),
            timestamp_format=records.timestamp_format,
        ),
        asset=AssetRule(asset.source, asset.template, asset.pattern, dict(asset.mapping)),
        timezone=records.timezone,
        max_bytes=records.max_bytes,
        future_bound_us=records.future_bound // _MICROSECOND,
        heartbeat_topic=settings.source.heartbeat_topic,
        ranges=tuple(
            ValueRange(
                limits.sensors,
                float("-inf") if limits.min is None else limits.min,
                float("inf") if limits.max is None else limits.max,
                limits.unit,
            )
            for limits in records.ranges
        ),
    )


def windows(settings: Settings) -> WindowSpec:
    """Return the shape of the windows."""
    shape = settings.windows
    return WindowSpec(
        length_seconds=shape.length.total_seconds(),
        slide_seconds=shape.slide.total_seconds(),
        lateness_seconds=shape.lateness.total_seconds(),
        dedup=shape.dedup,
    )


def log(settings: Settings) -> LogSpec:
    """Return where alerts and markers go."""
    return LogSpec(
        connection=connection(settings),
        transactional_id=f"{identity(settings)}.{QUERY_NAME}",
        query_name=f"{settings.app.deployment}.{QUERY_NAME}",
        alerts_topic=settings.alerts.topic,
        commits_topic=settings.alerts.commits_topic,
        transaction_timeout_seconds=settings.alerts.transaction_timeout.total_seconds(),
    )


def ledger(settings: Settings) -> LedgerSpec:
    """Return where the dead-letter ledger reads and writes."""
    return LedgerSpec(
        connection=connection(settings),
        query_name=f"{settings.app.deployment}.{QUERY_NAME}",
        dead_letter_topic=settings.dead_letter.topic,
        commits_topic=settings.alerts.commits_topic,
    )


def identity(settings: Settings) -> str:
    """Return ``<app>.<deployment>``: what only one running instance may be."""
    return f"{settings.app.name}.{settings.app.deployment}"


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
