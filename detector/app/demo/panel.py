"""The live view: a row with a sparkline per sensor, the newest alerts, and what the application is at.

Composed line by line and not of tables: every line is exactly as wide as the terminal, so nothing ever wraps, and the
lines that matter least go first where the terminal is small.

Not here: what is shown (``board``), marks and colours (``palette``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from detector.app.demo.board import Board, Sensor
from detector.app.demo.judge import Received
from detector.app.demo.palette import CALM, MARKS, NEW, SEVERITIES, WORD_WIDTH, Mark
from detector.app.demo.sparkline import Scale, decimals
from detector.pipeline.instants import iso

TWO_COLUMNS: Final = 79  # cells from which on there are two columns of sensors
WIDE_COLUMN: Final = 54  # cells that each of more than two must have
COLUMN_GAP: Final = 3
NAME_WIDTH: Final = 20
VALUE_WIDTH: Final = 7
UNIT_WIDTH: Final = 5
MARGINS: Final = 7  # blanks of a row, and the sign of its mark
LEAST_SPARKLINE: Final = 6
WIDE_SPARKLINE: Final = 12  # from here on the mark also has its word
BEST_ALERTS: Final = 6
LEAST_ALERTS: Final = 3
MOST_ALERTS: Final = 12


class Dashboard:
    """Renders a board as it is at that moment.

    Parameters
    ----------
    board : Board
        What is shown.
    height : int or None
        Lines at most; None is one less than the terminal has, so that it does not scroll.
    """

    def __init__(self, board: Board, height: int | None = None) -> None:
        self._board = board
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the width of the console."""
        yield from dashboard(self._board, options.max_width, self._height or console.size.height - 1)


