"""A backlog larger than a micro-batch, whose partitions are an hour apart in event time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import EPOCH, reading
from tests.e2e.test_main_job import HISTORY, deployment

HOUR = 3_600
EVERY = 2  # seconds between two records of a sensor
WINDOW = 10  # seconds, as `Deployment` has it
SENSORS = ("flow", "pressure")  # one in each partition


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
            at = HISTORY + second + partition * HOUR
            record = {
                "asset_id": "pump-1",
                "sensor_id": sensor,
                "timestamp": (EPOCH + at) * 1000,
                "value": reading(sensor, at),
            }
            plant.write(json.dumps(record).encode(), partition=partition)
    plant.producer.flush()
    closing = {
        "asset_id": "pump-1",
        "sensor_id": "flow",
        "timestamp": (EPOCH + HISTORY + 2 * HOUR + 60) * 1000,
        "value": 1,
    }
    registry = f"model.registry={past.directory / 'registry'}"
    with plant.running("--set", registry, "--set", "source.max_records_per_batch=500") as run:
        run.wait_for_log("running")
        assert "catching up" in run.log()
        plant.write(json.dumps(closing).encode(), partition=0)  # what is live closes what the backlog left open
        plant.producer.flush()
        metrics = run.wait_for_metric("tidemark_windows_scored_total", 2 * HOUR // WINDOW)
        assert run.stop() == 0, run.log()
    assert metrics["tidemark_windows_scored_total"] == 2 * HOUR // WINDOW
    assert metrics["tidemark_late_rows_dropped_total"] == 0
