"""Marks and colours of the demonstration: legible on light and dark terminals, and never a colour without a sign.

Not here: where they are used (``panel``, ``tables``, ``view``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detector.app.demo.board import State


@dataclass(frozen=True)
class Mark:
    """How a state looks.

    Parameters
    ----------
    sign : str
        One cell wide.
    word : str
        What it means, at most `WORD_WIDTH` cells.
    style : str
        Of both.
    """

    sign: str
    word: str
    style: str


# Fixed colours of the 256 have a contrast of 3 or more on white and on black; "dim" and the default follow the theme.
MINOR: Final = "color(136)"
MAJOR: Final = "color(166)"
CRITICAL: Final = "bold color(196)"
GOOD: Final = "color(29)"
NEW: Final = "color(98)"
CALM: Final = "color(67)"

MARKS: Final[dict[State, Mark]] = {
    "normal": Mark("·", "normal", "dim"),
    "learning": Mark("◇", "learning", NEW),
    "silent": Mark("○", "no data", MINOR),
    "resolved": Mark("✓", "resolved", GOOD),
    "minor": Mark("▲", "minor", MINOR),
    "major": Mark("▲", "major", MAJOR),
    "critical": Mark("▲", "critical", CRITICAL),
}
WORD_WIDTH: Final = max(len(mark.word) for mark in MARKS.values())
SEVERITIES: Final[tuple[State, ...]] = ("minor", "major", "critical")
