"""Part ``scale``: windows scored/s, memory and disk for 2,000, 100,000 and 1,000,000 sensors.

Each batch reads one 60 s window of every sensor, one record each, and scores one such window of every sensor: the
cost that remains per window when nothing is left to aggregate.

Not here: how the model for many sensors is made (``tiling``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bench.alerts import read_alerts
from bench.deployment import Bench, Deployment, bytes_below, delete_topics
from bench.feed import fill
from bench.figures import Outcome, Spread, Table
from bench.load import Load
from bench.mainrun import LATENESS_MS, complaints, count
from bench.processes import ROLES
from bench.running import Batch, MainJob
from bench.tiling import Tiling, tile
from models.registry import Registry

START_SECONDS: Final = 180.0
RUN_SECONDS: Final = 1800.0
WARM_FROM: Final = 3  # two batches pass before a window closes, and the first that scores loads the models
GIB: Final = 1024**3
TRAINED: Final = 2_000


@dataclass(frozen=True)
class ScaleSize:
    """Sensors, windows, and the limits that adapt to them: buckets and the heap of the JVM."""

    sensors: int
    windows: int
    buckets: int
    heap: str


# Batches that count: as many as windows, less those of WARM_FROM.
FULL: Final = (ScaleSize(2_000, 12, 64, "2g"), ScaleSize(100_000, 10, 64, "2g"), ScaleSize(1_000_000, 8, 256, "4g"))
QUICK: Final = (ScaleSize(2_000, 6, 64, "2g"),)
HISTORY: Final = 256
QUICK_HISTORY: Final = 128


@dataclass(frozen=True)
class Scaled:
    """What one size gave."""

    size: ScaleSize
    changed: str
    profile: str
    warm: tuple[Batch, ...]
    per_batch: tuple[float, ...]
    memory: dict[str, int]
    cpu: dict[str, float]
    state_bytes: int
    checkpoint_bytes: int
    published: dict[str, int]
    complaints: tuple[str, ...]

    @property
    def rate(self) -> Spread:
        """Windows scored a second, batch by batch."""
        pairs = zip(self.per_batch, self.warm, strict=True)
        return Spread(tuple(windows / batch.seconds for windows, batch in pairs))

    @property
    def seconds(self) -> Spread:
        """Seconds a batch."""
        return Spread(tuple(batch.seconds for batch in self.warm))


def scale(bench: Bench) -> Outcome:
    """Train once, then run every size."""
    load = _load(TRAINED, 1)
    trained = Deployment(bench, "scale-trained", {"windows.length": "60s"})
    bench.say(f"training {TRAINED:,} sensors on 60 s windows")
    fill(bench.servers, "scale-history", load.before(QUICK_HISTORY if bench.quick else HISTORY))
    version = trained.train("scale-history")["version"]
    delete_topics(bench.servers, "scale-history")
    results = [_run(bench, size, trained, version) for size in (QUICK if bench.quick else FULL)]
    found = tuple(f"{one.size.sensors:,} sensors: {text}" for one in results for text in one.complaints)
    return Outcome((_table(results),), {"profile": results[0].profile, "sizes": [_raw(one) for one in results]}, found)


def _load(sensors: int, windows: int) -> Load:
    return Load(sensors=sensors, windows=windows, window_ms=60_000, per_window=1, levels=TRAINED)


def _run(bench: Bench, size: ScaleSize, trained: Deployment, version: str) -> Scaled:
    changed = {
        "windows.length": "60s",
        "source.max_records_per_batch": size.sensors,
        "state.buckets": size.buckets,
        "spark.driver_memory": size.heap,
    }
    deployment = Deployment(bench, f"scale-{size.sensors}", changed)
    topic, load = f"scale-{size.sensors}", _load(size.sensors, size.windows)
    bench.say(f"writing {load.records:,} records, and tiling the model to {size.sensors:,} sensors")
    fill(bench.servers, topic, load)
    tile(Registry(trained.registry), version, Registry(deployment.registry), Tiling(size.sensors, size.buckets))
    bench.say(f"running the main job over {size.sensors:,} sensors")
    with MainJob(deployment.settings(topic)) as job:
        job.wait_until_started(START_SECONDS)
        job.wait_until_idle(load.records, RUN_SECONDS)
    batches = job.batches()
    full = [batch for batch in batches if batch.rows]
    warm, before = tuple(full[WARM_FROM:]), full[WARM_FROM - 1 : -1]
    published = count(read_alerts(bench.servers, deployment.alerts))
    delete_topics(bench.servers, topic)
    scored = "tidemark_windows_scored_total"
    return Scaled(
        size=size,
        changed=deployment.changed_text(),
        profile=job.facts()["profile"],
        warm=warm,
        per_batch=tuple(now.sums[scored] - then.sums[scored] for then, now in zip(before, warm, strict=True)),
        memory=job.sampler.peak().memory,
        cpu=job.sampler.cpu_between(before[0].ended, warm[-1].ended),
        state_bytes=sum(int(operator["memoryUsedBytes"]) for operator in warm[-1].operators),
        checkpoint_bytes=bytes_below(deployment.checkpoint),
        published=published,
        complaints=tuple(complaints(batches[-1].sums, published, load, LATENESS_MS)),
    )


def _table(results: list[Scaled]) -> Table:
    rows = []
    for one in results:
        memory = sum(one.memory.values()) / GIB
        parts = ", ".join(f"{role} {one.memory[role] / GIB:.1f}" for role in ROLES)
        windows = sum(one.per_batch)
        micros = 1e6 * sum(one.cpu.values()) / windows if windows else float("nan")
        rows.append(
            (
                f"{one.size.sensors:,}",
                one.rate.text(),
                one.seconds.text(1),
                f"{micros:,.1f}",
                f"{memory:.1f} ({parts})",
                f"{one.checkpoint_bytes / one.size.sensors:,.0f}",
                f"{100 * one.published['opened'] / max(1, one.size.sensors * (one.size.windows - 1)):.2f} %",
            )
        )
    changed = [
        f"{one.size.sensors:,} sensors, settings that differ from the defaults: {one.changed}." for one in results
    ]
    return Table(
        "Scale: one 60 s window of every sensor in each batch, full scoring",
        (
            "sensors",
            "windows/s, median (lowest to highest)",
            "seconds a batch",
            "processor µs a window",
            "memory at its peak, GiB",
            "checkpoint bytes a sensor",
            "windows that opened an incident",
        ),
        tuple(rows),
        (
            "One record a sensor and window, so that records and windows are as many. The first "
            f"{WARM_FROM} batches are left out; "
            + ", ".join(f"{len(one.warm)} batches count for {one.size.sensors:,}" for one in results)
            + ".",
            "Memory: proportional set size of all processes of the job (driver, JVM, Python workers), without Kafka.",
            f"The model is trained for {TRAINED:,} sensors and tiled.",
            f"Sensor i has the level and the parameters of sensor i modulo {TRAINED:,}, and noise of its own.",
            "The checkpoint holds the state of up to 20 batches (`spark.sql.streaming.minBatchesToRetain`).",
            *changed,
        ),
    )


def _raw(one: Scaled) -> dict[str, Any]:
    return {
        "sensors": one.size.sensors,
        "settings": one.changed,
        "windows_per_second": one.rate.to_json(),
        "batch_seconds": one.seconds.to_json(),
        "memory_bytes": one.memory,
        "cpu_seconds": one.cpu,
        "state_bytes": one.state_bytes,
        "checkpoint_bytes": one.checkpoint_bytes,
        "published": one.published,
        "operators": [batch.operators for batch in one.warm],
        "phases": [batch.phases for batch in one.warm],
        "scoring_seconds": [batch.sums.get("tidemark_score_duration_seconds_sum") for batch in one.warm],
    }
