"""Support for end-to-end tests: one deployment of Tidemark, driven through its command line as a user would."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Self

import yaml
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from detector.app.session import JVM_OPTIONS, SHORT_LIVED
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight

EPOCH = 1_795_000_000  # first event time of the made sensors, epoch seconds
SENSORS = ("flow", "pressure", "temperature")
PARTITIONS = 2  # of the topics of `Deployment.with_topics`
LEAN = f"{SHORT_LIVED} -XX:+UseSerialGC"  # of some minutes, beside another on two cores
DEADLINE = 180.0  # seconds; a bound for a loaded machine, nothing waits this long when it works


def reading(sensor: str, second: int, asset: str = "pump-1") -> float:
    """Return a reproducible reading: a slow cycle and noise."""
    noise = random.Random(f"{asset}/{sensor}/{second}").gauss(0, 1)
    return 50 + 10 * SENSORS.index(sensor) + 5 * math.sin(second / 300) + noise


class Deployment:
    """A configuration, its topics and the commands that run on it."""

    def __init__(self, directory: Path, servers: str, name: str) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.servers = servers
        self.sensors, self.alerts, self.dead = f"{name}-sensors", f"{name}-alerts", f"{name}-dead"
        self.commits = f"{name}.commits"
        self.config = directory / "tidemark.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "app": {"name": name},
                    "kafka": {"bootstrap_servers": servers},
                    "source": {"topics": [self.sensors]},
                    "records": {"asset": {"source": "field"}},
                    "windows": {"length": "10s", "lateness": "20s"},
                    "model": {"registry": str(directory / "registry")},
                    "state": {"buckets": 4, "shuffle_partitions": 2, "checkpoint": str(directory / "checkpoint")},
                    "alerts": {"topic": self.alerts},
                    "dead_letter": {"topic": self.dead},
                    "trigger": "200ms",
                    "http": {"port": 0},
                    "spark": {"master": "local[2,4]", "driver_memory": "1g", "conf": {JVM_OPTIONS: LEAN}},
                }
            )
        )
        self.producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "log_level": 0})  # a broker may be away

    @classmethod
    def with_topics(cls, directory: Path, servers: str, name: str) -> Self:
        """Return a deployment whose sensors and alerts have their topics, for readers that begin before it runs."""
        made = cls(directory, servers, name)
        preflight = Preflight(KafkaConnection(servers))
        for topic in (made.sensors, made.alerts):
            assert preflight.ensure(topic, PARTITIONS, 1, {})
        return made

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `tidemark` for this configuration."""
        return [str(Path(sys.executable).parent / "tidemark"), *arguments, "--config", str(self.config)]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=DEADLINE, check=False)

    def train(self, *arguments: str) -> dict[str, Any]:
        """Train a model and return what the command reports."""
        done = self.call("train", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def produce(
        self,
        seconds: Iterable[int],
        *,
        assets: Iterable[str] = ("pump-1",),
        keyed: bool = True,
        fault: Callable[[str, int], float] = lambda *_: 0.0,
    ) -> None:
        """Write one record a sensor and second; `fault` is added to the reading, by asset/sensor."""
        for second in seconds:
            for asset, sensor in product(assets, SENSORS):
                record = {
                    "asset_id": asset,
                    "sensor_id": sensor,
                    "timestamp": (EPOCH + second) * 1000,
                    "value": reading(sensor, second, asset) + fault(f"{asset}/{sensor}", second),
                    "unit": "bar",
                }
                self.write(json.dumps(record).encode(), key=f"{asset}/{sensor}".encode() if keyed else None)
        self.producer.flush(DEADLINE)

    def write(self, value: bytes | None, key: bytes | None = None, partition: int = -1) -> None:
        """Write one record as it is; to a partition of the key's own unless one is named."""
        self.producer.produce(self.sensors, value, key, partition)
        self.producer.poll(0)

    def delete_topics(self) -> None:
        """Delete what it has read and written."""
        topics = [self.sensors, self.alerts, self.dead, self.commits]
        admin = AdminClient({"bootstrap.servers": self.servers})
        for deleted in admin.delete_topics(topics).values():
            deleted.result(DEADLINE)

    @contextmanager
    def running(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Run]:
        """Run the detector; it is killed if the test did not stop it."""
        log = self.directory / "run.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command("run", *arguments), stdout=output, stderr=output, cwd=self.directory,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        run = Run(process, log, log.stat().st_size)
        try:
            yield run
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(DEADLINE)

    def read(self, topic: str, enough: Callable[[list[Message]], bool]) -> list[Message]:
        """Read a topic from its beginning, committed records only, until there is enough."""
        found: list[Message] = []
        for message in self._messages(topic):
            found.append(message)
            if enough(found):
                return found
        raise AssertionError(
            f"{topic} has {len(found)} records and not what is waited for: {[m.value() for m in found[-3:]]}"
        )

    def read_all(self, topic: str) -> list[Message]:
        """Read what a topic holds now, committed records only."""
        return list(self._messages(topic, to_end=True))

    def alert_values(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """Parse alerts."""
        return [json.loads(message.value() or b"{}") for message in messages]

    def _messages(self, topic: str, *, to_end: bool = False) -> Iterator[Message]:
        config = {"group.id": "test", "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
        consumer = Consumer({"bootstrap.servers": self.servers, "enable.partition.eof": True, **config})
        partitions = self._partitions(topic)
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        at_end: set[int] = set()
        deadline = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < deadline and not (to_end and len(at_end) == len(partitions)):
                message = consumer.poll(0.2)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    at_end.add(message.partition() or 0)
        finally:
            consumer.close()

    def _partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic once it exists: the detector makes its own."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if partitions := list(admin.list_topics(topic, timeout=DEADLINE).topics[topic].partitions):
                return partitions
        raise AssertionError(f"{topic} does not exist")


class Run:
    """A running detector."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, start: int) -> None:
        self.process = process
        self._log = log
        self._start = start

    def log(self) -> str:
        """Return what this run has logged."""
        return self._log.read_bytes()[self._start :].decode()

    def url(self) -> str:
        """Return the address of the HTTP server, once the log names it."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            for word in self.log().split():
                if word.startswith("metrics=http"):
                    return word.removeprefix("metrics=").removesuffix("/metrics")
            time.sleep(0.05)
        raise AssertionError(f"no address in the log:\n{self.log()}")

    def wait_for_log(self, event: str) -> None:
        """Wait until the run has logged an event."""
        deadline = time.monotonic() + DEADLINE
        while f"] {event} " not in self.log():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def wait_for_metric(self, name: str, least: float) -> dict[str, float]:
        """Scrape until a metric has grown to a value."""
        deadline = time.monotonic() + DEADLINE
        while (metrics := self.metrics()).get(name, 0.0) < least:
            assert time.monotonic() < deadline, metrics
            time.sleep(0.2)
        return metrics

    def metrics(self) -> dict[str, float]:
        """Scrape once: sample name with labels -> value."""
        with urllib.request.urlopen(f"{self.url()}/metrics", timeout=DEADLINE) as answer:  # noqa: S310 - our own server
            families = text_string_to_metric_families(answer.read().decode())
        return {
            sample.name + "".join(f"[{value}]" for _, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop as an orchestrator would, or with SIGINT as Ctrl-C does; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)
