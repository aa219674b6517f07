"""The main job over 2,000 sensors and 10 s windows, at full speed; done once, whatever parts ask for it.

The topic ``sensors`` has the peers' form: the peers read the same records.

Not here: what others make of the same topic (``throughput``), where the time goes (``stages``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from bench.alerts import read_alerts
from bench.deployment import Bench, Deployment
from bench.feed import fill
from bench.figures import Spread
from bench.load import Load
from bench.processes import Sample
from bench.running import Batch, MainJob

TOPIC: Final = "sensors"  # the peers' programs have it in them
HISTORY: Final = "history"
START_SECONDS: Final = 120.0
RUN_SECONDS: Final = 600.0
WARM_FROM: Final = 2  # batches left out: they start the Python workers, and the JVM compiles most of what it will
LATENESS_MS: Final = 30_000  # the default of windows.lateness
LEAST_ALERTING: Final = 0.001  # share of the windows that must alert: a job without alerts would be no measure


@dataclass(frozen=True)
class MainSize:
    """How much: sensors, windows of load and of history, and records a batch (None: the default)."""

    sensors: int
    windows: int
    history: int
    batch: int | None


FULL: Final = MainSize(2_000, 350, 256, None)  # 7 batches of the default 1,000,000 records
QUICK: Final = MainSize(200, 150, 128, 60_000)


@dataclass(frozen=True)
class MainRun:
    """What a run of the main job gave.

    Attributes
    ----------
    deployment : Deployment
    load : Load
    profile : str
        Digest of the profile it scored with.
    warm : tuple of Batch
        All batches with records but the first `WARM_FROM`.
    before : Batch
        The batch before those: its metrics are where theirs begin.
    last : Batch
        The last batch of all.
    cpu : dict of str to float
        Processor seconds of the warm part, by role.
    peak : Sample
        When it held most memory.
    training, published : dict
        What the training reported; counts of what was published.
    complaints : tuple of str
        What was not as it must be.
    """

    deployment: Deployment
    load: Load
    profile: str
    warm: tuple[Batch, ...]
    before: Batch
    last: Batch
    cpu: dict[str, float]
    peak: Sample
    training: dict[str, Any]
    published: dict[str, int]
    complaints: tuple[str, ...]

    @property
    def rate(self) -> Spread:
        """Records a second, batch by batch."""
        return Spread(tuple(batch.rows / batch.seconds for batch in self.warm))

    @property
    def wall_rate(self) -> float:
        """Records a second by the clock over the warm part, pauses between batches included."""
        return sum(batch.rows for batch in self.warm) / (self.warm[-1].ended - self.before.ended)


@lru_cache(maxsize=1)
def prepared(bench: Bench) -> tuple[Deployment, Load, dict[str, Any]]:
    """Fill both topics and train; returns the deployment, the load and what the training reported."""
    size = QUICK if bench.quick else FULL
    load = Load(sensors=size.sensors, windows=size.windows, window_ms=10_000, per_window=10)
    changed = {} if size.batch is None else {"source.max_records_per_batch": size.batch}
    deployment = Deployment(bench, "main", changed)
    history = load.before(size.history)
    for topic, part in ((HISTORY, history), (TOPIC, load)):
        bench.say(f"writing {part.records:,} records to {topic}")
        fill(bench.servers, topic, part)
    bench.say("training on the history")
    return deployment, load, deployment.train(HISTORY)


@lru_cache(maxsize=1)
def main_run(bench: Bench) -> MainRun:
    """Run the main job over the whole topic and check what it has done."""
    deployment, load, training = prepared(bench)
    bench.say(f"running the main job over {load.records:,} records")
    with MainJob(deployment.settings(TOPIC)) as job:
        job.wait_until_started(START_SECONDS)
        job.wait_until_idle(load.records, RUN_SECONDS)
    batches = job.batches()
    full = [batch for batch in batches if batch.rows]
    warm = tuple(full[WARM_FROM:])
    alerts = read_alerts(bench.servers, deployment.alerts)
    published = count(alerts)
    before, last = full[WARM_FROM - 1], batches[-1]
    return MainRun(
        deployment=deployment,
        load=load,
        profile=job.facts()["profile"],
        warm=warm,
        before=before,
        last=last,
        cpu=job.sampler.cpu_between(before.ended, warm[-1].ended),
        peak=job.sampler.peak(),
        training=training,
        published=published,
        complaints=tuple(complaints(last.sums, published, load, LATENESS_MS)),
    )


def count(alerts: list[dict[str, Any]]) -> dict[str, int]:
    """Count alerts: all, distinct ids, openings and resolutions."""
    events = [alert["event"] for alert in alerts]
    return {
        "alerts": len(alerts),
        "distinct": len({alert["alert_id"] for alert in alerts}),
        "opened": events.count("opened"),
        "resolved": events.count("resolved"),
    }


def complaints(sums: dict[str, float], published: dict[str, int], load: Load, lateness_ms: int) -> list[str]:
    """Compare a finished run with the records that were written.

    Parameters
    ----------
    sums : dict of str to float
        The product's metrics at the end.
    published : dict of str to int
        As `count` gives them.
    load : Load
        What was written.
    lateness_ms : int
        Of the watermark.
    """
    expected = load.closed_windows(lateness_ms)
    scored = sums.get("tidemark_windows_scored_total", 0.0)
    read = sums.get("tidemark_records_consumed_total", 0.0)
    checks = (
        (scored == expected, f"{scored:,.0f} windows scored, {expected:,} expected"),
        (read == load.records, f"{read:,.0f} records read, {load.records:,} written"),
        (not sums.get("tidemark_records_rejected_total"), "records were rejected"),
        (not sums.get("tidemark_late_rows_dropped_total"), "records were dropped as late"),
        (not sums.get("tidemark_sensors_learning"), "sensors have no model"),
        (
            published["alerts"] == published["distinct"],
            f"{published['alerts']} alerts with {published['distinct']} ids",
        ),
        (
            published["opened"] >= LEAST_ALERTING * expected,
            f"{published['opened']} openings of {expected:,} windows are too few",
        ),
    )
    return [text for holds, text in checks if not holds]
