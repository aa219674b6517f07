from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from detector.app.demo.board import Board
from detector.app.demo.panel import Dashboard, dashboard
from detector.app.demo.watch import Readings
from tests.unit.app_demo.alerts import alert, play, tick

READINGS = Readings(
    at=0.0, records=900, windows=12_345, lag=7, learning=1, rejected=0, dead_letters=0, last_batch=math.nan
)


def _board(assets: int = 4, sensors: int = 6, *, name: str = "bearing_temperature") -> Board:
    board = Board(play())
    names = [(f"pump-{asset}", f"{name}_{number}") for asset in range(assets) for number in range(sensors)]
    board.sent([tick(after, {each: math.sin(after) for each in names}) for after in range(-60, 120, 10)])
    board.sent([tick(110, {("pump-1", "flow"): 48.5})])
    board.readings = READINGS
    return board


def _text(board: Board, width: int, height: int) -> list[str]:
    return [line.plain for line in dashboard(board, width, height)]


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(20, 200),
    height=st.integers(3, 60),
    assets=st.integers(0, 7),
    sensors=st.integers(1, 12),
    name=st.text("abcö温", min_size=1, max_size=30),
)
def test_no_line_is_ever_wider_and_no_view_ever_taller_than_the_terminal(
    width: int, height: int, assets: int, sensors: int, name: str
) -> None:
    board = _board(assets, sensors, name=name)
    board.alerted(alert(100))
    lines = dashboard(board, width, height)
    assert len(lines) <= height
    assert {line.cell_len for line in lines} == {width}


@pytest.mark.parametrize(("width", "height"), [(80, 23), (100, 29), (110, 33), (120, 39)])
def test_usual_terminals_show_every_sensor_of_a_plant(width: int, height: int) -> None:
    lines = _text(_board(), width, height)
    assert sum("bearing_temp" in line for line in lines) == 12  # two side by side
    assert any("pump-3" in line for line in lines)
    assert any("records/s" in line for line in lines)


def test_a_row_says_value_unit_and_state() -> None:
    row = next(line for line in _text(_board(), 120, 40) if " flow" in line)
    assert "48.50 m3/h" in row
    assert "◇" in row


def test_on_a_wide_terminal_states_are_words_too() -> None:
    board = _board(name="t")
    board.alerted(alert(100))
    text = "\n".join(_text(board, 120, 40))
    assert "▲ major" in text
    assert "· normal" in text
    assert "1 open" in text


def test_where_there_is_no_room_for_words_one_line_says_what_the_marks_mean() -> None:
    narrow, wide = "\n".join(_text(_board(), 110, 33)), "\n".join(_text(_board(name="t"), 120, 40))
    for said in ("· normal", "◇ learning", "▲ open", "✓ resolved", "○ no data"):
        assert narrow.count(said) == 1
    assert "✓ resolved" not in wide


def test_what_belongs_to_an_incident_is_coloured_in_the_sparkline() -> None:
    board = _board(1, 1, name="t")
    calm = {str(span.style) for line in dashboard(board, 100, 30) for span in line.spans}
    board.alerted(alert(100, sensor="flow", severity="critical"))
    after = {str(span.style) for line in dashboard(board, 100, 30) for span in line.spans}
    assert after - calm


def test_where_rows_are_few_those_with_an_incident_stay() -> None:
    board = _board(assets=4, sensors=10, name="t")
    board.alerted(alert(100, sensor="t_7", severity="critical"))
    lines = _text(board, 80, 18)
    assert any("t_7" in line and "▲" in line for line in lines)
    assert any("of 1" in line for line in lines)  # what is hidden is said


def test_a_learning_sensor_is_not_the_one_that_is_hidden() -> None:
    board = _board(assets=2, sensors=10, name="t")
    assert any("flow" in line for line in _text(board, 80, 14))


def test_one_asset_of_many_sensors_fills_both_columns() -> None:
    board = Board(play())
    board.sent([tick(-10, {("mill", f"s{number}"): 1.0 for number in range(8)})])
    lines = _text(board, 100, 30)
    assert any("s0" in line and "s4" in line for line in lines)


def test_the_newest_alerts_are_shown_in_words() -> None:
    board = _board()
    board.alerted(alert(100))
    board.alerted(alert(110, event="resolved"))
    lines = _text(board, 120, 40)
    opened = next(at for at, line in enumerate(lines) if "▲ major" in line and "is above what is normal" in line)
    resolved = next(at for at, line in enumerate(lines) if "✓ resolved" in line and "pump-1/flow is" in line)
    assert resolved < opened


def test_the_figures_say_what_the_application_is_at() -> None:
    board = _board()
    board.records_per_second, board.batch_age = 612.4, 0.44
    line = _text(board, 120, 40)[-1]
    for figure in ("612 records/s", "12,345 windows scored", "0 open incidents", "7 lag", "0.4 s since", "1 learning"):
        assert figure in line


def test_before_anything_happened_there_is_a_view_too() -> None:
    assert any("none yet" in line for line in _text(Board(play()), 80, 24))


def test_the_view_leaves_the_terminal_one_line() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    assert len(console.render_lines(Dashboard(_board()))) <= 29
