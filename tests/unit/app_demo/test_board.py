from __future__ import annotations

import math

from detector.app.demo.board import KEPT_CELLS, Board
from detector.app.demo.play import Message
from tests.unit.app_demo.alerts import T0, alert, play, tick

FLOW = ("pump-1", "flow")
LEVEL = ("intake", "level")


def _board(*, speed: float = 1.0) -> Board:
    board = Board(play(speed=speed))
    board.sent([tick(-60, {FLOW: 1.0, LEVEL: 2.0})])
    return board


def test_a_sensor_shows_its_newest_value_and_unit() -> None:
    board = _board()
    board.sent([tick(1, {FLOW: 48.5}, unit="l/s")])
    sensor = board.sensors[FLOW]
    assert (sensor.value, sensor.unit, sensor.seen) == (48.5, "l/s", T0 + 1)


def test_sensors_keep_the_order_of_their_first_record() -> None:
    board = _board()
    board.sent([tick(1, {("a", "new"): 1.0, FLOW: 1.0})])
    assert list(board.sensors) == [FLOW, LEVEL, ("a", "new")]


def test_a_cell_keeps_the_value_that_is_farthest_from_the_usual_one() -> None:
    board = _board()
    board.sent([tick(after, {FLOW: value}) for after, value in ((0, 1.0), (3, 9.0), (6, 1.1))])
    assert board.sensors[FLOW].cells[board.cell(T0)] == 9.0


def test_a_span_without_records_has_no_cell() -> None:
    board = _board()
    board.sent([tick(0, {FLOW: 1.0}), tick(20, {FLOW: 1.0})])
    assert board.cell(T0 + 10) not in board.sensors[FLOW].cells


def test_a_faster_play_has_longer_cells_of_whole_windows() -> None:
    assert _board(speed=1).cell_seconds == 10
    faster = _board(speed=240).cell_seconds
    assert faster > 10
    assert faster % 10 == 0


def test_only_so_many_cells_are_kept_of_a_sensor() -> None:
    board = _board()
    board.sent([tick(10 * number, {FLOW: 1.0}) for number in range(3 * KEPT_CELLS)])
    cells = board.sensors[FLOW].cells
    assert len(cells) == KEPT_CELLS
    assert max(cells) == board.cell(board.position)


def test_records_that_cannot_be_decoded_change_nothing_but_the_time() -> None:
    board = _board()
    broken = (Message(b"broken", b"\xff\xfe"), Message(b"broken", b'{"asset_id": "x", "sensor_id": "y", "value": 1}'))
    board.sent([tick(5, {FLOW: 2.0})._replace(messages=broken)])
    assert list(board.sensors) == [FLOW, LEVEL]
    assert board.position == T0 + 5


def test_a_sensor_that_first_appears_in_the_live_part_is_learning() -> None:
    board = _board()
    board.sent([tick(1, {FLOW: 1.0, ("pump-1", "seal"): 1.0})])
    assert board.state(board.sensors["pump-1", "seal"]) == "learning"
    assert board.state(board.sensors[FLOW]) == "normal"


def test_a_sensor_with_too_little_history_is_learning() -> None:
    board = Board(play(), without_model={"pump-1/flow"})
    board.sent([tick(-60, {FLOW: 1.0})])
    assert board.state(board.sensors[FLOW]) == "learning"


def test_an_open_incident_shows_its_severity_until_it_is_resolved() -> None:
    board = _board(speed=60)
    board.sent([tick(30, {FLOW: 1.0})])
    board.alerted(alert(20, severity="critical"))
    assert board.state(board.sensors[FLOW]) == "critical"
    assert board.open_incidents == 1
    board.alerted(alert(50, event="resolved", severity="critical"))
    assert board.state(board.sensors[FLOW]) == "resolved"
    assert board.open_incidents == 0


def test_what_was_resolved_long_ago_is_normal_again() -> None:
    board = _board(speed=1)
    board.alerted(alert(20))
    board.alerted(alert(50, event="resolved"))
    board.sent([tick(590, {FLOW: 1.0})])
    assert board.state(board.sensors[FLOW]) == "normal"


def test_a_sensor_that_stops_sending_is_silent_unless_an_incident_is_open() -> None:
    board = _board()
    board.sent([tick(1, {FLOW: 1.0, LEVEL: 1.0}), tick(100, {LEVEL: 1.0})])
    assert board.state(board.sensors[FLOW]) == "silent"
    board.alerted(alert(20, severity="minor"))
    assert board.state(board.sensors[FLOW]) == "minor"


def test_the_newest_alert_comes_first_and_all_are_counted() -> None:
    board = _board()
    for number in range(50):
        board.alerted(alert(number * 10.0, incident=str(number)))
    assert board.alerts[0].alert["incident_id"] == "49"
    assert board.alerts_seen == 50


def test_progress_is_the_share_of_the_live_part_that_was_sent() -> None:
    board = _board()
    assert board.progress == 0
    board.sent([tick(150, {FLOW: 1.0})])
    assert math.isclose(board.progress, 0.25)
    board.sent([tick(700, {FLOW: 1.0})])
    assert board.progress == 1
