from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from detector.app.demo.board import Board
from detector.app.demo.judge import judge
from detector.app.demo.picture import Picture
from detector.app.demo.view import SHOWN_ALERTS, Screen
from detector.errors import ConfigError, StorageError
from tests.unit.app_demo.alerts import SHIFT, alert, play, tick


def _board() -> Board:
    board = Board(play())
    board.sent([tick(after, {("pump-1", "flow"): float(after % 7)}) for after in range(-60, 120)])
    return board


def test_output_that_is_no_terminal_has_no_control_characters() -> None:
    file = io.StringIO()
    screen = Screen(Console(file=file))
    screen.heading("Live")
    with screen.spinner("waiting") as say, screen.bar("history", 10) as move:
        say("still waiting")
        move(5, "half")
    with screen.live(_board()) as renew:
        renew([alert(110)])
    screen.events(judge([SHIFT], [alert(110)], lambda time: time))
    text = file.getvalue()
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "pump-1/flow is above what is normal" in text
    assert "level shift" in text


def test_a_plain_alert_is_one_line_however_long() -> None:
    file = io.StringIO()
    long = alert(110)
    Screen(Console(file=file)).alert(type(long)({**long.alert, "summary": "x" * 300}, 0.0))
    assert len(file.getvalue().splitlines()) == 1


def test_a_flood_of_alerts_is_cut_off_with_a_word() -> None:
    file = io.StringIO()
    screen = Screen(Console(file=file))
    with screen.live(_board()) as renew:
        renew([alert(110)] * (SHOWN_ALERTS + 20))
        renew([alert(110)] * 30)
    lines = file.getvalue().splitlines()
    assert len(lines) == SHOWN_ALERTS + 1
    assert "counted" in lines[-1]


def test_on_a_terminal_the_last_state_of_the_live_view_stays() -> None:
    file = io.StringIO()
    board = _board()
    screen = Screen(Console(file=file, force_terminal=True, width=100, height=30))
    with screen.live(board) as renew:
        renew([])
        board.alerted(alert(110))
        renew([])
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue()).split("tidemark ")[-1]
    assert "is above what is normal" in last


def test_what_is_to_be_copied_is_never_broken_into_lines() -> None:
    file = io.StringIO()
    command = "tidemark " + "x" * 300
    Screen(Console(file=file, force_terminal=True, width=40)).copy("try", command)
    assert command in file.getvalue()


def _drawn(path: Path, *, incident: bool = True) -> str:
    screen = Screen(Console(file=io.StringIO()), Picture(path))
    board = _board()
    with screen.live(board) as renew:
        if incident:
            board.alerted(alert(100))
            renew([])
            board.alerted(alert(110, event="resolved"))
        renew([])
    screen.line("said before")
    with screen.drawn():
        screen.events(judge([SHIFT], [alert(110)], lambda time: time))
    svg = path.read_text(encoding="utf-8")
    return "\n".join("".join(each.itertext()) for each in ET.fromstring(svg).iter() if each.tag.endswith("text"))  # noqa: S314 - our own file


def test_the_picture_shows_a_moment_with_an_open_incident_and_the_verdict(tmp_path: Path) -> None:
    text = _drawn(tmp_path / "demo.svg").replace("\u00a0", " ")
    assert "1 open" in text
    assert "resolved" not in text
    assert "level shift" in text
    assert "said before" not in text
    assert "54.20012" in text  # every digit that the alert has


def test_without_any_incident_there_is_a_picture_too(tmp_path: Path) -> None:
    assert "flow" in _drawn(tmp_path / "demo.svg", incident=False)


def test_the_picture_asks_for_nothing_from_the_network(tmp_path: Path) -> None:
    _drawn(tmp_path / "demo.svg")
    svg = (tmp_path / "demo.svg").read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in svg
    assert "url(" not in svg
    assert "@font-face" not in svg


def test_a_picture_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no directory"):
        Picture(tmp_path / "absent" / "demo.svg")
    with pytest.raises(StorageError, match="cannot be written"):
        Picture(tmp_path).save()
