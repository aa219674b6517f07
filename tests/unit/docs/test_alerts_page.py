"""The page for readers of alerts and dead letters says all that there is, and nothing else.

Not here: what the fields hold (``tests/unit/pipeline``).
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from detector.pipeline.alerts import SEVERITIES
from detector.pipeline.decode import REJECT_REASONS
from detector.pipeline.encode import alert_headers
from detector.pipeline.lateness import LATE
from detector.pipeline.scoring import ScoringSpec, score_bucket
from models.features import History
from models.profile import ScoringProfile
from models.training import TrainingConfig, train_bucket
from tests.unit.docs.pages import ALERTS, README, blocks, first_cells, section
from tests.unit.models.synthetic import windows
from tests.unit.pipeline.closed_windows import CONTEXT, FIRST_INDEX, closed_windows

TRAINED, LIVE = 300, 20
VALUE = section(ALERTS, "## The value: schema `tidemark.alert.v1`")


@pytest.fixture(scope="module")
def alert():
    means = 50.0 + np.random.default_rng(5).normal(size=(1, TRAINED + LIVE))
    past = windows(means[:, :TRAINED], FIRST_INDEX - TRAINED)
    means[:, TRAINED + 10 :] += 30.0
    profile = ScoringProfile()
    shard, _ = train_bucket(History.from_windows(past), TrainingConfig(profile))
    spec = ScoringSpec(1, profile, {0: shard}.get, CONTEXT, lambda: 0.0)
    rows, _ = score_bucket(0, closed_windows(means[:, TRAINED:]), None, spec)
    return json.loads(rows["message_value"].iloc[0])


def test_every_field_of_an_alert_is_documented_and_no_other(alert):
    assert first_cells(VALUE.split("\n`statistics`:", 1)[0]) == [*alert]


@pytest.mark.parametrize("part", ["statistics", "quality"])
def test_every_part_of_a_nested_field_has_its_row(alert, part):
    table = VALUE.split(f"\n`{part}`:", 1)[1].split("\n\n`", 1)[0]
    assert sorted(first_cells(table)) == sorted(alert[part])


@pytest.mark.parametrize("part", ["window", "expected", "asset", "source", "model"])
def test_every_part_of_a_small_nested_field_is_named(alert, part):
    assert all(f"`{name}`" in VALUE for name in alert[part])


def test_the_members_of_an_alert_are_described(alert):
    assert all(f"`{name}`" in VALUE for member in alert["members"] for name in member)


def test_the_headers_of_an_alert_are_documented():
    documented = first_cells(section(ALERTS, "## Reading alerts"))
    assert [name for name in documented if name != "application/json"] == [
        name for name, _ in alert_headers("", "", "")
    ]


def test_every_severity_is_documented():
    assert first_cells(section(ALERTS, "## Severity")) == [*SEVERITIES]


def test_every_reason_of_a_dead_letter_is_documented_and_no_other():
    table = section(ALERTS, "## Dead letters").split("| reason | the record |", 1)[1]
    assert first_cells(table) == [*REJECT_REASONS, LATE]


def test_the_example_of_the_readme_has_the_fields_of_an_alert(alert):
    example = json.loads(blocks(README, "json")[1])
    assert set(example) < set(alert)
    assert list(example) == [name for name in alert if name in example]
    for part in ("window", "expected", "asset", "source", "model"):
        assert set(example.get(part, {})) <= set(alert[part])