def dashboard(board: Board, width: int, height: int) -> list[Text]:
    """Return the view as at most `height` lines of exactly `width` cells."""
    columns = 1 if width < TWO_COLUMNS else max(2, (width + COLUMN_GAP) // (WIDE_COLUMN + COLUMN_GAP))
    blocks = _blocks(board, columns)
    full = sum(1 + max(len(block) for _, block in band) for band in blocks)
    fixed = 4  # title, heading of the alerts, progress, figures
    air = 2 + len(blocks) if height >= fixed + full + LEAST_ALERTS + 2 + len(blocks) else 0
    grid = min(full, height - fixed - air - LEAST_ALERTS)
    alerts = min(MOST_ALERTS, max(BEST_ALERTS, board.alerts_seen), height - fixed - air - grid)
    blank = [Text()] if air else []
    lines = [_title(board, width), *blank]
    for band in _cut(blocks, grid):
        lines += [*_band(board, band, width), *blank]
    legend = Text() if _says_words(board, width, columns) else _legend()
    lines += [*_alerts(board, width, alerts, legend), *blank, _progress(board, width), _figures(board, width)]
    return [_fitted(line, width) for line in lines[:height]]


def _fitted(line: Text, width: int) -> Text:
    line.no_wrap, line.overflow = True, "crop"
    line.truncate(width, overflow="ellipsis", pad=True)
    return line


def _apart(left: Text, right: Text, width: int) -> Text:
    """Put one text at each end of a line; the left one gives way."""
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis", pad=True)
    return Text.assemble(left, " ", right)


def _title(board: Board, width: int) -> Text:
    name = Text(" tidemark ", "bold reverse")
    return _apart(Text.assemble(name, "  ", (board.play.title, "bold")), Text("live ", "dim"), width)


# A block is an asset and some of its sensors; a band is the blocks side by side.
_Block = tuple[str, list[Sensor]]


def _blocks(board: Board, columns: int) -> list[list[_Block]]:
    """Arrange the sensors by asset; fewer assets than columns are split."""
    assets: dict[str, list[Sensor]] = {}
    for sensor in board.sensors.values():
        assets.setdefault(sensor.asset_id, []).append(sensor)
    blocks = list(assets.items())
    while blocks and len(blocks) < columns:
        longest = max(range(len(blocks)), key=lambda at: len(blocks[at][1]))
        name, sensors = blocks[longest]
        half = (len(sensors) + 1) // 2
        if half == len(sensors):
            break
        blocks[longest : longest + 1] = [(name, sensors[:half]), (name, sensors[half:])]
    return [blocks[at : at + columns] for at in range(0, len(blocks), columns)]


def _cut(bands: list[list[_Block]], height: int) -> list[list[_Block]]:
    """Leave out the sensors of which least is to be said until the bands fit."""
    most = max((len(sensors) for band in bands for _, sensors in band), default=0)
    while most > 1 and sum(1 + min(most, max(len(block) for _, block in band)) for band in bands) > height:
        most -= 1
    return [[(name, _foremost(sensors, most)) for name, sensors in band] for band in bands]


def _foremost(sensors: list[Sensor], most: int) -> list[Sensor]:
    """Return those whose last incident is newest, then those that learn, in their usual order."""

    def rank(sensor: Sensor) -> float:
        return -sensor.incidents[-1].end if sensor.incidents else -float(sensor.learning)

    chosen = {id(each) for each in sorted(sensors, key=rank)[:most]}
    return [each for each in sensors if id(each) in chosen]


def _band(board: Board, band: list[_Block], width: int) -> list[Text]:
    each = _column_width(width, len(band))
    name = _name_width(board, each)
    columns = [
        [_heading(board, asset, sensors, each), *(_row(board, sensor, each, name) for sensor in sensors)]
        for asset, sensors in band
    ]
    gap = Text(" " * COLUMN_GAP)
    return [gap.join(_fitted(part or Text(), each) for part in parts) for parts in zip_longest(*columns)]


def _column_width(width: int, columns: int) -> int:
    return (width + COLUMN_GAP) // max(1, columns) - COLUMN_GAP


def _name_width(board: Board, each: int) -> int:
    room = each - VALUE_WIDTH - UNIT_WIDTH - MARGINS - LEAST_SPARKLINE
    longest = max((cell_len(sensor.sensor_id) for sensor in board.sensors.values()), default=0)
    return max(1, min(NAME_WIDTH, room, longest))


def _spark_width(each: int, name_width: int) -> tuple[int, bool]:
    """Return how wide a sparkline is, and whether there is room for the word of a mark behind it."""
    spark_width = each - name_width - VALUE_WIDTH - UNIT_WIDTH - MARGINS
    beside_word = spark_width - WORD_WIDTH - 1
    return (beside_word, True) if beside_word >= WIDE_SPARKLINE else (spark_width, False)


def _says_words(board: Board, width: int, columns: int) -> bool:
    each = _column_width(width, columns)
    return _spark_width(each, _name_width(board, each))[1]


def _legend() -> Text:
    """Say what the marks mean, where they stand without their words."""
    open_incident = Mark(MARKS["major"].sign, "open", MARKS["major"].style)
    shown = (MARKS["normal"], MARKS["learning"], open_incident, MARKS["resolved"], MARKS["silent"])
    return Text("  ").join(Text.assemble((mark.sign, mark.style), (f" {mark.word}", "dim")) for mark in shown)


def _heading(board: Board, asset: str, shown: Sequence[Sensor], width: int) -> Text:
    sensors = [each for each in board.sensors.values() if each.asset_id == asset]
    states = [board.state(each) for each in sensors]
    worst = max((SEVERITIES.index(state) for state in states if state in SEVERITIES), default=-1)
    said = Text("", "dim")
    if worst >= 0:
        count = sum(state in SEVERITIES for state in states)
        said = Text(f"{count} open", MARKS[SEVERITIES[worst]].style)
    hidden = f" {len(shown)} of {len(sensors)}" if len(shown) < len(sensors) else ""
    line = Text.assemble((f" {asset}", "bold"), (hidden, "dim"), " ")
    rule = max(0, width - line.cell_len - said.cell_len - bool(said))
    return Text.assemble(line, ("─" * rule, "dim"), " " if said else "", said)


def _row(board: Board, sensor: Sensor, width: int, name_width: int) -> Text:
    state = board.state(sensor)
    mark = MARKS[state]
    spark_width, word = _spark_width(width, name_width)
    name = Text(sensor.sensor_id, "" if state in {"normal", "learning"} else mark.style)
    name.truncate(name_width, overflow="ellipsis", pad=True)
    unit = Text(sensor.unit, "dim")
    unit.truncate(UNIT_WIDTH, overflow="ellipsis", pad=True)
    line = Text.assemble("  ", name, " ", _sparkline(board, sensor, max(1, spark_width)), " ")
    line.append(_value(sensor), "dim" if state == "silent" else "").append(" ").append_text(unit).append(" ")
    return line.append(mark.sign + (f" {mark.word}" if word else ""), mark.style)


def _value(sensor: Sensor) -> str:
    if not math.isfinite(sensor.value):
        return " " * VALUE_WIDTH
    return f"{sensor.value:{VALUE_WIDTH}.{decimals(sensor.cells.values())}f}"[:VALUE_WIDTH]


def _sparkline(board: Board, sensor: Sensor, width: int) -> Text:
    """Draw the newest cells; what belongs to an incident has its colour."""
    line = Text()
    if not sensor.cells:
        return Text(" " * width)
    newest = board.cell(board.position)
    numbers = range(newest - width + 1, newest + 1)
    scale = Scale.of(sensor.cells.values(), [sensor.cells[at] for at in numbers if at in sensor.cells])
    for at in numbers:
        start = at * board.cell_seconds
        incident = sensor.incident_at(start, start + board.cell_seconds)
        style = MARKS[incident.severity].style if incident else NEW if sensor.learning else CALM
        line.append(scale.sign(sensor.cells[at]) if at in sensor.cells else " ", style)
    return line


def _alerts(board: Board, width: int, lines: int, legend: Text) -> Iterator[Text]:
    said = Text(f" {board.alerts_seen:,} so far" if board.alerts_seen else "", "dim")
    heading = Text(" alerts ", "bold")
    rule = width - heading.cell_len - said.cell_len - 1
    if legend and legend.cell_len + LEAST_SPARKLINE < rule:
        rule -= legend.cell_len + 3
        said = Text.assemble(" ", legend, " ", ("─", "dim"), said)
    yield Text.assemble(heading, ("─" * max(0, rule), "dim"), said)
    shown = list(board.alerts)[:lines]
    if not shown:
        yield Text("  none yet", "dim")
    for received in shown:
        yield alert_line(received)
    for _ in range(lines - max(1, len(shown))):
        yield Text()


def alert_line(received: Received) -> Text:
    """Return the line of one alert: when, what, in words."""
    mark = alert_mark(received)
    words = Text(received.alert["summary"], "" if received.opening else "dim")
    time = received.alert["window"]["end"][11:19]
    return Text.assemble((f"  {time}  ", "dim"), (f"{mark.sign} {mark.word:<{WORD_WIDTH}}  ", mark.style), words)


def alert_mark(received: Received) -> Mark:
    """Return the mark of an alert: its severity, or that it is over."""
    return MARKS[received.alert["severity"] if received.opening else "resolved"]


def _progress(board: Board, width: int) -> Text:
    time = iso(board.position)[11:19] if math.isfinite(board.position) else "-"
    right = f" event time {time}   {board.play.speed:,.0f} times the clock   {board.progress:4.0%} "
    length = max(0, width - len(right) - 2)
    done = round(length * board.progress)
    return Text.assemble(" ", ("━" * done, CALM), ("─" * (length - done), "dim"), "  ", right.lstrip())


def _figures(board: Board, width: int) -> Text:
    readings = board.readings
    if readings is None:
        return Text(" the first batches are on their way", "dim")
    age = f"{board.batch_age:.1f} s" if math.isfinite(board.batch_age) else "-"
    figures = [
        (f"{board.records_per_second:,.0f}", "records/s"),
        (f"{readings.windows:,}", "windows scored"),
        (f"{board.open_incidents}", "open incidents" if board.open_incidents != 1 else "open incident"),
        (f"{readings.lag:,}", "lag"),
        (age, "since last batch"),
        (f"{readings.learning}", "learning"),
    ]
    line = Text()
    for value, what in figures:
        part = Text.assemble(" ", (value, "bold"), f" {what}", "  ")
        if line.cell_len + part.cell_len <= width:
            line.append_text(part)
    return line
