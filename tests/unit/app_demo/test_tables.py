from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from detector.app.demo.judge import Judgement, judge
from detector.app.demo.play import Event
from detector.app.demo.tables import EventTable, seconds
from tests.unit.app_demo.alerts import SHIFT, alert

LONG = Event("broken correlation", "booster-station-1", "bearing_temperature_inner", SHIFT.start, SHIFT.end)


def _judgement(*events: Event) -> Judgement:
    return judge(events, [alert(110), alert(250, event="resolved")], lambda time: time)


def _shown(judgement: Judgement, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(EventTable(judgement), highlight=False)
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def test_a_found_fault_says_when_after_how_long_and_in_what_words() -> None:
    _, _, facts, words = _shown(_judgement(SHIFT), 100)
    assert facts.split() == ["level", "shift", "pump-1/flow", "22:14:40", "22:16:20", "✓", "yes", "20", "s", "2"]
    assert words.strip() == "above what is normal: mean 60.2 m3/h, expected 54.20012 (53.9 to 54.4)"


def test_a_missed_fault_and_one_that_is_not_covered_yet_are_told_apart() -> None:
    silence = replace(SHIFT, kind="silence", sensor_id="speed", covered=False)
    stuck = replace(SHIFT, kind="stuck", sensor_id="power")
    text = "\n".join(_shown(_judgement(silence, stuck), 100))
    assert "silence  pump-1/speed" in text
    assert "not covered yet" in text
    assert "✗ no" in text


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120])
def test_names_are_never_cut_and_lines_never_wrap(width: int) -> None:
    lines = _shown(_judgement(SHIFT, replace(LONG, covered=False)), width)
    text = "\n".join(lines)
    assert "broken correlation" in text
    assert "booster-station-1/bearing_temperature_inner" in text
    assert max(map(cell_len, lines)) <= width


def test_where_a_name_leaves_no_room_it_gets_a_line_of_its_own() -> None:
    lines = _shown(_judgement(replace(LONG, covered=False)), 60)
    assert [line.strip() for line in lines[-2:]][1] == "booster-station-1/bearing_temperature_inner"
    assert "not covered yet" in lines[-2]


def test_a_hundred_columns_have_room_for_every_column() -> None:
    assert _shown(_judgement(SHIFT), 100)[0].split() == ["fault", "sensor", "from", "to", "detected", "after", "alerts"]


def test_faults_of_several_days_carry_their_date() -> None:
    later = replace(SHIFT, start=SHIFT.start + 86_400, end=SHIFT.end + 86_400)
    text = "\n".join(_shown(_judgement(SHIFT, later), 120))
    assert "11-14 22:14:40" in text
    assert "11-15 22:14:40" in text


def test_durations_are_rendered_in_the_unit_that_reads_best() -> None:
    durations = (4.24, 75, 720, 12600, None, math.inf)
    assert [seconds(value) for value in durations] == ["4.2 s", "75 s", "12 min", "3.5 h", "-", "-"]
