"""Whatever goes wrong, each alert is published once, and nobody publishes after another has taken over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import FencedError
from tests.unit.kafka_edge.deployment import BATCHES, Deployment
from tests.unit.kafka_edge.fake_kafka import FAULTS

HOUR = 3600.0  # seconds
OPERATIONS = 13  # of a run without faults: 4 to start, publish and finish for each batch, and one to spare


def run(
    schedule: dict[int, str],
    marker_interval_seconds: float = 60.0,
    *,
    resumes: bool = False,
    clock_errors: Sequence[float] = (0.0,),
) -> Deployment:
    deployment = Deployment(schedule, marker_interval_seconds, clock_errors, resumes)
    deployment.supervise()
    alerts = [alert for transaction in deployment.kafka.committed for alert in transaction.alerts]
    assert alerts == [alert for batch in BATCHES for alert in batch], schedule
    assert_marked(deployment, schedule)
    assert_one_owner_at_a_time(deployment, schedule)
    return deployment


def assert_marked(deployment: Deployment, schedule: dict[int, str]) -> None:
    """Every transaction has a marker that names its batch."""
    for transaction in deployment.kafka.committed:
        assert transaction.marker is not None, schedule
        assert transaction.alerts in ((), BATCHES[transaction.marker.batch_id]), schedule


def assert_one_owner_at_a_time(deployment: Deployment, schedule: dict[int, str]) -> None:
    markers = deployment.kafka.markers()
    turns = [b.instance for a, b in pairwise(markers) if a.instance != b.instance]
    assert len(turns) == len(set(turns)), schedule
    assert markers[0].instance not in turns, schedule
    assert [m.generation for m in markers] == sorted(m.generation for m in markers), schedule
    assert [m.batch_id for m in markers] == sorted(m.batch_id for m in markers), schedule


def test_a_run_without_faults_has_one_process_and_one_transaction_a_batch_with_alerts() -> None:
    deployment = run({})

    assert [marker.batch_id for marker in deployment.kafka.markers()] == [-1, 0, 2, 3]
    assert {marker.generation for marker in deployment.kafka.markers()} == {1}


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("marker_interval_seconds", [0.0, 60.0])
@pytest.mark.parametrize("fault", FAULTS)
def test_any_single_fault_at_any_operation_keeps_exactly_once(
    fault: str, marker_interval_seconds: float, *, resumes: bool
) -> None:
    for operation in range(OPERATIONS):
        run({operation: fault}, marker_interval_seconds, resumes=resumes)


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("first", FAULTS)
def test_any_two_faults_at_any_operations_keep_exactly_once(first: str, *, resumes: bool) -> None:
    for (one, other), second in product(combinations(range(OPERATIONS), 2), FAULTS):
        run({one: first, other: second}, resumes=resumes)


@pytest.mark.parametrize("errors", [(HOUR, 0.0), (0.0, HOUR), (-HOUR, HOUR)])
@pytest.mark.parametrize("fault", FAULTS)
def test_clocks_that_are_an_hour_off_keep_exactly_once(fault: str, errors: tuple[float, float]) -> None:
    for one, other in combinations(range(OPERATIONS), 2):
        run({one: fault, other: "crash before"}, clock_errors=errors)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.integers(0, 2 * OPERATIONS), st.sampled_from(FAULTS), min_size=3, max_size=6), st.booleans())
def test_many_faults_keep_exactly_once(schedule: dict[int, str], resumes: bool) -> None:  # noqa: FBT001 - drawn
    run(schedule, resumes=resumes)


@pytest.mark.parametrize("fault", ["lost reply", "not done", "late", "aborted", "unreachable"])
def test_a_process_that_survives_a_lost_answer_publishes_the_batch_it_could_not_settle_once(fault: str) -> None:
    deployment = run({4: fault}, resumes=True)

    assert deployment.resumed == 1
    assert {marker.generation for marker in deployment.kafka.markers()} == {1}


def test_a_process_that_survives_does_not_fence_the_one_that_took_over_meanwhile() -> None:
    # The commit of batch 0 is lost; before the process looks (operation 5) another one runs to the end.
    deployment = Deployment({4: "not done", 5: "paused before"}, resumes=True)

    with pytest.raises(FencedError, match=r"'tidemark\.test' belongs to owner \(start 2\) now; this instance stops"):
        deployment.run_process()

    assert deployment.kafka.epoch == 2


@pytest.mark.parametrize("moment", ["paused before", "paused within"])
def test_a_process_that_was_paused_in_a_batch_ends_fenced(moment: str) -> None:
    deployment = Deployment({4: moment})

    with pytest.raises(FencedError, match=r"epoch 1 was fenced"):
        deployment.run_process()

    assert [marker.generation for marker in deployment.kafka.markers()] == [1, 2, 2, 2, 2]


def test_a_process_in_doubt_does_not_fence_the_one_that_took_over() -> None:
    # The commit of batch 0 is lost; before the process looks (operation 5) another one runs to the end.
    deployment = Deployment({4: "not done", 5: "paused before"})

    with pytest.raises(FencedError, match=r"'tidemark\.test' belongs to owner \(start 2\) now; this instance stops"):
        deployment.run_process()

    assert deployment.kafka.epoch == 2


def test_two_processes_of_one_checkpoint_that_start_at_once_are_told_apart() -> None:
    # The first one's start is lost; before it looks (operation 4) the second one writes the same generation.
    deployment = Deployment({3: "not done", 4: "paused before"})

    with pytest.raises(FencedError, match=r"belongs to owner \(start 1\) now"):
        deployment.run_process()

    assert {marker.generation for marker in deployment.kafka.markers()} == {1}


def test_a_marker_that_vanished_while_in_doubt_stops_the_process() -> None:
    deployment = Deployment({4: "not done", 5: "paused before"})
    deployment.faults.meanwhile = deployment.kafka.committed.clear

    with pytest.raises(FencedError, match=r"belongs to nobody, its marker is gone"):
        deployment.run_process()


@pytest.mark.parametrize("fault", ["reconnected", "slow"])
def test_after_a_doubtful_commit_the_next_transaction_has_a_producer_of_its_own(fault: str) -> None:
    deployment = run({4: fault})

    assert [transaction.epoch for transaction in deployment.kafka.committed] == [1, 1, 2, 2]
