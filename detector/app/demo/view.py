"""What a demonstration looks like: lines and bars while it runs, tables at the end.

On a terminal there are bars and colours; anywhere else there are plain lines without control characters.

Not here: any figure of what is shown (``judge``, ``run``).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from detector.app.demo.judge import Judgement, Received, Verdict
from detector.app.demo.play import iso

PLAIN_WIDTH: Final = 120  # where there is no terminal to ask
SHOWN_ALERTS: Final = 60  # lines; a series of many sensors can open hundreds of incidents at once
SHOWN_FALSE: Final = 10
SEVERITY_STYLES: Final = {"minor": "yellow", "major": "dark_orange", "critical": "bold red"}


class Screen:
    """Shows a demonstration on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console if console.is_terminal else Console(file=console.file, width=PLAIN_WIDTH)
        self._alerts = 0

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.show(Text(f"\n{text}", "bold"))

    def line(self, text: str) -> None:
        """Say something of the part."""
        self.show(_indented(Text(text)))

    def show(self, what: RenderableType) -> None:
        """Print anything that rich can render."""
        self._console.print(what, highlight=False)

    @contextlib.contextmanager
    def spinner(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show that something is going on; yields what changes the text."""
        if not self._console.is_terminal:
            yield lambda _: None
            return
        with self._console.status(f"  {text}") as status:
            yield lambda now: status.update(f"  {now}")

    @contextlib.contextmanager
    def bar(self, text: str, total: int) -> Iterator[Callable[[float, str], None]]:
        """Show a bar; yields what sets how far it is and what it says."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30))
        more = (TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.fields[said]}"))
        shown = Progress(*columns, *more, console=self._console, transient=True, disable=not self._console.is_terminal)
        with shown:
            task = shown.add_task(text, total=total, said="")
            yield lambda done, said: shown.update(task, completed=done, said=said)

    def alert(self, received: Received) -> None:
        """Show an alert; after `SHOWN_ALERTS` it only says that there are more."""
        self._alerts += 1
        if self._alerts > SHOWN_ALERTS + 1:
            return
        if self._alerts > SHOWN_ALERTS:
            self.line("... more alerts follow; they are counted in the table and are on the topic")
            return
        alert = received.alert
        row = Table.grid(padding=(0, 1))
        row.add_column(width=8)
        row.add_column(width=8)
        row.add_column()
        style = SEVERITY_STYLES[alert["severity"]] if received.opening else "green"
        label = alert["severity"] if received.opening else "resolved"
        row.add_row(Text(alert["window"]["end"][11:19], "dim"), Text(label, style), Text(alert["summary"]))
        self.show(_indented(row))

    def events(self, judgement: Judgement) -> None:
        """Show the table of events."""
        days = {iso(at)[:10] for verdict in judgement.verdicts for at in (verdict.event.start, verdict.event.end)}
        day = days.pop() if len(days) == 1 else ""
        table = Table(box=SIMPLE_HEAD, padding=0)  # narrow: it should fit 100 columns
        for name in ("fault", "sensor", f"from\n{day}".rstrip(), "to", "detected"):
            table.add_column(name)
        for name in ("event\ndelay", "real\ndelay", "alerts"):
            table.add_column(name, justify="right")
        for verdict in judgement.verdicts:
            table.add_row(*_event_row(verdict, day))
        self.show(_indented(table))

    def false_openings(self, judgement: Judgement) -> None:
        """List the false alerts, up to `SHOWN_FALSE`."""
        for received in judgement.false_openings[:SHOWN_FALSE]:
            self.line(f"  {received.alert['window']['end']} {received.alert['severity']}: {received.alert['summary']}")
        if len(judgement.false_openings) > SHOWN_FALSE:
            self.line(f"  and {len(judgement.false_openings) - SHOWN_FALSE:,} more")

    def facts(self, facts: dict[str, str]) -> None:
        """Show names and values."""
        table = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            table.add_row(Text(name, "bold"), Text(value))
        self.show(_indented(table))


def seconds(value: float | None) -> str:
    """Render a duration: 4.2 s, 75 s, 12 min, 3.5 h."""
    if value is None or not math.isfinite(value):
        return "-"
    for limit, unit, divisor, digits in ((10, "s", 1, 1), (120, "s", 1, 0), (7200, "min", 60, 0)):
        if value < limit:
            return f"{value / divisor:.{digits}f} {unit}"
    return f"{value / 3600:.1f} h"


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2), expand=False)


def _event_row(verdict: Verdict, day: str) -> tuple[RenderableType, ...]:
    event = verdict.event
    missed = Text("no", "red") if event.covered else Text("not covered yet", "yellow")
    return (
        event.kind,
        f"{event.asset_id}/{event.sensor_id}" if event.sensor_id else event.asset_id,
        *(_instant(at, day) for at in (event.start, event.end)),
        Text("yes", "green") if verdict.openings else missed,
        seconds(verdict.event_delay),
        seconds(verdict.real_delay),
        str(verdict.alerts),
    )


def _instant(at: float, day: str) -> str:
    """Render an instant, without the day where the table has one for all."""
    date, time = iso(at)[:19].split("T")
    return time if day else f"{date} {time}"
