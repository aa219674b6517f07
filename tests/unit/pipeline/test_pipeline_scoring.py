"""Scoring a bucket as a pure function: windows and state in, alerts, summary and state out.

Not here: the streaming operator around it (``tests/spark/test_scored_stream.py``), the scores (``tests/unit/models``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.encode import BucketSummary, read_summary
from detector.pipeline.scoring import ScoringSpec, score_bucket, to_batch
from models.features import History
from models.profile import ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import windows
from tests.unit.pipeline.closed_windows import CONTEXT, FIRST_INDEX, SLIDE_US, closed_windows

SENSORS, TRAINED, LIVE = 3, 300, 60
FAULT = slice(20, 30)  # live windows
PROFILE = ScoringProfile(members=("level",), quiet_windows=2)  # lags would echo a fault after its end
MEANS = 50.0 + np.random.default_rng(5).normal(size=(SENSORS, TRAINED + LIVE))  # quiet: alerts are the faults' own
SHARD, _ = train_bucket(
    History.from_windows(windows(MEANS[:, :TRAINED], FIRST_INDEX - TRAINED)), TrainingConfig(PROFILE)
)
SPEC = ScoringSpec(buckets=4, profile=PROFILE, load_shard={2: SHARD}.get, alerts=CONTEXT, stopwatch=lambda: 0.0)


def live(faulty: list[int]) -> pd.DataFrame:
    """Return live windows in which these sensors leave their level for a while, each a little further."""
    means = MEANS[:, TRAINED:].copy()
    means[faulty, FAULT] += 12.0 + np.arange(len(faulty))[:, None]
    return closed_windows(means)


def alerts_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(value) for value in rows.loc[rows[c.ROW_KIND] == c.ALERT_ROW, c.MESSAGE_VALUE]]


def summary_of(rows: pd.DataFrame) -> BucketSummary:
    (value,) = rows.loc[rows[c.ROW_KIND] == c.SUMMARY_ROW, c.MESSAGE_VALUE]
    return read_summary(value)


def in_batches(frame: pd.DataFrame, ends: list[int], spec: ScoringSpec = SPEC) -> tuple[list[dict[str, Any]], bytes]:
    """Score windows in batches that end before these live windows; return all alerts and the last state."""
    step = (frame[c.WINDOW_END].astype("int64") // 1000 // SLIDE_US - FIRST_INDEX).to_numpy()
    found: list[dict[str, Any]] = []
    state: bytes | None = None
    for start, end in zip([0, *ends], [*ends, LIVE], strict=True):
        part = frame[(step >= start) & (step < end)].sample(frac=1.0, random_state=end)
        rows, state = score_bucket(2, part, state, spec)
        found += alerts_of(rows)
    assert state is not None
    return found, state


def test_a_fault_opens_one_incident_and_its_end_resolves_it():
    rows, _ = score_bucket(2, live([1]), None, SPEC)

    opened, resolved = alerts_of(rows)
    assert [(a["event"], a["sensor_id"]) for a in (opened, resolved)] == [
        ("opened", "sensor-00001"),
        ("resolved", "sensor-00001"),
    ]
    assert opened["incident_id"] == resolved["incident_id"]
    assert opened["window"]["end"] == "2026-11-18T11:10:00Z"  # the first of the fault
    assert opened["score"] >= opened["threshold"] > resolved["score"]


def test_rows_are_ready_to_be_sent_and_end_with_one_summary():
    rows, _ = score_bucket(2, live([1]), None, SPEC)

    opened = alerts_of(rows)[0]
    assert list(rows.columns) == schema.SCORED.names
    assert rows[c.ROW_KIND].tolist() == [c.ALERT_ROW, c.ALERT_ROW, c.SUMMARY_ROW]
    assert rows[c.BUCKET].tolist() == [2, 2, 2]
    first = rows.iloc[0]
    assert first[c.MESSAGE_KEY] == b"pump-000/sensor-00001"
    assert (first[c.ALERT_ID], first[c.EVENT], first[c.SEVERITY]) == (opened["alert_id"], "opened", opened["severity"])
    assert first[c.NEWEST_RECORD] == pytest.approx((FIRST_INDEX + FAULT.start) * SLIDE_US / 1e6 + 0.25, abs=1e-5)


@pytest.mark.parametrize("ends", [[30], [20, 21], [5, 25, 28, 31, 40], list(range(1, LIVE))])
def test_batches_cut_differently_give_the_same_alerts_and_state(ends):
    frame = live([0, 2])

    assert in_batches(frame, ends) == in_batches(frame, [])


def test_the_same_windows_and_state_give_the_same_bytes():
    frame = live([0, 1, 2])

    one, state = score_bucket(2, frame, None, SPEC)
    again, state_again = score_bucket(2, frame.sample(frac=1.0, random_state=1), None, SPEC)

    assert state == state_again
    pd.testing.assert_frame_equal(one, again)


def test_windows_that_were_scored_before_change_nothing():
    frame = live([1])
    _, state = score_bucket(2, frame, None, SPEC)

    rows, after = score_bucket(2, frame, state, SPEC)

    assert alerts_of(rows) == []
    assert summary_of(rows).windows_scored == 0
    assert after == state


def test_a_bucket_without_a_model_learns_and_raises_no_alert():
    frame = live([0, 1, 2])

    rows, state = score_bucket(0, frame, None, SPEC)

    assert alerts_of(rows) == []
    assert summary_of(rows) == BucketSummary(
        windows_scored=0,
        windowed_records=int(frame["count"].sum()),
        sensors=SENSORS,
        sensors_learning=SENSORS,
        incidents_open={"minor": 0, "major": 0, "critical": 0},
        openings_held_back=0,
        score_seconds=0.0,
    )
    assert state


def test_the_summary_counts_what_is_open_after_the_batch():
    frame = live([0, 1])
    before_the_end = frame[frame[c.WINDOW_END] < pd.Timestamp("2026-11-18T11:11:00")]

    during, state = score_bucket(2, before_the_end, None, SPEC)
    after, _ = score_bucket(2, frame.drop(before_the_end.index), state, SPEC)

    assert sum(summary_of(during).incidents_open.values()) == 2
    assert sum(summary_of(after).incidents_open.values()) == 0
    assert (summary_of(during).sensors, summary_of(during).sensors_learning) == (SENSORS, 0)
    assert summary_of(during).windows_scored + summary_of(after).windows_scored == SENSORS * LIVE


def test_openings_beyond_the_cap_are_counted_and_the_highest_scores_announced():
    capped = replace(SPEC, alerts=replace(CONTEXT, max_openings=1))
    all_rows, _ = score_bucket(2, live([0, 1, 2]), None, SPEC)
    rows, _ = score_bucket(2, live([0, 1, 2]), None, capped)

    opened = [a for a in alerts_of(rows) if a["event"] == "opened"]
    highest = max(a["score"] for a in alerts_of(all_rows) if a["event"] == "opened")
    assert [a["score"] for a in opened] == [highest]
    assert summary_of(rows).openings_held_back == 2
    assert summary_of(all_rows).openings_held_back == 0


def test_alert_identifiers_are_the_same_under_another_model_version():
    other = replace(SPEC, alerts=replace(CONTEXT, model_version="v4", model_digest="e" * 64))
    frame = live([1])

    one, another = in_batches(frame, [])[0], in_batches(frame, [], other)[0]

    assert [a["alert_id"] for a in one] == [a["alert_id"] for a in another]
    assert another[0]["model"] == {"version": "v4", "digest": "e" * 64}


def test_windows_are_ordered_by_end_and_then_sensor():
    shuffled = live([]).sample(frac=1.0, random_state=3)

    ordered, batch = to_batch(shuffled, SLIDE_US)

    pairs = list(zip(batch.index.tolist(), batch.keys.tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert (ordered[c.ASSET_ID] + schema.KEY_SEPARATOR + ordered[c.SENSOR_ID]).tolist() == batch.keys.tolist()
    assert batch.features[:, 1].tolist() == ordered[c.MEAN].tolist()
    assert len(pairs) == SENSORS * LIVE


def test_the_duration_of_scoring_is_taken_from_the_stopwatch():
    ticks = iter([10.0, 12.5])
    timed = replace(SPEC, stopwatch=lambda: next(ticks))

    assert summary_of(score_bucket(2, live([]), None, timed)[0]).score_seconds == 2.5
