"""Writes a load to Kafka: all at once, or at the pace of the clock.

Not here: what is written (``load``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import KafkaError, Message, Producer
from numpy.typing import NDArray

from bench.load import NOISE, SHIFT, Chunk, IntArray, Load, faulty, levels, rounded
from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight

PARTITIONS: Final = 4
FLUSH_SECONDS: Final = 120.0  # for what is on the way; the broker is on this machine
TICK_SECONDS: Final = 0.02  # of a paced load: records of a tick are handed over together
_FAST: Final[dict[str, int | str]] = {  # whole batches; as the peers' producer
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 2_000_000,
}
_PROMPT: Final[dict[str, int | str]] = {"linger.ms": 5}


def sensor_ids(numbers: IntArray) -> NDArray[np.object_]:
    """Return the ids of sensors by number, shape (n,)."""
    return np.array([f"sensor-{number:07d}" for number in numbers.tolist()], object)


def payloads(ids: pa.Array, event_ms: IntArray, reading: NDArray[np.float64]) -> list[bytes]:
    """Render records as JSON: ``{"sensor_id":...,"timestamp":...,"value":...}``."""
    parts = (
        '{"sensor_id":"',
        ids,
        '","timestamp":',
        pc.cast(pa.array(event_ms), pa.string()),
        ',"value":',
        pc.cast(pa.array(reading), pa.string()),
        "}",
        "",
    )
    rendered: list[bytes] = pc.cast(pc.binary_join_element_wise(*parts), pa.binary()).to_pylist()
    return rendered


def fill(servers: str, topic: str, load: Load) -> float:
    """Create a topic with a whole load; the Kafka timestamps are the event times.

    Returns
    -------
    float
        Seconds it took.
    """
    started = time.perf_counter()
    writer = _Writer(servers, topic, _FAST)
    names = pa.array(sensor_ids(np.arange(load.sensors)))
    for chunk in load.chunks():
        writer.write(names, chunk)
    writer.flush()
    return time.perf_counter() - started


def play(servers: str, topic: str, load: Load, seconds: float) -> None:
    """Write a load's sensors as they would report now, for some seconds of the clock; event time is now.

    Parameters
    ----------
    servers, topic : str
        An existing topic.
    load : Load
        Sensors, window length, records per window, faults; its own event times are not used.
    seconds : float
        How long.
    """
    writer = _Writer(servers, topic, _PROMPT)
    names = pa.array(sensor_ids(np.arange(load.sensors)))
    level = levels(load.levels)
    rng = np.random.default_rng((load.seed, 0))
    for sensor in _due(load, seconds):
        now_ms = np.full(len(sensor), time.time_ns() // 1_000_000, np.int64)
        fault = faulty(sensor, now_ms // load.window_ms, load.fault_share, load.seed)
        reading = level[sensor % load.levels] + rng.normal(0.0, NOISE, len(sensor)) + SHIFT * NOISE * fault
        writer.write(names, Chunk(sensor, now_ms, rounded(reading)))
    writer.flush()


def _due(load: Load, seconds: float) -> Iterator[IntArray]:
    """Yield the sensors of each tick when it is due; a tick that is late is made up for by a larger one."""
    rate = load.sensors * load.per_window * 1000 / load.window_ms
    started, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate)
        yield np.arange(sent, due, dtype=np.int64) % load.sensors
        sent = due
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - started - elapsed)))


class _Writer:
    """One producer that keeps the first error."""

    def __init__(self, servers: str, topic: str, options: dict[str, int | str]) -> None:
        connection = KafkaConnection(servers)
        Preflight(connection).ensure(topic, PARTITIONS, 1, {})
        self._producer = Producer({**connection.librdkafka(), **options, "on_delivery": self._delivered})
        self._topic = topic
        self._error: KafkaError | None = None

    def write(self, names: pa.Array, chunk: Chunk) -> None:
        ids = names.take(pa.array(chunk.sensor))
        keys = pc.cast(ids, pa.binary()).to_pylist()
        values = payloads(ids, chunk.event_ms, chunk.reading)
        produce, topic = self._producer.produce, self._topic
        partitions = (chunk.sensor % PARTITIONS).tolist()
        for key, value, partition, stamp in zip(keys, values, partitions, chunk.event_ms.tolist(), strict=True):
            try:
                produce(topic, value, key, partition, timestamp=stamp)
            except BufferError:  # the queue is full
                self.flush()
                produce(topic, value, key, partition, timestamp=stamp)
        self._producer.poll(0)

    def flush(self) -> None:
        left = self._producer.flush(FLUSH_SECONDS)
        if left or self._error:
            why = self._error.str() if self._error else f"{left} records not taken in {FLUSH_SECONDS:.0f} s"
            raise TransientError(f"records could not be written to {self._topic}: {why}; see the broker's log")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._error = self._error or error
