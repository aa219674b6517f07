"""``tidemark simulate`` as a user runs it, against a real broker; its records are read by the real decoder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from detector.app.plant import NEW_SENSOR, SENSORS
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from detector.pipeline.decode import DecodeSpec
from detector.pipeline.identity import AssetRule
from tests.integration.kafka_records import PATIENCE, read
from tests.unit.pipeline.raw_records import decode_rows
from tests.unit.test_cli import tidemark


def _command(servers: str, topic: str, *options: str) -> tuple[str, ...]:
    return ("simulate", "--set", f"kafka.bootstrap_servers={servers}", "--topic", topic, *options)


def _decoded(servers: str, topic: str) -> list[dict[str, Any]]:
    # The rows get a Kafka timestamp that is long past, so the bound on future event times says nothing here.
    spec = DecodeSpec(asset=AssetRule("field"), future_bound_us=10**16)
    return decode_rows([each.value for each in read(servers, topic)], spec)


def test_history_and_live_part_arrive_whole_and_none_is_ahead_of_the_clock(
    broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("plant")
    options = ("--history", "10m", "--for", "20m", "--speed", "1200", "--no-faults", "--stations", "2")
    done = tidemark(*_command(broker.bootstrap_servers, topic, *options))
    assert done.returncode == 0, done.stderr
    rows = _decoded(broker.bootstrap_servers, topic)
    assert Counter(row["reject_reason"] for row in rows) == {None: len(rows)}
    values = Counter((row["asset_id"], row["sensor_id"]) for row in rows)
    assert len(values) == 2 * (len(SENSORS) + 1)
    assert values["station-002.outlet", "level"] == 180
    assert values[f"station-001.{NEW_SENSOR.asset_id}", NEW_SENSOR.sensor_id] == 120
    times = sorted({row["event_time"].timestamp() for row in rows})
    assert all(other - one == 10 for one, other in pairwise(times))
    assert times[-1] <= time.time()
    assert f"{len(rows):,} records sent" in done.stdout


def test_faults_are_announced_and_the_topic_is_created(broker: EmbeddedBroker) -> None:
    topic = f"made-{time.time_ns()}"
    options = ("--for", "3h", "--speed", "10000", "--partitions", "1")
    done = tidemark(*_command(broker.bootstrap_servers, topic, *options))
    assert done.returncode == 0, done.stderr
    assert f"topic {topic} created" in done.stdout
    assert done.stdout.count("fault begins: ") > 3
    assert "fault ended: " in done.stdout
    assert Preflight(KafkaConnection(broker.bootstrap_servers)).topics()[topic] == 1


def test_ctrl_c_ends_it_in_order(broker: EmbeddedBroker, new_topic: Callable[..., str]) -> None:
    topic = new_topic("plant")
    arguments = _command(broker.bootstrap_servers, topic, "--history", "1m")
    command = [sys.executable, "-c", "from detector.cli import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "history sent" in line:
                running.send_signal(signal.SIGINT)
                break
        rest = running.stdout.read()
    assert running.returncode == 0, rest
    assert "records sent" in rest
    assert json.loads(read(broker.bootstrap_servers, topic)[0].value or b"")["asset_id"] == "intake"


def test_it_waits_while_the_broker_takes_nothing_and_then_goes_on(
    broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("plant")
    arguments = _command(broker.bootstrap_servers, topic, "--every", "1s")
    command = [sys.executable, "-c", "from detector.cli import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        lines = iter(running.stdout or ())
        try:
            assert any(f"sensors, into topic {topic}" in line for line in lines)
            _send(broker, signal.SIGSTOP)
            assert any("Kafka has taken nothing for" in line for line in lines)
            _send(broker, signal.SIGCONT)
            assert any("Kafka takes records again" in line for line in lines)
            running.send_signal(signal.SIGINT)
            *_, last = lines
            assert running.wait(PATIENCE) == 0
        finally:
            _send(broker, signal.SIGCONT)
            running.kill()
    said = int(last.split()[0].replace(",", ""))
    assert said >= len(SENSORS)
    assert len(read(broker.bootstrap_servers, topic)) >= said


def _send(broker: EmbeddedBroker, number: signal.Signals) -> None:
    for process in broker.pids.values():
        os.kill(process, number)
