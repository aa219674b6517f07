"""Which score holds at a timestamp, and where incidents begin and end.

Not here: where the scores come from (``test_entity``).
"""

from __future__ import annotations

import numpy as np

from detector.app.evaluate.timeline import Timeline
from models.features import FloatArray

NAN = float("nan")


def timeline(seconds: list[int], train: int, length: int = 10) -> Timeline:
    return Timeline(np.array(seconds) * 1_000_000, train, length * 1_000_000)


def held(line: Timeline, scores: dict[int, float]) -> list[float]:
    """Hold the scores of windows, by index; window 1 spans the seconds 0 to 10."""
    score: FloatArray = np.array(list(scores.values()))
    return line.hold(np.array(list(scores), np.int64), score).tolist()


def test_a_window_of_one_timestamp_has_its_score_at_once():
    assert held(timeline([0, 10, 20, 30], 1), {2: 0.5, 3: 0.7, 4: 0.9}) == [0.5, 0.7, 0.9]


def test_a_score_holds_from_the_last_timestamp_of_its_window_until_the_next_ones():
    line = timeline([0, 5, 10, 15, 20, 25], 2)

    assert held(line, {1: 0.1, 2: 0.2, 3: 0.3}) == [0.1, 0.2, 0.2, 0.3]


def test_the_last_window_is_complete_at_its_last_timestamp():
    assert held(timeline([0, 10, 12], 1), {2: 0.8}) == [0.0, 0.8]


def test_before_the_first_score_it_is_zero():
    assert held(timeline([0, 10, 20], 1), {3: 0.4}) == [0.0, 0.4]


def test_a_window_without_a_score_changes_nothing():
    assert held(timeline([0, 10, 20, 30], 1), {2: 0.5, 3: NAN, 4: 0.9}) == [0.5, 0.5, 0.9]


def test_a_gap_in_the_timestamps_holds_the_score_of_before():
    assert held(timeline([0, 10, 15, 95], 2), {2: 0.5, 10: 0.9}) == [0.5, 0.9]


def test_without_windows_all_scores_are_zero():
    assert held(timeline([0, 10, 20], 1), {}) == [0.0, 0.0]


def test_a_window_that_ends_where_judging_begins_is_history_and_one_beyond_is_not():
    line = timeline([0, 10, 20, 30], 2)

    assert line.is_history(np.array([1, 2, 3])).tolist() == [True, True, False]


def test_a_window_that_both_parts_share_is_not_history():
    line = timeline([0, 5, 10, 15], 3)

    assert line.is_history(np.array([1, 2])).tolist() == [True, False]


def test_an_incident_spans_from_the_last_timestamp_of_its_first_window_to_that_of_its_last():
    line = timeline([0, 5, 10, 15, 20, 25, 30], 2)

    assert line.spans([(2, 3)]) == [(3, 5)]


def test_an_incident_that_stays_open_ends_with_the_data():
    assert timeline([0, 10, 20, 30], 1).spans([(2, None)]) == [(1, 3)]


def test_an_incident_of_the_last_window_of_the_history_begins_with_what_is_judged():
    assert timeline([0, 5, 10, 15], 2).spans([(1, 2)]) == [(2, 3)]


def test_incidents_come_in_the_order_of_time():
    assert timeline([0, 10, 20, 30], 1).spans([(3, None), (2, 4), (2, 3)]) == [(1, 2), (1, 3), (2, 3)]
