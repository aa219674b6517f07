"""Part ``stages``: where the time of a record goes.

Batch jobs over the same records, each adding a room, give the cost of reading, decoding and windowing without state;
the main job's own report gives state, scoring and sink.

Not here: the main job itself (``mainrun``).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from bench import sparkjobs
from bench.deployment import Bench
from bench.figures import Outcome, Spread, Table
from bench.mainrun import TOPIC, MainRun, main_run, prepared
from bench.running import Batch, growth

REPEATS: Final = 5
MILLION: Final = 1_000_000
_PHASES: Final = ("addBatch", "queryPlanning", "latestOffset", "walCommit", "commitOffsets")
_LABELS: Final[Mapping[str, str]] = {
    "read": "read (Kafka to nothing)",
    "decode": "+ decode",
    "windows": "+ windows (partial aggregate, shuffle, aggregate), no state",
}
# Spark's names of the two stateful operators, and the parts of the time that their tasks report.
_OPERATORS: Final[Mapping[str, str]] = {
    "stateStoreSave": "window state",
    "transformWithStateInPandasExec": "bucket state and scoring",
}
_TIMES: Final[Mapping[str, str]] = {
    "allUpdatesTimeMs": "update",
    "allRemovalsTimeMs": "evict",
    "commitTimeMs": "commit",
}


def stages(bench: Bench) -> Outcome:
    """Measure both halves."""
    deployment, load, _ = prepared(bench)
    records = min(load.records, 2_000_000)
    bench.say("running the batch jobs")
    seconds = sparkjobs.measure(deployment.settings(TOPIC), TOPIC, records, REPEATS, sparkjobs.ROOMS)
    run = main_run(bench)
    jobs = {room: Spread(tuple(value * MILLION / records for value in values)) for room, values in seconds.items()}
    inside = inner(run)
    return Outcome(
        tables=(_jobs_table(jobs, run), _inner_table(inside, run)),
        raw={
            "profile": run.profile,
            "batch_jobs_seconds_per_million": {room: spread.to_json() for room, spread in jobs.items()},
            "main_job_per_million": inside,
            "operators": [batch.operators for batch in run.warm],
            "phases": [batch.phases for batch in run.warm],
        },
        complaints=run.complaints,
    )


def inner(run: MainRun) -> dict[str, float]:
    """Return what a million records cost the main job, in seconds of the clock, of tasks or of the processor."""
    millions = sum(batch.rows for batch in run.warm) / MILLION
    followed = [run.before, *run.warm]

    def median(seconds: Callable[[Batch], float]) -> float:
        return statistics.median(seconds(batch) * MILLION / batch.rows for batch in run.warm)

    found = {"clock: whole batch": median(lambda batch: batch.seconds)}
    for phase in _PHASES:
        found[f"clock: {phase}"] = median(partial(_phase_seconds, phase))
    for operator, label in _OPERATORS.items():
        for field, part in _TIMES.items():
            found[f"tasks: {label}, {part}"] = median(partial(operator_seconds, operator, field))
    found["tasks: models (within scoring)"] = growth(followed, "tidemark_score_duration_seconds_sum") / millions
    found["clock: transaction of the sink"] = growth(followed, "tidemark_transaction_duration_seconds_sum") / millions
    for role, used in run.cpu.items():
        found[f"processor: {role}"] = used / millions
    return found


def _phase_seconds(phase: str, batch: Batch) -> float:
    return batch.phases.get(phase, 0) / 1000


def operator_seconds(name: str, field: str, batch: Batch) -> float:
    """Return a time that a state operator reports, summed over its tasks."""
    found = (operator.get(field, 0) for operator in batch.operators if operator["operatorName"] == name)
    return float(sum(found)) / 1000


def _jobs_table(jobs: Mapping[str, Spread], run: MainRun) -> Table:
    rows, previous = [], 0.0
    for room, spread in jobs.items():
        rows.append((_LABELS[room], spread.text(2), f"{spread.median - previous:.2f}"))
        previous = spread.median
    whole = Spread(tuple(batch.seconds * MILLION / batch.rows for batch in run.warm))
    rows.append(("main job: + state, scoring, sink", whole.text(2), f"{whole.median - previous:.2f}"))
    return Table(
        "Stages: batch jobs over the same records, each adding one room",
        ("job", "seconds of the clock per 1,000,000 records", "added"),
        tuple(rows),
        (
            f"{REPEATS} warm runs each, {os.cpu_count()} cores.",
            "Reading (JVM), decoding (Python worker) and partial aggregation (JVM) of a task run beside each other.",
            "What is added is therefore less than what a room costs.",
        ),
    )


def _inner_table(inside: Mapping[str, float], run: MainRun) -> Table:
    whole = inside["clock: whole batch"]
    cores = os.cpu_count() or 1
    rows: list[tuple[str, str, str]] = []
    for name, seconds in inside.items():
        share = seconds / whole / (1 if name.startswith("clock") else cores)
        rows.append((name, f"{seconds:.3f}", f"{100 * share:.0f} %"))
    notes = (
        "clock: the batch waits for it.",
        "tasks: summed over tasks, which run on all cores at once; Spark's operators and the models time themselves.",
        "processor: user and system time of the processes.",
        f"Share: of the batch's time; for tasks and processor, of all {cores} cores' time.",
        "The rows overlap: addBatch holds all tasks and the sink's transaction, scoring waits for the Python workers.",
        f"Medians of {len(run.warm)} warm batches; models, transaction and processor are means over them.",
    )
    return Table("Stages: inside the main job, per 1,000,000 records", ("what", "seconds", "share"), tuple(rows), notes)
