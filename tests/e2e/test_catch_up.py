"""A backlog larger than a batch, whose partitions are an hour apart in event time; one partition more; then silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import DEADLINE, EPOCH, Deployment, reading
from tests.e2e.test_main_job import HISTORY, deployment

HOUR = 3_600
EVERY = 2  # seconds between two records of a sensor
WINDOW = 10  # seconds, as `Deployment` has it
SENSORS = ("flow", "pressure")  # one in each partition
ADDED = 100  # seconds of records in a partition that is added while the application runs


def record(sensor: str, at: int) -> bytes:
    own = {"asset_id": "pump-1", "sensor_id": sensor, "timestamp": (EPOCH + at) * 1000, "value": reading(sensor, at)}
    return json.dumps(own).encode()


def write_to_a_new_partition(plant: Deployment) -> None:
    admin = AdminClient({"bootstrap.servers": plant.servers})
    admin.create_partitions([NewPartitions(plant.sensors, 3)])[plant.sensors].result(DEADLINE)
    producer = Producer({"bootstrap.servers": plant.servers, "topic.metadata.refresh.fast.interval.ms": 100})
    for second in range(0, ADDED, EVERY):
        producer.produce(plant.sensors, record("flow", HISTORY + 2 * HOUR + second), partition=2)
    assert producer.flush(DEADLINE) == 0


@pytest.mark.timeout(400)
def test_partitions_an_hour_apart_lose_nothing_though_a_batch_reads_a_part_of_them(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    past = deployment(tmp_path / "past", broker, "past")
    past.produce(range(HISTORY))
    past.train()
    plant = deployment(tmp_path / "skewed", broker, "skewed")
    for second in range(0, HOUR, EVERY):
        for partition, sensor in enumerate(SENSORS):
            plant.write(record(sensor, HISTORY + second + partition * HOUR), partition=partition)
    plant.producer.flush()
    # Nothing comes in the end: a heartbeat closes the last windows.
    silent = ("windows.lateness=2s", "source.heartbeat_after=12s")
    settings = (f"model.registry={past.directory / 'registry'}", "source.max_records_per_batch=500", *silent)
    with plant.running(*(part for each in settings for part in ("--set", each))) as run:
        run.wait_for_log("running")
        assert "catching up" in run.log()
        write_to_a_new_partition(plant)
        windows = (2 * HOUR + ADDED) // WINDOW
        metrics = run.wait_for_metric("tidemark_windows_scored_total", windows)
        assert run.stop() == 0, run.log()
    assert metrics["tidemark_windows_scored_total"] == windows
    assert metrics["tidemark_late_rows_dropped_total"] == 0
    assert metrics["tidemark_records_late_total"] == 0
