"""Where a demonstration is shown: bars, colours and a live view on a terminal, plain lines anywhere else.

Plain output has no control characters and says the same, line by line.

Not here: any figure of what is shown (``judge``, ``live``), how the live view and the table are made (``panel``,
``tables``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from detector.app.demo.board import Board
from detector.app.demo.judge import Judgement, Received
from detector.app.demo.panel import Dashboard, alert_line
from detector.app.demo.picture import Picture
from detector.app.demo.tables import EventTable

PLAIN_WIDTH: Final = 120  # where there is no terminal to ask
SHOWN_ALERTS: Final = 60  # plain lines; a series of many sensors can open hundreds of incidents at once
SHOWN_FALSE: Final = 10


class Screen:
    """Shows a demonstration on a console.

    Parameters
    ----------
    console : Console
        A terminal or not.
    picture : Picture or None
        Also gets the live view and the verdict.
    """

    def __init__(self, console: Console, picture: Picture | None = None) -> None:
        self._console = console if console.is_terminal else Console(file=console.file, width=PLAIN_WIDTH)
        self._picture = picture
        self._drawing = False

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.show(Text(f"\n{text}", "bold"))

    def line(self, text: str) -> None:
        """Say something of the part."""
        self.show(_indented(Text(text)))

    def gap(self) -> None:
        """Leave a line blank."""
        self.show(Text())

    def copy(self, what: str, line: str) -> None:
        """Show something to copy: on a line of its own, however long."""
        self.show(_indented(Text(what, "dim")))
        self._console.print(Text(f"    {line}"), highlight=False, soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        """Print anything that rich can render."""
        self._console.print(what, highlight=False)
        if self._drawing and self._picture is not None:
            self._picture.add(what)

    @contextlib.contextmanager
    def drawn(self) -> Iterator[None]:
        """Let the picture, if one is wanted, have what is shown, and draw it."""
        self._drawing = True
        yield
        self._drawing = False
        if self._picture is not None:
            self._picture.save()

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

    @contextlib.contextmanager
    def live(self, board: Board) -> Iterator[Callable[[list[Received]], None]]:
        """Show the live view, whose last state stays; yields what renews it, given the alerts that came since."""
        log = AlertLog(self, SHOWN_ALERTS)
        view = Live(get_renderable=lambda: Dashboard(board), console=self._console, auto_refresh=False)

        def renew(new: list[Received]) -> None:
            if self._console.is_terminal:
                view.refresh()
            else:
                log.add(new)
            if self._picture is not None:
                self._picture.look(board)

        with view if self._console.is_terminal else contextlib.nullcontext():
            yield renew

    def alert(self, received: Received) -> None:
        """Show an alert on a line of its own."""
        self._console.print(alert_line(received), highlight=False, soft_wrap=True)

    def events(self, judgement: Judgement) -> None:
        """Show the table of events."""
        self.show(EventTable(judgement))

    def false_openings(self, judgement: Judgement) -> None:
        """List the false alerts, up to `SHOWN_FALSE`."""
        for received in judgement.false_openings[:SHOWN_FALSE]:
            self.alert(received)
        if len(judgement.false_openings) > SHOWN_FALSE:
            self.line(f"and {len(judgement.false_openings) - SHOWN_FALSE:,} more")

    def facts(self, facts: dict[str, str]) -> None:
        """Show names and values."""
        table = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            table.add_row(Text(name, "bold"), Text(value))
        self.show(_indented(table))


class AlertLog:
    """Shows alerts line by line, up to a number, and then once that there are more."""

    def __init__(self, screen: Screen, most: int) -> None:
        self._screen = screen
        self._left = most

    def add(self, new: list[Received]) -> None:
        """Show alerts."""
        for received in new:
            if self._left > 0:
                self._screen.alert(received)
            elif self._left == 0:
                self._screen.line("... more alerts follow; they are counted in the table and are on the topic")
            self._left -= 1


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2), expand=False)
