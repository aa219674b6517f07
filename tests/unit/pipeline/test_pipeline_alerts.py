"""What alerts say, which windows get one, and the bytes they become.

Not here: scores from a model (``test_pipeline_scoring``).
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detector.pipeline import columns as c
from detector.pipeline.alerts import ALERT_SCHEMA, AlertContext, alert, choose, severity_of, summarise
from detector.pipeline.encode import BucketSummary, alert_headers, alert_key, alert_value, read_summary, summary_value
from detector.pipeline.schema import topic_id
from models.ensemble import ScoredWindows
from models.features import WINDOW_FEATURES
from models.incidents import Transition
from models.state import NEVER
from tests.unit.pipeline.closed_windows import CONTEXT, FIRST_INDEX, PROFILE, closed_windows

FRAME = closed_windows(np.array([[50.0, 51.0, 90.0, 50.5]]))
OPENED, RESOLVED = 2, 3  # rows of FRAME
MEMBERS = len(PROFILE.judges)
INCIDENT_ID = "ae220b61-72bc-594f-bf41-ca175d2c94d2"
ALERT_ID = "e7a43c25-cf43-56bd-8282-d4f61513f81f"


def scored(**changed: Any) -> ScoredWindows:
    """Return scores of FRAME: its third window opens an incident, its fourth resolves it."""
    columns: dict[str, Any] = {
        "keys": (FRAME[c.ASSET_ID] + "\x1f" + FRAME[c.SENSOR_ID]).to_numpy(object),
        "index": FIRST_INDEX + np.arange(4),
        "score": np.array([0.1, 0.2, 4.5, 0.3]),
        "learning": np.zeros(4, bool),
        "expected": np.full(4, 50.0),
        "lower": np.full(4, 45.0),
        "upper": np.full(4, 55.0),
        "member_log_tails": np.tile(np.arange(1.0, MEMBERS + 1), (4, 1)),
        "shares": np.tile(np.arange(1.0, MEMBERS + 1) / sum(range(MEMBERS + 1)), (4, 1)),
        "statistic": np.full(4, WINDOW_FEATURES.column("mean")),
        "transition": np.array([Transition.NONE, Transition.STILL_OPEN, Transition.OPENED, Transition.RESOLVED]),
        "opened_index": np.array([NEVER, NEVER, FIRST_INDEX + 2, FIRST_INDEX + 2]),
        "peak": np.array([np.nan, np.nan, 4.5, 6.5]),
    }
    return ScoredWindows(**{**columns, **changed})


def built(
    row: int = OPENED, frame: pd.DataFrame = FRAME, context: AlertContext = CONTEXT, **changed: Any
) -> dict[str, Any]:
    return alert(row, scored(**changed), frame, PROFILE, context)


def with_column(name: str, value: object) -> pd.DataFrame:
    return FRAME.assign(**{name: [value] * len(FRAME)})


def test_an_alert_says_what_when_where_and_why():
    opened = built()

    assert opened["schema"] == ALERT_SCHEMA
    assert (opened["event"], opened["severity"]) == ("opened", "major")
    assert (opened["asset_id"], opened["sensor_id"], opened["unit"]) == ("pump-000", "sensor-00000", "degC")
    assert opened["window"] == {"start": "2026-11-18T11:06:40Z", "end": "2026-11-18T11:07:00Z"}
    assert opened["opened_at"] == "2026-11-18T11:07:00Z"
    assert (opened["score"], opened["threshold"], opened["peak_score"]) == (4.5, 3.0, 4.5)
    assert opened["probability"] == pytest.approx(10**-4.5)
    assert opened["expected"] == {"value": 50.0, "lower": 45.0, "upper": 55.0}
    assert opened["deviated"] == "mean"
    assert opened["statistics"]["mean"] == 90.0
    assert list(opened["statistics"]) == list(WINDOW_FEATURES.names)
    assert opened["quality"] == {"duplicates_indicated": 0, "out_of_range": 0, "unit_conflict": False}
    assert opened["source"] == {"topics": ["north"], "partitions": [0, 2], "offsets": [20, 29]}
    assert opened["model"] == {"version": "v3", "digest": "d" * 64}
    assert (
        opened["summary"] == "pump-000/sensor-00000 is far above what is normal: mean 90 degC, expected 50 (45 to 55)"
    )


def test_opening_and_resolution_share_an_incident_and_have_identifiers_of_their_own():
    opened, resolved = built(OPENED), built(RESOLVED)

    assert opened["incident_id"] == resolved["incident_id"]
    assert opened["alert_id"] != resolved["alert_id"]
    assert resolved["opened_at"] == opened["opened_at"]
    assert resolved["severity"] == "critical"  # of the incident's peak
    assert {uuid.UUID(opened[name]).version for name in ("incident_id", "alert_id")} == {5}


@pytest.mark.parametrize(
    ("frame", "context", "changed"),
    [
        (FRAME, replace(CONTEXT, model_version="v4", model_digest="e" * 64), {}),
        (FRAME, replace(CONTEXT, config_digest="0" * 64, topics={}, max_openings=1), {}),
        (FRAME, CONTEXT, {"score": np.full(4, 3.1), "peak": np.full(4, 3.2), "expected": np.full(4, 7.0)}),
        (with_column(c.OFFSET_MIN, 7), CONTEXT, {}),
        (with_column(c.MEAN, 91.0), CONTEXT, {}),
    ],
)
def test_identifiers_do_not_depend_on_model_configuration_score_or_offsets(frame, context, changed):
    one, other = built(), built(OPENED, frame, context, **changed)

    assert (one["incident_id"], one["alert_id"]) == (other["incident_id"], other["alert_id"])


@pytest.mark.parametrize(
    ("frame", "context", "changed"),
    [
        (FRAME, replace(CONTEXT, identity="plant.other"), {}),
        (with_column(c.ASSET_ID, "pump-001"), CONTEXT, {}),
        (with_column(c.SENSOR_ID, "flow"), CONTEXT, {}),
        (FRAME, CONTEXT, {"opened_index": np.full(4, FIRST_INDEX + 1)}),
    ],
)
def test_another_deployment_asset_sensor_or_opening_is_another_incident(frame, context, changed):
    other = built(OPENED, frame, context, **changed)

    assert other["incident_id"] != built()["incident_id"]
    assert other["alert_id"] != built()["alert_id"]


def test_identifiers_are_the_same_in_every_release():
    # consumers hold these; a change makes them see every open incident a second time
    assert built()["incident_id"] == INCIDENT_ID
    assert built()["alert_id"] == ALERT_ID


@pytest.mark.parametrize(
    ("score", "severity"),
    [(3.0, "minor"), (3.999, "minor"), (4.0, "major"), (5.999, "major"), (6.0, "critical"), (math.inf, "critical")],
)
def test_severity_grows_with_how_much_rarer_a_score_is_than_the_threshold(score, severity):
    assert severity_of(score, 3.0) == severity


def test_numbers_that_are_none_become_null():
    nothing = np.full(4, np.nan)
    empty = built(
        expected=nothing,
        lower=nothing,
        upper=nothing,
        statistic=np.full(4, -1),
        member_log_tails=np.full((4, MEMBERS), np.nan),
        score=np.full(4, np.inf),
    )

    read = json.loads(alert_value(empty))

    assert read["expected"] == {"value": None, "lower": None, "upper": None}
    assert (read["score"], read["probability"], read["deviated"], read["members"]) == (None, 0.0, None, [])


def test_an_alert_survives_json_as_it_is():
    opened = built()

    assert json.loads(alert_value(opened)) == opened


def test_members_stand_with_the_largest_share_first_and_without_those_that_did_not_judge():
    tails = np.tile(np.arange(1.0, MEMBERS + 1), (4, 1))
    full = built(member_log_tails=tails)["members"]
    tails[:, -1] = np.nan
    partial = built(member_log_tails=tails)["members"]

    assert [member["name"] for member in full] == list(reversed(PROFILE.judges))
    assert sum(member["share"] for member in full) == pytest.approx(1.0)
    assert [member["name"] for member in partial] == list(reversed(PROFILE.judges[:-1]))


def test_a_topic_that_is_not_configured_any_more_is_named_by_its_code():
    frame = with_column(c.TOPIC_ID_MAX, topic_id("south"))

    assert built(frame=frame)["source"]["topics"] == ["north", f"crc32:{topic_id('south'):08x}"]


def test_no_unit_is_null():
    assert built(frame=with_column(c.UNIT, None))["unit"] is None


def test_openings_and_resolutions_are_chosen_in_time_order():
    assert choose(scored(), max_openings=10) == ([OPENED, RESOLVED], 0)


def test_of_too_many_openings_those_with_the_highest_scores_are_kept_and_all_resolutions():
    kinds = np.array([Transition.OPENED, Transition.OPENED, Transition.OPENED, Transition.RESOLVED])
    many = scored(transition=kinds, score=np.array([5.0, 3.5, 4.0, 0.1]))

    assert choose(many, max_openings=2) == ([0, 2, 3], 1)
    assert choose(many, max_openings=0) == ([3], 3)


BASE = {
    "asset_id": "pump-3",
    "sensor_id": "temp",
    "event": "opened",
    "severity": "minor",
    "unit": "degC",
    "deviated": "mean",
    "learning": False,
    "statistics": {"count": 10.0, "mean": 56.0, "std": 0.5, "max": 70.0, "slope": 0.25},
    "expected": {"value": 54.0, "lower": 53.0, "upper": 55.0},
}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "pump-3/temp is above what is normal: mean 56 degC, expected 54 (53 to 55)"),
        (
            {"deviated": "max", "severity": "major"},
            "pump-3/temp is far above what is normal: max 70 degC, expected 54 (53 to 55)",
        ),
        ({"deviated": None}, "pump-3/temp is above what is normal: mean 56 degC, expected 54 (53 to 55)"),
        (
            {"statistics": {"mean": 53.25}, "unit": None},
            "pump-3/temp is below what is normal: mean 53.25, expected 54 (53 to 55)",
        ),
        (
            {"learning": True},
            "pump-3/temp (learning) is above what is normal: mean 56 degC, expected 54 (53 to 55)",
        ),
        (
            {"event": "resolved"},
            "pump-3/temp is back to normal: mean 56 degC, expected 54 (53 to 55)",
        ),
        (
            {"expected": {"value": None, "lower": None, "upper": None}},
            "pump-3/temp behaves unusually: mean 56 degC, mean 56 degC",
        ),
        (
            {"expected": {"value": 56.5, "lower": 56.5, "upper": 56.5}, "severity": "critical"},
            "pump-3/temp is far below what is normal: mean 56 degC, expected 56.5 (56.5 to 56.5)",
        ),
    ],
)
def test_the_summary_says_in_one_line_what_is_unusual(changed, text):
    assert summarise({**BASE, **changed}) == text


@pytest.mark.parametrize(("statistic", "value"), [("std", "0.5"), ("count", "10"), ("slope", "0.25")])
def test_statistics_that_are_not_on_the_scale_of_the_expected_value_are_not_compared_with_it(statistic, value):
    text = summarise({**BASE, "deviated": statistic})

    assert text.startswith(f"pump-3/temp behaves unusually: {statistic} {value}")
    assert "mean 56 degC, expected 54 (53 to 55)" in text


def test_the_key_is_the_subject_of_the_incident():
    assert alert_key({"asset_id": "pümp", "sensor_id": "temp"}) == "pümp/temp".encode()


def test_headers_let_consumers_filter_without_parsing():
    assert dict(alert_headers("id", "opened", "minor")) == {
        "content-type": b"application/json",
        "alert_id": b"id",
        "event": b"opened",
        "severity": b"minor",
    }


def test_a_summary_comes_back_as_it_was():
    summary = BucketSummary(
        windows_scored=5,
        windowed_records=50,
        sensors=3,
        sensors_learning=1,
        incidents_open={"minor": 1, "major": 0, "critical": 2},
        openings_held_back=4,
        score_seconds=0.25,
    )

    assert read_summary(summary_value(summary)) == summary
