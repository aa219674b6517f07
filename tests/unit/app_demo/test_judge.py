from __future__ import annotations

import io
import math
from typing import Any

from rich.console import Console

from detector.app.demo.judge import Received, judge
from detector.app.demo.play import Event, iso
from detector.app.demo.view import SHOWN_ALERTS, Screen, seconds

T0 = 1_700_000_000.0
SHIFT = Event("level shift", "pump-1", "flow", T0 + 100, T0 + 200)


def _alert(start: float, sensor: str = "flow", event: str = "opened", incident: str = "a", at: float = 0.0) -> Received:
    value: dict[str, Any] = {
        "asset_id": "pump-1",
        "sensor_id": sensor,
        "event": event,
        "incident_id": incident,
        "severity": "major",
        "summary": f"pump-1/{sensor} is above what is normal",
        "window": {"start": iso(T0 + start), "end": iso(T0 + start + 10)},
    }
    return Received(value, at)


def _sent_at(event_time: float) -> float:
    return event_time / 60


def test_an_opening_within_an_event_detects_it_with_the_delay_of_its_window_and_of_its_arrival() -> None:
    arrival = _sent_at(SHIFT.start) + 2.5
    (verdict,) = judge([SHIFT], [_alert(110, at=arrival)], _sent_at).verdicts
    assert verdict.openings == 1
    assert verdict.event_delay == 20
    assert math.isclose(verdict.real_delay or 0, 2.5, abs_tol=1e-6)


def test_the_first_opening_gives_the_delay_whatever_the_order_of_arrival() -> None:
    late, early = _alert(150, incident="b", at=1.0), _alert(100, incident="a", at=2.0)
    (verdict,) = judge([SHIFT], [late, early], _sent_at).verdicts
    assert verdict.openings == 2
    assert verdict.event_delay == 10


def test_a_window_that_only_touches_an_event_does_not_overlap_it() -> None:
    before, after = _alert(90, incident="a"), _alert(200, incident="b")
    judgement = judge([SHIFT], [before, after], _sent_at)
    assert judgement.verdicts[0].openings == 0
    assert judgement.verdicts[0].event_delay is None
    assert judgement.false_openings == (before, after)


def test_an_opening_of_another_sensor_is_false() -> None:
    other = _alert(110, sensor="speed")
    judgement = judge([SHIFT], [other], _sent_at)
    assert judgement.verdicts[0].openings == 0
    assert judgement.false_openings == (other,)


def test_any_sensor_of_the_asset_detects_an_event_that_names_none() -> None:
    event = Event("labelled", "pump-1", None, SHIFT.start, SHIFT.end)
    judgement = judge([event], [_alert(110, sensor="speed")], _sent_at)
    assert judgement.verdicts[0].openings == 1
    assert judgement.false_openings == ()


def test_a_resolution_counts_among_the_alerts_of_its_incident_and_is_never_false() -> None:
    alerts = [_alert(110), _alert(250, event="resolved"), _alert(400, event="resolved", incident="z")]
    judgement = judge([SHIFT], alerts, _sent_at)
    assert judgement.verdicts[0].alerts == 2
    assert judgement.false_openings == ()


def test_without_alerts_every_event_is_missed() -> None:
    judgement = judge([SHIFT, SHIFT], [], _sent_at)
    assert [verdict.openings for verdict in judgement.verdicts] == [0, 0]


def test_durations_are_rendered_in_the_unit_that_reads_best() -> None:
    assert [seconds(value) for value in (4.24, 75, 720, 12600, None, math.inf)] == [
        "4.2 s",
        "75 s",
        "12 min",
        "3.5 h",
        "-",
        "-",
    ]


def test_output_that_is_no_terminal_has_no_control_characters() -> None:
    file = io.StringIO()
    screen = Screen(Console(file=file))
    screen.heading("Live")
    with screen.spinner("waiting") as say, screen.bar("live", 10) as move:
        say("still waiting")
        move(5, "half")
        screen.alert(_alert(110))
    missed = Event("silence", "pump-1", "flow", SHIFT.start, SHIFT.end, covered=False)
    screen.events(judge([SHIFT, missed], [_alert(110)], _sent_at))
    text = file.getvalue()
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "pump-1/flow is above what is normal" in text
    assert "level shift" in text


def test_a_fault_that_is_not_covered_yet_is_shown_as_such_and_not_as_a_miss() -> None:
    file = io.StringIO()
    missed = Event("silence", "pump-1", "flow", SHIFT.start, SHIFT.end, covered=False)
    Screen(Console(file=file)).events(judge([missed], [], _sent_at))
    assert "not covered yet" in file.getvalue()


def test_a_flood_of_alerts_is_cut_off_with_a_word() -> None:
    file = io.StringIO()
    screen = Screen(Console(file=file))
    for _ in range(SHOWN_ALERTS + 50):
        screen.alert(_alert(110))
    lines = file.getvalue().splitlines()
    assert len(lines) == SHOWN_ALERTS + 1
    assert "counted" in lines[-1]
