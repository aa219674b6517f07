"""The asset in an alert: its score in the alert's window, over its own sensors and no others.

Not here: the rule (``tests/unit/models/test_models_assets.py``), the rest of an alert (``test_pipeline_alerts``).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detector.pipeline import columns as c
from detector.pipeline.scoring import ScoringSpec, score_bucket
from models.assets import score_assets
from models.ensemble import score_windows
from models.features import History
from models.profile import HISTORY_LAGS, ScoringProfile
from models.state import BucketState
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import windows
from tests.unit.pipeline.closed_windows import CONTEXT, FIRST_INDEX, closed_windows

TRAINED, LIVE, FAULT = 200, 20, 10  # windows; a fault begins with this live one
PROFILE = ScoringProfile(members=("level",), quiet_windows=2)
MEANS = 50.0 + np.random.default_rng(8).normal(size=(8, TRAINED + LIVE))  # two assets of four sensors
SHARD, _ = train_bucket(
    History.from_windows(windows(MEANS[:, :TRAINED], FIRST_INDEX - TRAINED)), TrainingConfig(PROFILE)
)
SPEC = ScoringSpec(1, PROFILE, {0: SHARD}.get, CONTEXT, lambda: 0.0)


def openings(faulty: list[int], absent: list[int] = []) -> list[dict[str, Any]]:  # noqa: B006 - never changed
    means = MEANS[:, TRAINED:].copy()
    means[faulty, FAULT:] += 30.0
    means[absent, FAULT] = np.nan
    rows, _ = score_bucket(0, closed_windows(means), None, SPEC)
    alerts = [json.loads(value) for value in rows.loc[rows[c.ROW_KIND] == c.ALERT_ROW, c.MESSAGE_VALUE]]
    return [a for a in alerts if a["event"] == "opened" and a["window"]["end"] == "2026-11-18T11:08:20Z"]


def test_an_alert_says_how_many_sensors_of_its_asset_have_a_score_and_deviate():
    first, second = openings([0, 2])

    assert first["asset"] == second["asset"]
    assert (first["asset"]["sensors"], first["asset"]["deviating"]) == (4, 2)


def test_the_asset_has_the_score_of_its_sensors_by_the_rule():
    means = MEANS[:, TRAINED:].copy()
    means[0, FAULT:] += 30.0
    scored = score_windows(SHARD, BucketState.empty(HISTORY_LAGS), windows(means, FIRST_INDEX), PROFILE)
    own = scored.score[scored.index == FIRST_INDEX + FAULT][:4]
    (expected,) = score_assets(own, np.zeros(4, np.int64), PROFILE.threshold).score

    (opened,) = openings([0])

    assert opened["asset"]["score"] == pytest.approx(expected, rel=1e-5)


def test_a_fault_in_another_asset_changes_nothing():
    (alone,) = openings([0])
    beside = openings([0, 4, 5])

    assert [a["asset"] for a in beside if a["asset_id"] == alone["asset_id"]] == [alone["asset"]]


def test_a_sensor_without_a_window_is_not_counted():
    (opened,) = openings([0], absent=[1, 2])

    assert opened["asset"]["sensors"] == 2
