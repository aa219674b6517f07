"""Part ``throughput``: records/s of the main job beside the read limit, Spark's own read and the peers, in one run.

Not here: the main job itself (``mainrun``), the peers' environments (``peers``).
"""

from __future__ import annotations

from typing import Final

from bench import sparkjobs
from bench.deployment import Bench
from bench.figures import Outcome, Spread, Table
from bench.mainrun import TOPIC, WARM_FROM, MainRun, main_run, prepared
from bench.peers import PEERS, READ_LIMIT, Measured, measure

ROUNDS: Final = 3  # of all peers; each program prints one rate
READS: Final = 3  # of the read limit, before and after


def throughput(bench: Bench) -> Outcome:
    """Measure everything, one after another, on an otherwise idle machine."""
    deployment, load, _ = prepared(bench)
    before = _read_limit(bench, load.records)
    bench.say("running Spark's batch read")
    part = min(load.records, 2_000_000)
    seconds = sparkjobs.measure(deployment.settings(TOPIC), TOPIC, part, 5, ["read"])["read"]
    spark = Spread(tuple(part / value for value in seconds))
    run = main_run(bench)
    peers: list[Measured] = []
    if bench.peers is not None:
        bench.say(f"running the peers, {ROUNDS} rounds")
        peers = measure(PEERS, bench.peers, bench.servers, load.records, ROUNDS)
    after = _read_limit(bench, load.records)
    return Outcome(
        tables=(_table(run, spark, peers, before, after),),
        raw={
            "profile": run.profile,
            "main_job": run.rate.to_json(),
            "main_job_by_the_clock": run.wall_rate,
            "read_limit_before": list(before.rates),
            "read_limit_after": list(after.rates),
            "spark_read": spark.to_json(),
            "peers": {one.peer.name: list(one.rates) or one.failure for one in peers},
            "batches": [{"rows": batch.rows, "seconds": batch.seconds} for batch in run.warm],
            "published": run.published,
            "training": {key: run.training[key] for key in ("version", "digest", "windows", "sensors")},
        },
        complaints=run.complaints,
    )


def _read_limit(bench: Bench, records: int) -> Measured:
    if bench.peers is None:
        return Measured(READ_LIMIT, (), "not run: no folder of peers")
    bench.say("measuring the read limit")
    return measure([READ_LIMIT], bench.peers, bench.servers, records, READS)[0]


def _table(run: MainRun, spark: Spread, peers: list[Measured], before: Measured, after: Measured) -> Table:
    main = run.rate
    reading = Measured(READ_LIMIT, (*before.rates, *after.rates), before.failure or after.failure)
    rows = [
        ("**Tidemark main job**", f"**{main.text()}**", "1.00"),
        _row(reading, main),
        ("Spark batch, Kafka to nothing", spark.text(), f"{main.median / spark.median:.2f}"),
        *(_row(one, main) for one in peers),
    ]
    return Table(
        f"Throughput: {run.load.sensors:,} sensors, 10 s windows, {run.load.records:,} JSON records, 4 partitions",
        ("what", "records/s, median (lowest to highest)", "main job / this"),
        tuple(rows),
        tuple(_notes(run, before, after)),
    )


def _row(one: Measured, main: Spread) -> tuple[str, str, str]:
    if not one.rates:
        return one.peer.name, one.failure, ""
    rate = Spread(one.rates)
    return one.peer.name, rate.text(), f"{main.median / rate.median:.2f}"


def _notes(run: MainRun, before: Measured, after: Measured) -> list[str]:
    windows = run.last.sums.get("tidemark_windows_scored_total", 0.0)
    opened = run.published["opened"]
    notes = [
        "Main job: decode, 10 s windows, full ensemble, exactly-once alerts, checkpoint on disk.",
        f"{len(run.warm)} warm batches of {run.warm[0].rows:,} records, the first {WARM_FROM} batches left out.",
        f"{run.wall_rate:,.0f} records/s by the clock over the same part, pauses included.",
        f"Settings that differ from the defaults: {run.deployment.changed_text()}.",
        f"{windows:,.0f} windows scored; {opened:,} incidents opened ({100 * opened / max(windows, 1):.2f} % of them).",
        f"{run.published['alerts']:,} alerts read back as committed, {run.published['distinct']:,} ids.",
    ]
    if before.rates and after.rates:
        drift = Spread(after.rates).median / Spread(before.rates).median - 1
        notes.append(
            f"The read limit was {Spread(before.rates).median:,.0f} before and {Spread(after.rates).median:,.0f} after "
            f"the others ({100 * drift:+.1f} %): the machine's own drift."
        )
        notes.append(
            "The peers only aggregate: nothing is scored or published. Bytewax and Quix read the first 400,000 records."
        )
    return notes
