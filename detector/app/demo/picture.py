"""What a terminal showed, as a drawing (SVG): a moment of the live view with an open incident, and the verdict.

It is drawn at a width of its own, whatever the terminal is, or if there is none. The file asks for no font and nothing
else from the network.

Not here: what is shown (``panel``, ``tables``).
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.segment import Segment, Segments
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from detector.app.demo.board import Board
from detector.app.demo.palette import SEVERITIES
from detector.app.demo.panel import BEST_ALERTS, Dashboard
from detector.errors import ConfigError, StorageError

WIDTH: Final = 110  # columns; a README shows some 1,000 pixels
HEIGHT: Final = 31  # lines of the live view
THEME: Final = TerminalTheme(
    background=(13, 17, 23),
    foreground=(222, 227, 233),
    normal=[
        (72, 79, 88),
        (240, 90, 80),
        (63, 185, 110),
        (210, 153, 60),
        (88, 166, 245),
        (188, 140, 250),
        (57, 197, 207),
        (201, 209, 217),
    ],
)
AT_THE_END: Final = Text("\n ⋮", "dim")  # between a moment on the way and what is said at the end
# rich's own form without its web fonts, its title bar and its clipping. Doubled braces are single ones in the file.
SVG: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="tidemark demo">
<style>
.{unique_id}-matrix {{
font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: {char_height}px; }}
{styles}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g transform="translate({terminal_x}, 22)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
CLIPPING: Final = re.compile(r' clip-path="[^"]*"')
VIEW: Final = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')  # whose numbers are sums of floats


class Picture:
    """Collects what is drawn, and draws it.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ConfigError
        If there can be no file: better now than after the demonstration.
    """

    def __init__(self, path: Path) -> None:
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"--picture {path} lies in no directory that exists; make it, or name another file")
        self._path = path
        self._moment: list[Segment] = []
        self._interest = (-1, 0, 0)
        self._verdict: list[RenderableType] = []
        self._console = Console(
            file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor", _environ={}
        )

    def look(self, board: Board) -> None:
        """Keep this moment unless the one that is kept shows more: an open incident, other colours, alerts."""
        states = [board.state(sensor) for sensor in board.sensors.values()]
        coloured = sum(state in {"resolved", *SEVERITIES} for state in states)
        interest = (min(1, board.open_incidents), coloured, min(BEST_ALERTS, board.alerts_seen))
        if interest >= self._interest:
            self._interest = interest
            self._moment = list(self._console.render(Dashboard(board, HEIGHT)))

    def add(self, shown: RenderableType) -> None:
        """Add a part of the verdict."""
        self._verdict.append(shown)

    def save(self) -> None:
        """Draw.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        self._console.print(Segments(self._moment), AT_THE_END, Group(*self._verdict), highlight=False)
        drawn = self._console.export_svg(title="", theme=THEME, code_format=SVG, unique_id="tidemark")
        drawn = VIEW.sub(
            lambda size: f'viewBox="0 0 {float(size[1]):.0f} {float(size[2]):.0f}"', CLIPPING.sub("", drawn)
        )
        try:
            self._path.write_text(drawn.replace("</text>", "</text>\n"), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written ({error.strerror}); name another --picture") from error
