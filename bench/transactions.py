"""Part ``transactions``: what exactly-once costs: the time from alerts that are ready to their commit.

The real sink on a real broker, without Spark: each publication is one transaction with the alerts and their marker.

Not here: the share of a micro-batch that it takes (``stages``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.alerts import read_alerts
from bench.deployment import Bench, delete_topics
from bench.feed import PARTITIONS
from bench.figures import Outcome, Table, percentiles
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import CommitLog, LogSpec, OutgoingMessage
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, SinkSpec

ALERTS: Final = (0, 1, 100, 1_000)  # in one transaction; 0: the marker alone
ALERT: Final = json.dumps({"text": "x" * 1_600}).encode()  # about as many bytes as an alert has
REPEATS, QUICK_REPEATS, WARM_UP = 500, 20, 20
RANKS: Final = (50, 90, 99)
NAMES: Final = ("transactions-alerts", "transactions-commits")


@dataclass(frozen=True)
class Timed:
    """Publications of so many alerts: seconds of each."""

    alerts: int
    seconds: list[float]


def transactions(bench: Bench) -> Outcome:
    """Publish again and again, and read back what was published."""
    repeats = QUICK_REPEATS if bench.quick else REPEATS
    connection = KafkaConnection(bench.servers)
    preflight = Preflight(connection)
    alerts, commits = NAMES
    preflight.ensure(alerts, PARTITIONS, 1, {})
    preflight.ensure(commits, 1, 1, {"cleanup.policy": "compact"})
    log = CommitLog(LogSpec(connection, "bench.transactions", "bench", alerts, commits))
    sink = AlertSink(log, SinkSpec("bench.transactions", marker_interval_seconds=0.0))
    sink.start(CheckpointFacts("bench", None, -1, "nowhere"))
    measured = [Timed(count, _publish(sink, count, repeats)) for count in ALERTS]
    sink.close()
    wanted = sum(ALERTS) * (repeats + WARM_UP)
    found = len(read_alerts(bench.servers, alerts))
    delete_topics(bench.servers, *NAMES)
    rows = tuple(
        (f"{each.alerts:,}", *(f"{1000 * value:.1f}" for value in percentiles(each.seconds, RANKS)))
        for each in measured
    )
    table = Table(
        "Transactions: from alerts that are ready to their commit, milliseconds",
        ("alerts in the transaction", *(f"p{rank}" for rank in RANKS)),
        rows,
        (
            f"{repeats} transactions each after {WARM_UP} that are left out, alerts of {len(ALERT):,} bytes.",
            "0: the marker alone, at least every alerts.marker_interval; other batches without alerts write nothing.",
            f"{found:,} alerts read back as committed.",
        ),
    )
    complaints = () if found == wanted else (f"{found} alerts were read back, {wanted} were published",)
    return Outcome((table,), {str(each.alerts): each.seconds for each in measured}, complaints)


def _publish(sink: AlertSink, count: int, repeats: int) -> list[float]:
    def messages() -> Iterator[OutgoingMessage]:
        for number in range(count):
            yield OutgoingMessage(str(number).encode(), ALERT, [])

    seconds = []
    for _ in range(WARM_UP + repeats):
        batch = BatchFacts(sink.marker.batch_id + 1, "bench", "sha", {}, None)
        started = time.perf_counter()
        sink.publish(batch, JudgedBy("model", "config"), messages, count)
        seconds.append(time.perf_counter() - started)
    return seconds[WARM_UP:]
