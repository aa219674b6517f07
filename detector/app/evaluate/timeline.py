"""From windows to timestamps: which score holds when, and at which timestamp an incident begins and ends.

Not here: the scores (``entity``), the files they are written to (``files``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.features import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Timeline:
    """The timestamps of one entity under tumbling windows of one length.

    Attributes
    ----------
    us : ndarray of int64, shape (T,)
        Timestamps, microseconds since 1970, ascending, each once.
    train : int
        How many of them are history, 0 < train < T.
    length_us : int
        Length of a window, microseconds; windows begin at its multiples.
    """

    us: IntArray
    train: int
    length_us: int

    @property
    def live_from_us(self) -> int:
        """The first timestamp that is judged."""
        return int(self.us[self.train])

    @property
    def index(self) -> IntArray:
        """Index of the window that each timestamp lies in, shape (T,), as in `models.features.WindowBatch`."""
        index: IntArray = self.us // self.length_us + 1
        return index

    def is_history(self, index: IntArray) -> BoolArray:
        """Whether windows of these indices end before anything is judged, shape (n,)."""
        ended: BoolArray = index * self.length_us <= self.live_from_us
        return ended

    def hold(self, index: IntArray, score: FloatArray) -> FloatArray:
        """Return the score at each timestamp after the history.

        A window's score is that of its last timestamp, where all its records are known, and holds until the next one;
        a window without a score changes nothing. So a score depends on no record after its timestamp.

        Parameters
        ----------
        index : ndarray of int64, shape (n,)
            Windows, ascending, each once.
        score : ndarray of float64, shape (n,)
            NaN where there is none.

        Returns
        -------
        ndarray of float64, shape (T - train,)
            0 before the first score.
        """
        known = np.isfinite(score)
        index, score = index[known], score[known]
        own = self.index
        is_last = np.append(own[1:] != own[:-1], True)
        complete = np.where(is_last, own, own - 1)[self.train :]
        place = np.searchsorted(index, complete, side="right") - 1
        held = np.zeros(len(complete))
        held[place >= 0] = score[place[place >= 0]]
        return held

    def spans(self, incidents: Iterable[tuple[int, int | None]]) -> list[tuple[int, int]]:
        """Return the first and last position (0 to T - 1) of each incident, in order.

        It begins at the last timestamp of the window that opened it, at the first one judged if that window is
        history, and ends at the last timestamp of the window that resolved it, at the last of all if none did.

        Parameters
        ----------
        incidents : iterable of (int, int or None)
            Indices of the windows that opened and resolved each.
        """
        own, end = self.index, len(self.us) - 1
        found = []
        for opened, resolved in incidents:
            first = int(np.searchsorted(own, opened, side="right")) - 1
            last = end if resolved is None else int(np.searchsorted(own, resolved, side="right")) - 1
            found.append((max(first, self.train), max(last, self.train)))
        return sorted(found)
