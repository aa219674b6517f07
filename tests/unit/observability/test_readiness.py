from __future__ import annotations

import pytest

from detector.observability.health import Readiness, Verdict


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def readiness(clock: Clock) -> Readiness:
    return Readiness(60, clock)


@pytest.fixture
def running(readiness: Readiness) -> Readiness:
    readiness.query_started("run-1")
    readiness.progressed("run-1")
    return readiness


def test_a_service_without_a_query_is_not_ready(readiness: Readiness) -> None:
    verdict = readiness.verdict()
    assert not verdict.ready
    assert "not started" in verdict.reason


def test_a_query_without_a_batch_is_not_ready(readiness: Readiness) -> None:
    readiness.query_started("run-1")
    verdict = readiness.verdict()
    assert not verdict.ready
    assert "starting" in verdict.reason


def test_a_query_that_made_progress_is_ready(running: Readiness) -> None:
    assert running.verdict().ready


def test_a_query_without_progress_for_too_long_is_not_ready(running: Readiness, clock: Clock) -> None:
    clock.now += 60
    assert running.verdict().ready
    clock.now += 1
    verdict = running.verdict()
    assert not verdict.ready
    assert "61 s" in verdict.reason
    assert "60 s" in verdict.reason


def test_progress_after_a_pause_makes_it_ready_again(running: Readiness, clock: Clock) -> None:
    clock.now += 100
    running.progressed("run-1")
    assert running.verdict().ready


def test_a_failed_query_names_its_error(running: Readiness) -> None:
    running.query_terminated("run-1", "STATE_STORE_ERROR")
    verdict = running.verdict()
    assert not verdict.ready
    assert "STATE_STORE_ERROR" in verdict.reason


def test_a_stopped_query_is_not_ready(running: Readiness) -> None:
    running.query_terminated("run-1", None)
    assert running.verdict().reason == "the query has stopped"


def test_a_restarted_query_must_make_progress_of_its_own(running: Readiness) -> None:
    running.query_started("run-2")
    running.progressed("run-1")
    assert not running.verdict().ready
    running.progressed("run-2")
    assert running.verdict().ready


def test_late_news_of_an_older_runs_end_changes_nothing(running: Readiness) -> None:
    running.query_started("run-2")
    running.progressed("run-2")
    running.query_terminated("run-1", "ANY_ERROR")
    assert running.verdict().ready


def test_a_service_that_is_stopping_is_never_ready_again(running: Readiness) -> None:
    running.stopping()
    running.progressed("run-1")
    verdict = running.verdict()
    assert not verdict.ready
    assert "stopping" in verdict.reason


def test_an_outage_is_named_before_anything_else_is(running: Readiness) -> None:
    running.outage("Kafka at here:9092 does not answer since 7 s")
    running.query_terminated("run-1", "STREAM_FAILED")
    assert running.verdict() == Verdict(ready=False, reason="Kafka at here:9092 does not answer since 7 s")


def test_after_an_outage_a_batch_must_succeed_before_it_is_ready(running: Readiness) -> None:
    running.outage("away")
    running.outage(None)
    assert "resuming" in running.verdict().reason
    running.progressed("run-1")
    assert running.verdict().ready


def test_a_stop_during_an_outage_is_a_stop(running: Readiness) -> None:
    running.outage("away")
    running.stopping()
    assert running.verdict().reason == "the service is stopping"
