from __future__ import annotations

import json
from typing import Any

import pytest

from models.detectors import DETECTORS
from models.profile import ScoringProfile


def test_the_default_profile_has_every_detector() -> None:
    assert ScoringProfile().members == tuple(detector.name for detector in DETECTORS)


def test_the_threshold_is_the_log_of_the_false_alarm_rate() -> None:
    assert ScoringProfile(false_alarm_rate=0.001).threshold == pytest.approx(3.0)


def test_a_profile_comes_back_from_its_json() -> None:
    profile = ScoringProfile(members=("level",), false_alarm_rate=0.02, close_ratio=0.9, quiet_windows=7)

    assert ScoringProfile.from_json(json.loads(json.dumps(profile.to_json()))) == profile
    assert profile.digest() != ScoringProfile().digest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"members": ()},
        {"members": ("level", "level")},
        {"members": ("oracle",)},
        {"false_alarm_rate": 0.0},
        {"false_alarm_rate": 0.2},
        {"close_ratio": 0.0},
        {"close_ratio": 1.1},
        {"quiet_windows": 0},
    ],
)
def test_a_value_out_of_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ScoringProfile(**wrong)
