from __future__ import annotations

import math

from detector.app.demo.judge import judge
from detector.app.demo.play import Event
from tests.unit.app_demo.alerts import SHIFT, alert


def _sent_at(event_time: float) -> float:
    return event_time / 60


def test_an_opening_within_an_event_detects_it_with_the_delay_of_its_window_and_of_its_arrival() -> None:
    arrival = _sent_at(SHIFT.start) + 2.5
    (verdict,) = judge([SHIFT], [alert(110, at=arrival)], _sent_at).verdicts
    assert verdict.openings == 1
    assert verdict.event_delay == 20
    assert math.isclose(verdict.real_delay or 0, 2.5, abs_tol=1e-6)


def test_the_first_opening_gives_the_delay_whatever_the_order_of_arrival() -> None:
    late, early = alert(150, incident="b", at=1.0), alert(100, incident="a", at=2.0)
    (verdict,) = judge([SHIFT], [late, early], _sent_at).verdicts
    assert verdict.openings == 2
    assert verdict.first is early
    assert verdict.event_delay == 10


def test_a_window_that_only_touches_an_event_does_not_overlap_it() -> None:
    before, after = alert(90, incident="a"), alert(200, incident="b")
    judgement = judge([SHIFT], [before, after], _sent_at)
    assert judgement.verdicts[0].openings == 0
    assert judgement.verdicts[0].event_delay is None
    assert judgement.false_openings == (before, after)


def test_an_opening_of_another_sensor_is_false() -> None:
    other = alert(110, sensor="speed")
    judgement = judge([SHIFT], [other], _sent_at)
    assert judgement.verdicts[0].openings == 0
    assert judgement.false_openings == (other,)


def test_any_sensor_of_the_asset_detects_an_event_that_names_none() -> None:
    event = Event("labelled", "pump-1", None, SHIFT.start, SHIFT.end)
    judgement = judge([event], [alert(110, sensor="speed")], _sent_at)
    assert judgement.verdicts[0].openings == 1
    assert judgement.false_openings == ()


def test_a_resolution_counts_among_the_alerts_of_its_incident_and_is_never_false() -> None:
    alerts = [alert(110), alert(250, event="resolved"), alert(400, event="resolved", incident="z")]
    judgement = judge([SHIFT], alerts, _sent_at)
    assert judgement.verdicts[0].alerts == 2
    assert judgement.false_openings == ()


def test_without_alerts_every_event_is_missed() -> None:
    judgement = judge([SHIFT, SHIFT], [], _sent_at)
    assert [verdict.openings for verdict in judgement.verdicts] == [0, 0]
