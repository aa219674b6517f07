"""Part ``latency``: from the end of a window to its alert being readable, under a paced load.

The load's event time is the clock's, so that the end of a window is a moment at which it could have been known.

Not here: the pace (``feed``).
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.process import BaseProcess
from typing import Final

from bench.alerts import AlertReader
from bench.deployment import Bench, Deployment, delete_topics
from bench.feed import PARTITIONS, fill, play
from bench.figures import Outcome, Spread, Table, percentiles
from bench.load import Load
from bench.mainrun import START_SECONDS
from bench.running import Batch, MainJob
from bench.tiling import Tiling, tile
from detector.errors import DetectorError
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from models.registry import Registry

TOPIC: Final = "latency"
RANKS: Final = (50, 95, 99)
LEAST_BATCHES: Final = 10  # of the measured part
GROWTH: Final = 1.5  # of the median delay from the first to the second half, beyond what batches vary
LATENESS_SECONDS: Final = 1.0
WINDOW_MS: Final = 2_000
DRAIN_SECONDS: Final = 15.0  # after the last record, for what is still on the way


@dataclass(frozen=True)
class LatencySize:
    """Sensors, records a window, how long the load lasts and how much of its begin is left out (seconds)."""

    sensors: int
    trained: int
    history: int
    seconds: float
    warm_up: float


# 10,000 sensors x 4 records in 2 s are 20,000 records/s.
FULL: Final = LatencySize(10_000, 1_000, 256, 160.0, 70.0)  # by then all members have the past that they need
QUICK: Final = LatencySize(2_000, 200, 128, 45.0, 20.0)
PER_WINDOW: Final = 4


@dataclass(frozen=True)
class Seen:
    """An opening: when its window ended, and when the alert could be read; epoch seconds."""

    window_end: float
    readable: float


def latency(bench: Bench) -> Outcome:
    """Train, play, and watch the alerts arrive."""
    size = QUICK if bench.quick else FULL
    changed = {"windows.length": "2s", "windows.lateness": f"{LATENESS_SECONDS:g}s", "trigger": "0s"}
    load = Load(sensors=size.sensors, windows=1, window_ms=WINDOW_MS, per_window=PER_WINDOW, levels=size.trained)
    deployment = Deployment(bench, "latency", changed)
    _prepare(bench, deployment, load, size)
    with MainJob(deployment.settings(TOPIC)) as job:
        job.wait_until_started(START_SECONDS)
        bench.say(f"playing {size.sensors * PER_WINDOW * 1000 / WINDOW_MS:,.0f} records/s for {size.seconds:.0f} s")
        began, seen = _play_and_watch(bench, deployment, load, size.seconds)
        batches = job.batches()
    warm = [one for one in seen if one.window_end >= began + size.warm_up]
    delays = [one.readable - one.window_end for one in warm]
    timed = [batch for batch in batches if batch.rows and batch.started >= began + size.warm_up]
    late = batches[-1].sums.get("tidemark_late_rows_dropped_total", 0.0)
    learning = batches[-1].sums.get("tidemark_sensors_learning", 0.0)
    found = percentiles(delays, RANKS)
    facts = job.facts()
    return Outcome(
        (_table(size, deployment, delays, timed, late),),
        {
            "profile": facts["profile"],
            "settings": deployment.changed_text(),
            "percentiles": dict(zip(map(str, RANKS), found, strict=True)),
            "delays": delays,
            "batch_seconds": [batch.seconds for batch in timed],
            "late_rows": late,
        },
        tuple(_complaints(delays, len(timed), learning)),
    )


def _complaints(delays: Sequence[float], batches: int, learning: float) -> list[str]:
    checks = (
        (not learning, "sensors have no model"),
        (not falls_behind(delays), "the job does not keep pace with the load"),
        (batches >= LEAST_BATCHES, f"{batches} batches are too few to speak of latency: a backlog was worked off"),
    )
    return [text for holds, text in checks if not holds]


def falls_behind(delays: Sequence[float]) -> bool:
    """Tell whether delays, in order, grow: a job that does not keep pace has no latency, only a backlog."""
    half = len(delays) // 2
    return half > 0 and statistics.median(delays[half:]) > GROWTH * statistics.median(delays[:half])


def _prepare(bench: Bench, deployment: Deployment, load: Load, size: LatencySize) -> None:
    trained = Deployment(bench, "latency-trained", {"windows.length": "2s"})
    history = load.before(size.history, sensors=size.trained)
    bench.say(f"training {size.trained:,} sensors on 2 s windows")
    fill(bench.servers, "latency-history", history)
    version = trained.train("latency-history")["version"]
    delete_topics(bench.servers, "latency-history")
    tile(Registry(trained.registry), version, Registry(deployment.registry), Tiling(size.sensors, 64))
    preflight = Preflight(KafkaConnection(bench.servers))
    for topic in (TOPIC, deployment.alerts):
        preflight.ensure(topic, PARTITIONS, 1, {})


def _play_and_watch(bench: Bench, deployment: Deployment, load: Load, seconds: float) -> tuple[float, list[Seen]]:
    """Return when the load began, and all openings."""
    reader = AlertReader(bench.servers, deployment.alerts, from_end=True)
    context = multiprocessing.get_context("spawn")  # a fork would share the consumer's threads' locks
    player: BaseProcess = context.Process(target=play, args=(bench.servers, TOPIC, load, seconds))
    seen: list[Seen] = []
    began = time.time()
    player.start()
    try:
        until = None
        while until is None or time.monotonic() < until:
            if until is None and not player.is_alive():
                until = time.monotonic() + DRAIN_SECONDS
            if (found := reader.poll()) is not None and found[1]["event"] == "opened":
                seen.append(Seen(datetime.fromisoformat(found[1]["window"]["end"]).timestamp(), found[0]))
    finally:
        player.terminate()
        player.join()
        reader.close()
    if player.exitcode:
        raise DetectorError(f"the load ended with code {player.exitcode}; see what it printed above")
    return began, seen


def _table(size: LatencySize, deployment: Deployment, delays: list[float], batches: list[Batch], late: float) -> Table:
    after_end = percentiles(delays, RANKS)
    rows = (
        ("window end to alert readable", *(f"{value:.2f}" for value in after_end)),
        (
            f"window close (end + {LATENESS_SECONDS:g} s of lateness) to alert readable",
            *(f"{value - LATENESS_SECONDS:.2f}" for value in after_end),
        ),
    )
    seconds = Spread(tuple(batch.seconds for batch in batches))
    rate = size.sensors * PER_WINDOW * 1000 / WINDOW_MS
    return Table(
        f"Latency: {rate:,.0f} records/s, {size.sensors:,} sensors, 2 s windows",
        ("seconds", *(f"p{rank}" for rank in RANKS)),
        rows,
        (
            f"{len(delays):,} openings, read by a consumer of committed records.",
            f"The first {size.warm_up:.0f} s of {size.seconds:.0f} s of load are left out.",
            f"Batches take {seconds.text(2)} s, {len(batches)} of them; {late:,.0f} rows came late.",
            f"Settings that differ from the defaults: {deployment.changed_text()}.",
        ),
    )
