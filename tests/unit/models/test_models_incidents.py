from __future__ import annotations

import numpy as np

from models.incidents import IncidentSteps, Transition, follow
from models.profile import ScoringProfile
from models.state import NEVER, BucketState

# Threshold 2, quiet below 1, two quiet windows resolve.
PROFILE = ScoringProfile(false_alarm_rate=0.01, close_ratio=0.5, quiet_windows=2)
NONE, OPENED, OPEN, RESOLVED = Transition.NONE, Transition.OPENED, Transition.STILL_OPEN, Transition.RESOLVED


def run(scores: list[float], state: BucketState | None = None, first: int = 10) -> IncidentSteps:
    """Follow the scores of one sensor, one window each."""
    state = state or one_sensor()
    index = first + np.arange(len(scores))
    return follow(state, np.zeros(len(scores), np.int64), index, np.array(scores), PROFILE)


def one_sensor() -> BucketState:
    state = BucketState.empty(1)
    state.rows_for(np.array(["a"], object))
    return state


def test_an_incident_opens_at_the_threshold_and_not_below() -> None:
    assert run([1.99, 2.0]).transition.tolist() == [NONE, OPENED]


def test_an_incident_is_resolved_after_quiet_windows_in_a_row() -> None:
    steps = run([2.5, 0.5, 0.5, 0.5])

    assert steps.transition.tolist() == [OPENED, OPEN, RESOLVED, NONE]
    assert steps.opened_index.tolist() == [10, 10, 10, NEVER]


def test_a_window_between_the_two_levels_keeps_an_incident_open_and_opens_none() -> None:
    assert run([1.5, 2.5, 0.5, 1.5, 0.5, 1.5]).transition.tolist() == [NONE, OPENED, OPEN, OPEN, OPEN, OPEN]


def test_no_incident_is_closed_by_age_alone() -> None:
    assert run([3.0] * 5000).transition.tolist() == [OPENED] + [OPEN] * 4999


def test_windows_without_a_score_change_nothing() -> None:
    nan = float("nan")

    assert run([nan, 2.5, 0.5, nan, 0.5]).transition.tolist() == [NONE, OPENED, OPEN, OPEN, RESOLVED]


def test_the_peak_is_the_highest_score_so_far() -> None:
    np.testing.assert_array_equal(run([1.0, 2.5, 4.0, 3.0, 0.0, 0.0, 0.0]).peak, [np.nan, 2.5, 4, 4, 4, 4, np.nan])


def test_a_new_incident_starts_with_its_own_peak() -> None:
    steps = run([9.0, 0.0, 0.0, 2.5])

    assert steps.transition[-1] == OPENED
    assert (steps.peak[-1], steps.opened_index[-1]) == (2.5, 13)


def test_an_open_incident_survives_the_stored_state() -> None:
    state = one_sensor()
    run([3.0, 0.5], state)
    steps = run([0.5], BucketState.from_bytes(state.to_bytes()), first=12)

    assert steps.transition.tolist() == [RESOLVED]
    assert steps.opened_index.tolist() == [10]


def test_sensors_have_incidents_of_their_own() -> None:
    state = BucketState.empty(1)
    rows = state.rows_for(np.array(["a", "b"], object))
    scores = np.array([3.0, 0.0, 3.0, 3.0])

    steps = follow(state, np.tile(rows, 2), np.array([1, 1, 2, 2]), scores, PROFILE)

    assert steps.transition.tolist() == [OPENED, NONE, OPEN, OPENED]
    assert steps.opened_index.tolist() == [1, NEVER, 1, 2]
