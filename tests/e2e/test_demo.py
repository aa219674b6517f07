"""``tidemark demo`` as a user runs it: a process of its own, its output, its exit code and the topics it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError

from detector.kafka.broker import EmbeddedBroker
from tests.unit.app_demo.series import Entity, write_series

TIDEMARK = Path(sys.executable).with_name("tidemark")
TIMEOUT = 240  # seconds; a run takes less than one minute on an idle machine
SPAN = r"[\d:]+\s+[\d:]+"  # from and to in the table


def _demo(*arguments: str) -> str:
    done = subprocess.run([TIDEMARK, "demo", *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _alerts(directory: Path) -> list[dict[str, Any]]:
    """Read the alerts topic of a demo's broker to its end, as any consumer of committed records would."""
    with EmbeddedBroker(directory / "broker") as broker:
        return list(_committed(broker.bootstrap_servers, "alerts"))


def _committed(servers: str, topic: str) -> Iterator[dict[str, Any]]:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    behind = set(range(len(consumer.list_topics(topic, timeout=30).topics[topic].partitions)))
    consumer.subscribe([topic])
    while behind:
        message = consumer.poll(30)
        assert message is not None, "the topic has no end"
        if message.error() is None:
            yield json.loads(message.value() or b"")
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            behind.discard(message.partition())
    consumer.close()


def test_the_demo_finds_spike_and_level_shift_and_publishes_their_alerts(tmp_path: Path) -> None:
    output = _demo("--speed", "300", "--keep-files", str(tmp_path))
    found = {kind: re.search(rf"{kind}\s+(\S+)\s+{SPAN}\s+yes", output) for kind in ("spike", "level shift")}
    assert all(found.values()), output
    assert re.search(rf"silence\s+\S+\s+{SPAN}\s+not covered yet", output)
    assert re.search(r"dead letters\s+6 published, 6 broken", output)
    assert re.search(r"lag\s+0 records", output)
    assert all(character == "\n" or character.isprintable() for character in output)
    alerts = _alerts(tmp_path)
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    opened = {f"{alert['asset_id']}/{alert['sensor_id']}" for alert in alerts if alert["event"] == "opened"}
    assert {match[1] for match in found.values() if match} <= opened
    assert len(alerts) == int((re.search(r"alerts\s+(\d+) read", output) or [])[1])


def test_the_demo_replays_labelled_series_of_a_directory(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    write_series(data, [Entity("mill", rows=280, train=200, labelled=tuple(range(250, 260)))], jump=15.0)
    output = _demo("--data", str(data), "--entity", "mill", "--speed", "1000", "--keep-files", str(kept))
    assert re.search(rf"labelled\s+mill\s+{SPAN}\s+yes", output), output
    assert "1 of 1 detected" in output
    assert {(alert["asset_id"], alert["sensor_id"]) for alert in _alerts(kept)} >= {("mill", "a")}


def test_ctrl_c_ends_the_demo_in_order_and_removes_what_it_wrote(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [TIDEMARK, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Training" in line:
                demo.send_signal(signal.SIGINT)
                break
        rest = demo.stdout.read()
    assert demo.returncode == 0, rest
    assert "Stopped on request" in rest
    assert "Traceback" not in rest
    assert not list(tmp_path.glob("tidemark-*"))
