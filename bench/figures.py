"""Figures and tables: medians with their spread, and the markdown they are printed in.

Not here: what is measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing.

    Attributes
    ----------
    values : tuple of float
        At least one.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse to summarise nothing with ValueError."""
        if not self.values:
            raise ValueError("no measurement; the run was too short for one, make it longer")

    @property
    def median(self) -> float:
        """The middle value, the mean of the two middle ones where their number is even."""
        return statistics.median(self.values)

    def text(self, digits: int = 0) -> str:
        """Write the median, and lowest and highest where there are several."""
        median = f"{self.median:,.{digits}f}"
        if len(self.values) == 1:
            return median
        return f"{median} ({min(self.values):,.{digits}f} to {max(self.values):,.{digits}f})"

    def to_json(self) -> dict[str, Any]:
        """Return median and all values as plain JSON."""
        return {"median": self.median, "values": list(self.values)}


def percentiles(values: Sequence[float], ranks: Sequence[float]) -> tuple[float, ...]:
    """Return percentiles by linear interpolation; ValueError without values."""
    if not values:
        raise ValueError("no measurement; the run was too short for one, make it longer")
    return tuple(float(value) for value in np.percentile(values, ranks))


@dataclass(frozen=True)
class Table:
    """A markdown table with a title and what a reader must know to read it.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple of str
        Each as long as `columns`.
    notes : tuple of str
        One sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Render it; numbers stand on the right, the first column on the left."""
        lines = [f"### {self.title}", "", _row(self.columns), _row(["---", *["---:"] * (len(self.columns) - 1)])]
        lines += [_row(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Outcome:
    """What a part hands back: its tables, raw figures, and what was not as it must be.

    Attributes
    ----------
    tables : tuple of Table
    raw : dict
        Plain JSON.
    complaints : tuple of str
        Empty when every check held.
    """

    tables: tuple[Table, ...]
    raw: dict[str, Any]
    complaints: tuple[str, ...] = field(default=())


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
