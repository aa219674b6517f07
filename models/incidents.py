"""Opening and closing of incidents: one at a time per sensor, with hysteresis.

An incident opens at the threshold and is resolved after some quiet windows in a row below a share of it.
None is closed by age alone: an old fault is still a fault. A window without a score changes nothing.

Not here: where scores come from (``ensemble``), what an alert looks like (``detector.pipeline.alerts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from models.features import BoolArray, FloatArray, IntArray
from models.profile import ScoringProfile
from models.state import NEVER, BucketState


class Transition(IntEnum):
    """What a window did to its sensor's incident."""

    NONE = 0
    OPENED = 1
    STILL_OPEN = 2
    RESOLVED = 3


@dataclass(frozen=True)
class IncidentSteps:
    """The incident of each of n windows.

    Attributes
    ----------
    transition : ndarray of int8, shape (n,)
        A `Transition`.
    opened_index : ndarray of int64, shape (n,)
        Index of the window that opened the incident, `NEVER` where the transition is NONE.
    peak : ndarray of float64, shape (n,)
        Highest score of the incident so far, NaN where the transition is NONE.
    """

    transition: NDArray[np.int8]
    opened_index: IntArray
    peak: FloatArray


def follow(
    state: BucketState, rows: IntArray, index: IntArray, score: FloatArray, profile: ScoringProfile
) -> IncidentSteps:
    """Advance the incidents of a bucket over windows in time order.

    Parameters
    ----------
    state : BucketState
        Its incident columns are updated; windows up to `BucketState.settled` open and resolve nothing.
    rows, index : ndarray of int64, shape (n,)
        Sensor rows and window indices, `index` ascending, a row at most once per index.
    score : ndarray of float64, shape (n,)
        NaN where there is none.
    profile : ScoringProfile
        Threshold, close ratio and quiet windows.
    """
    steps = IncidentSteps(np.zeros(len(rows), np.int8), np.full(len(rows), NEVER, np.int64), np.full(len(rows), np.nan))
    # Before that, a score may come from less history than there was when the incident was followed first.
    heeded, known = np.searchsorted(index, [state.settled - state.lags, state.settled], side="right").tolist()
    _remember(state, rows[heeded:known], index[heeded:known], score[heeded:known], profile)
    # Only windows of sensors that have an incident now, or reach the threshold in this call, can change anything.
    relevant = state.open_index != NEVER
    relevant[rows[known:][score[known:] >= profile.threshold]] = True
    at = known + np.flatnonzero(relevant[rows[known:]])
    for part in np.split(at, np.flatnonzero(np.diff(index[at])) + 1):
        opened = _advance(state, rows[part], index[part], score[part], profile)
        resolved = state.quiet[rows[part]] >= profile.quiet_windows
        is_open = state.open_index[rows[part]] != NEVER
        kind = np.where(resolved, Transition.RESOLVED, np.where(opened, Transition.OPENED, Transition.STILL_OPEN))
        steps.transition[part] = np.where(is_open, kind, Transition.NONE)
        steps.opened_index[part] = state.open_index[rows[part]]
        steps.peak[part] = state.peak[rows[part]]
        _forget(state, rows[part][resolved])
    return steps


def _remember(state: BucketState, rows: IntArray, index: IntArray, score: FloatArray, profile: ScoringProfile) -> None:
    """Follow the incidents that are open without resolving any."""
    at = np.flatnonzero((state.open_index[rows] != NEVER) & (index >= state.open_index[rows]))
    for part in np.split(at, np.flatnonzero(np.diff(index[at])) + 1):
        _count(state, rows[part], score[part], profile)
        state.quiet[rows[part]] = np.minimum(state.quiet[rows[part]], profile.quiet_windows - 1)


def _advance(
    state: BucketState, rows: IntArray, index: IntArray, score: FloatArray, profile: ScoringProfile
) -> BoolArray:
    """Open incidents of one window index, raise peaks and count quiet windows; return which were opened."""
    opening: BoolArray = (state.open_index[rows] == NEVER) & (score >= profile.threshold)
    state.open_index[rows[opening]] = index[opening]
    _count(state, rows, score, profile)
    return opening


def _count(state: BucketState, rows: IntArray, score: FloatArray, profile: ScoringProfile) -> None:
    """Raise peaks and count quiet windows of the incidents that are open, over windows of one index."""
    is_open = state.open_index[rows] != NEVER
    state.peak[rows[is_open]] = np.fmax(state.peak[rows[is_open]], score[is_open])
    quiet = is_open & (score < profile.close_ratio * profile.threshold)
    loud = is_open & (score >= profile.close_ratio * profile.threshold)
    state.quiet[rows[quiet]] += 1
    state.quiet[rows[loud]] = 0


def _forget(state: BucketState, rows: IntArray) -> None:
    state.open_index[rows] = NEVER
    state.peak[rows] = np.nan
    state.quiet[rows] = 0
