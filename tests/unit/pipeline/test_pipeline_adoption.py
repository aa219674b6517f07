"""Whatever window the lost checkpoint had come to, the one that adopts publishes exactly what was not published yet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detector.pipeline import columns as c
from detector.pipeline.adoption import Adopted, Adoption, OpenIncident, open_incidents, reread_from
from detector.pipeline.scoring import ScoringSpec, score_bucket
from models.features import History
from models.profile import HISTORY_LAGS, ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.unit.models.synthetic import windows
from tests.unit.pipeline.closed_windows import CONTEXT, FIRST_INDEX, SLIDE_US, closed_windows

SENSORS, TRAINED, LIVE = 3, 300, 130
PROFILE = ScoringProfile(members=("level", "autoregression"), quiet_windows=3)
MEANS = 50.0 + np.random.default_rng(5).normal(size=(SENSORS, TRAINED + LIVE))
SHARD, _ = train_bucket(
    History.from_windows(windows(MEANS[:, :TRAINED], FIRST_INDEX - TRAINED)), TrainingConfig(PROFILE)
)
SPEC = ScoringSpec(buckets=4, profile=PROFILE, load_shard={2: SHARD}.get, alerts=CONTEXT, stopwatch=lambda: 0.0)


def live() -> pd.DataFrame:
    """Return live windows with a short fault, a long one, and one whose second half is the worse."""
    means = MEANS[:, TRAINED:].copy()
    means[0, 90:94] += 12.0
    means[1, 80:100] += 15.0
    means[2, 85:90] += 8.0
    means[2, 90:98] += 30.0
    return closed_windows(means)


def alerts_of(rows: pd.DataFrame) -> list[bytes]:
    return list(rows.loc[rows[c.ROW_KIND] == c.ALERT_ROW, c.MESSAGE_VALUE])


def adoption_after(published: list[bytes], until: int) -> Adoption:
    incidents = open_incidents(published, CONTEXT.identity)
    return Adoption(until=until * SLIDE_US / 1_000_000, starting={}, incidents=incidents)


FRAME = live()
INDEX = (FRAME[c.WINDOW_END].astype("int64") // 1000 // SLIDE_US).to_numpy()
UNDISTURBED = alerts_of(score_bucket(2, FRAME, None, SPEC)[0])


def end_of(alert: bytes) -> pd.Timestamp:
    return pd.Timestamp(json.loads(alert)["window"]["end"])


@pytest.mark.parametrize("until", range(FIRST_INDEX + 75, FIRST_INDEX + LIVE))
def test_what_was_published_and_what_the_new_checkpoint_publishes_is_what_one_run_would_have(until: int) -> None:
    last = pd.Timestamp(until * SLIDE_US, unit="us", tz="UTC")
    published = [alert for alert in UNDISTURBED if end_of(alert) <= last]
    spec = replace(SPEC, adopted=Adopted.of(adoption_after(published, until), SLIDE_US))
    again = FRAME[until - 2 * HISTORY_LAGS <= INDEX]

    rows, _ = score_bucket(2, again, None, spec)

    assert published + alerts_of(rows) == UNDISTURBED


def test_the_batches_of_the_new_checkpoint_may_be_any() -> None:
    until = FIRST_INDEX + 88
    last = pd.Timestamp(until * SLIDE_US, unit="us", tz="UTC")
    published = [alert for alert in UNDISTURBED if end_of(alert) <= last]
    spec = replace(SPEC, adopted=Adopted.of(adoption_after(published, until), SLIDE_US))
    found, state = [], None
    for index in range(FIRST_INDEX, FIRST_INDEX + LIVE):
        rows, state = score_bucket(2, FRAME[index == INDEX], state, spec)
        found += alerts_of(rows)

    assert published + found == UNDISTURBED


def test_an_incident_of_a_sensor_that_comes_back_much_later_is_resolved_under_its_own_identifier() -> None:
    opened = next(alert for alert in UNDISTURBED if json.loads(alert)["event"] == "opened")
    sensor = json.loads(opened)["sensor_id"]
    adopted = Adopted.of(adoption_after([opened], FIRST_INDEX + 100), SLIDE_US)
    quiet = closed_windows(MEANS[:, TRAINED:])
    others = quiet[c.SENSOR_ID] != sensor

    _, state = score_bucket(2, quiet[others & (INDEX < FIRST_INDEX + 110)], None, replace(SPEC, adopted=adopted))
    rows, _ = score_bucket(2, quiet[INDEX >= FIRST_INDEX + 110], state, replace(SPEC, adopted=adopted))

    (resolved,) = (json.loads(value) for value in alerts_of(rows))
    assert (resolved["event"], resolved["incident_id"]) == ("resolved", json.loads(opened)["incident_id"])


def alert(**changed: Any) -> bytes:
    return json.dumps({**json.loads(UNDISTURBED[0]), **changed}).encode()


def test_alerts_of_another_deployment_and_what_is_no_alert_open_nothing() -> None:
    assert open_incidents([UNDISTURBED[0]], "tidemark.another") == ()
    assert open_incidents([b"", b"{}", b"no json", alert(event="updated")], CONTEXT.identity) == ()


def test_an_incident_that_was_resolved_is_not_open() -> None:
    resolved = next(json.loads(alert)["incident_id"] for alert in UNDISTURBED if b'"resolved"' in alert)
    both = [alert for alert in UNDISTURBED if json.loads(alert)["incident_id"] == resolved]

    assert len(open_incidents(both[:1], CONTEXT.identity)) == 1
    assert open_incidents(both, CONTEXT.identity) == ()


def test_an_incident_of_windows_of_another_slide_is_left_out() -> None:
    incident = OpenIncident(asset_id="a", sensor_id="s", opened_at="1970-01-01T00:00:15Z", peak_score=4.0)
    adoption = Adoption(until=20.0, starting={}, incidents=(incident,))

    assert Adopted.of(adoption, 5_000_000) == Adopted(4, {"a\x1fs": (3, 4.0)})
    assert Adopted.of(adoption, 10_000_000).incidents == {}


def test_records_are_read_again_from_before_the_history_that_detectors_look_back_on() -> None:
    start_of_the_first_window = 100_000.0 - 2 * HISTORY_LAGS * 10.0 - 60.0

    assert reread_from(100_000.0, 60.0, 10.0, 0.0) == start_of_the_first_window
    assert reread_from(100_000.0, 60.0, 10.0, 300.0) == reread_from(100_000.0, 60.0, 10.0, 0.0) - 300.0
