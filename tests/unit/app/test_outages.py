from __future__ import annotations

import math
import threading
import time

import pytest

from detector.app.outages import MAX_IN_A_ROW, Notice, Patience
from detector.errors import TransientError
from detector.observability.health import Readiness
from detector.observability.metrics import BuildInfo, Metrics

GONE = TransientError("Kafka did not answer Spark")


class Surroundings:
    """Kafka, as far as it answers, and a checkpoint, as far as it is done."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.finished = 3
        self.answers = [True]
        self.asked: list[float] = []

    def answered_since(self, moment: float) -> bool:
        self.asked.append(moment)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def last_committed(self) -> int:
        return self.finished

    def patience(self) -> Patience:
        return Patience(self.answered_since, self.last_committed, self.stopping, first_pause_seconds=0.0)


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


def test_a_restart_waits_for_an_answer_that_is_newer_than_the_failure(around: Surroundings) -> None:
    around.answers = [False, False, True]
    began = time.monotonic()

    assert around.patience().wait_out(GONE)
    assert len(around.asked) == 3
    assert len(set(around.asked)) == 1
    assert began <= around.asked[0] <= time.monotonic()


def test_a_stop_ends_the_wait_for_kafka(around: Surroundings) -> None:
    around.answers = [False]
    around.stopping.set()

    assert not around.patience().wait_out(GONE)


def test_a_failure_that_comes_again_and_again_without_a_finished_batch_is_given_up(around: Surroundings) -> None:
    patience = around.patience()
    for _ in range(MAX_IN_A_ROW):
        assert patience.wait_out(GONE)

    with pytest.raises(TransientError, match=rf"^{GONE}\. No batch was finished over {MAX_IN_A_ROW} restarts"):
        patience.wait_out(GONE)


def test_a_finished_batch_between_two_failures_begins_the_count_anew(around: Surroundings) -> None:
    patience = around.patience()
    for _ in range(3 * MAX_IN_A_ROW):
        around.finished += 1
        assert patience.wait_out(GONE)


def test_the_pause_between_two_failures_in_a_row_grows(around: Surroundings) -> None:
    patience = Patience(around.answered_since, around.last_committed, around.stopping, first_pause_seconds=0.02)
    seconds = []
    for _ in range(4):
        began = time.monotonic()
        patience.wait_out(GONE)
        seconds.append(time.monotonic() - began)

    assert seconds[1] >= 0.02
    assert seconds[2] >= 0.04
    assert seconds[3] >= 0.08


def test_an_outage_is_shown_by_readiness_and_metric_until_it_is_over() -> None:
    readiness = Readiness(60, time.monotonic)
    metrics = Metrics(BuildInfo("0.1.0", "4.2.0", "2.16.0"))
    readiness.query_started("run")
    readiness.progressed("run")
    notice = Notice("here:9092", readiness, metrics)

    def reachable() -> float | None:
        return metrics.registry.get_sample_value("tidemark_kafka_reachable")

    assert math.isnan(reachable() or 0.0)
    notice(None)
    assert (readiness.verdict().ready, reachable()) == (True, 1)
    notice(12.4)
    assert readiness.verdict().reason == "Kafka at here:9092 does not answer since 12 s"
    assert reachable() == 0
    notice(None)
    readiness.progressed("run")
    assert (readiness.verdict().ready, reachable()) == (True, 1)
