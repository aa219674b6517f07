"""Which records came too late: after all of their windows had been closed, or after some of them.

The rule is Spark's. A micro-batch leaves out what was closed by the watermark of the batch *before* it, which was the
one that let those windows go; a window is closed when the watermark has reached its end. With deduplication a record is
held against the watermark itself, before it gets to a window.

Not here: the watermark of a batch (``detector.app.checkpoint``), reading records again
(``detector.kafka.dead_letter``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.pipeline.windows import WindowSpec

LATE: Final = "late"  # the reason of a dead letter that decodes
NO_WATERMARK_US: Final = 0  # what Spark takes before it has a watermark: windows before 1970 are closed from the start


class Lateness(NamedTuple):
    """Of n records: which were late, and which only for some of their windows."""

    late: NDArray[np.bool_]
    partly: NDArray[np.bool_]


def window_ends(event_us: NDArray[np.int64], shape: WindowSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when the first and the last of each record's windows end.

    Parameters
    ----------
    event_us : ndarray of int64, shape (n,)
        Event times, microseconds since 1970.
    shape : WindowSpec
        Length and slide.

    Returns
    -------
    ndarray of int64, ndarray of int64, shape (n,) each
        Microseconds since 1970, exclusive; equal where windows do not overlap.
    """
    slide = _us(shape.slide_seconds)
    newest_start = event_us // slide * slide
    return newest_start + slide, newest_start + _us(shape.length_seconds)


def lateness(event_us: NDArray[np.int64], closed_until_us: NDArray[np.int64] | int, shape: WindowSpec) -> Lateness:
    """Tell which records came too late.

    Parameters
    ----------
    event_us : ndarray of int64, shape (n,)
        Event times of valid records, microseconds since 1970.
    closed_until_us : int, or ndarray of int64, shape (n,)
        Watermark of the batch before theirs, microseconds since 1970; `NO_WATERMARK_US` where there was none.
    shape : WindowSpec
        Length, slide and deduplication.

    Returns
    -------
    Lateness
        A record is one or the other or neither, never both.
    """
    if shape.dedup == "within_window":
        late = event_us <= closed_until_us
        return Lateness(late, np.zeros(len(event_us), np.bool_))
    first_end, last_end = window_ends(event_us, shape)
    late = last_end <= closed_until_us
    return Lateness(late, (first_end <= closed_until_us) & ~late)


def watermark_us(watermark: float | None) -> int:
    """Return a watermark in epoch seconds, as the checkpoint has it, in microseconds since 1970."""
    return NO_WATERMARK_US if watermark is None else round(watermark * 1_000_000)


def _us(seconds: float) -> int:
    return round(seconds * 1_000) * 1_000  # windows are told to Spark in milliseconds
