"""The verdict as a table: one line per event, and under it what the alert said of it.

Columns that matter least go first where the terminal is narrow; no name is ever cut, it gets a line of its own instead.

Not here: which alert belongs to which event (``judge``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from detector.app.demo.judge import Judgement, Verdict
from detector.app.demo.palette import CRITICAL, GOOD, MINOR
from detector.pipeline.instants import iso

INDENT: Final = 2
GAP: Final = 2
SENSOR: Final = "sensor"  # head of the column of names


@dataclass(frozen=True)
class _Column:
    """A column: its head, a cell per verdict, and when it may be dropped (the smallest first; 0 is never)."""

    head: str
    cells: Sequence[Text]
    drop: int = 0
    right: bool = False

    @property
    def width(self) -> int:
        return max(cell_len(self.head), *(cell.cell_len for cell in self.cells))

    def place(self, text: Text) -> Text:
        blank = " " * (self.width - text.cell_len)
        return Text.assemble(blank, text) if self.right else Text.assemble(text, blank)


class EventTable:
    """Renders what became of all events, which are at least one.

    Parameters
    ----------
    judgement : Judgement
        What became of them.
    """

    def __init__(self, judgement: Judgement) -> None:
        self._verdicts = judgement.verdicts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the width of the console."""
        yield from self._lines(options.max_width)

    def _lines(self, width: int) -> Iterator[Text]:
        columns = _fitting(_columns(self._verdicts), width)
        yield _line([column.place(Text(column.head, "bold")) for column in columns])
        total = sum(column.width for column in columns) + GAP * (len(columns) - 1)
        yield Text.assemble(" " * INDENT, ("─" * min(total, width - INDENT), "dim"))
        for number, verdict in enumerate(self._verdicts):
            yield _line([column.place(column.cells[number]) for column in columns])
            yield from self._below(verdict, columns, width)

    def _below(self, verdict: Verdict, columns: Sequence[_Column], width: int) -> Iterator[Text]:
        """Say what the alert said, without the name that stands above it; and the name, if no column has it."""
        place = _place(verdict)
        if all(column.head != SENSOR for column in columns):
            yield Text.assemble(" " * (INDENT + GAP), place)
        if verdict.first is not None:
            words = str(verdict.first.alert["summary"]).removeprefix(f"{place} ").removeprefix("is ")
            line = Text.assemble(" " * (INDENT + columns[0].width + GAP), (words, "dim italic"))
            line.truncate(width, overflow="ellipsis")
            yield line


def seconds(value: float | None) -> str:
    """Render a duration: 4.2 s, 75 s, 12 min, 3.5 h."""
    if value is None or not math.isfinite(value):
        return "-"
    for limit, unit, divisor, digits in ((10, "s", 1, 1), (120, "s", 1, 0), (7200, "min", 60, 0)):
        if value < limit:
            return f"{value / divisor:.{digits}f} {unit}"
    return f"{value / 3600:.1f} h"


def _columns(verdicts: Sequence[Verdict]) -> list[_Column]:
    days = {iso(at)[:10] for each in verdicts for at in (each.event.start, each.event.end)}
    one_day = len(days) == 1
    return [
        _Column("fault", [Text(each.event.kind) for each in verdicts]),
        _Column(SENSOR, [Text(_place(each)) for each in verdicts], drop=5),
        _Column("from", [_instant(each.event.start, one_day=one_day) for each in verdicts], drop=3),
        _Column("to", [_instant(each.event.end, one_day=one_day) for each in verdicts], drop=1),
        _Column("detected", [_detected(each) for each in verdicts]),
        _Column("after", [Text(seconds(each.event_delay)) for each in verdicts], drop=4, right=True),
        _Column("alerts", [Text(str(each.alerts) if each.alerts else "-") for each in verdicts], drop=2, right=True),
    ]


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    kept = columns
    while INDENT + sum(column.width + GAP for column in kept) - GAP > width:
        droppable = [column for column in kept if column.drop]
        if not droppable:
            break
        least = min(droppable, key=lambda column: column.drop)
        kept = [column for column in kept if column is not least]
    return kept


def _line(cells: Sequence[Text]) -> Text:
    line = Text.assemble(" " * INDENT, Text(" " * GAP).join(cells))
    line.rstrip()
    return line


def _place(verdict: Verdict) -> str:
    event = verdict.event
    return f"{event.asset_id}/{event.sensor_id}" if event.sensor_id else event.asset_id


def _detected(verdict: Verdict) -> Text:
    if verdict.openings:
        return Text("✓ yes", GOOD)
    return Text("✗ no", CRITICAL) if verdict.event.covered else Text("- not covered yet", MINOR)


def _instant(at: float, *, one_day: bool) -> Text:
    """Render an instant, without the day where the table has one for all."""
    date, time = iso(at)[:19].split("T")
    return Text(time if one_day else f"{date[5:]} {time}")
