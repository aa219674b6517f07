"""Numbers as people say them: ages, lengths of time, lists of names.

Not here: what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SHOWN: Final = 5  # names in a list
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
_SHORT: Final = 120.0  # seconds; below, seconds are told


def span(seconds: float) -> str:
    """Say a length of time in its largest unit that counts at least two, rounded down."""
    if seconds < 0.1:  # noqa: PLR2004 - a tenth of a second
        return f"{seconds * 1000:.0f} ms"
    if seconds < _SHORT:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - two digits are enough
    count, unit = next(
        ((seconds / size, unit) for size, unit in _UNITS if seconds >= 2 * size), (seconds / 60, "minute")
    )
    return f"{int(count)} {unit}s"


def size(count: float) -> str:
    """Say a number of bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the units are powers of it
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1024
    return f"{count:.1f} TiB"


def names(found: Sequence[str]) -> str:
    """List names; of many only the first."""
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """Say how many of something there are, with a plural where it needs one."""
    plural = noun if count == 1 else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {plural}"
