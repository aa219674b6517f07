"""The protocol of a detector, which says how surprising a window is, given the sensor's past.

**A higher score is more anomalous**, in this and every other module.

A detector is stateless and vectorised over sensors: parameters go in as rows, one per judged window.
It never sees the future, and what it says of a sensor does not depend on which others share the call.

Not here: what a raw score means as a probability (``calibration``), where past windows are kept (``state``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.features import FloatArray, History, IntArray

# Named arrays with one row per sensor; a row of NaN belongs to a sensor that could not be fitted.
Parameters: TypeAlias = dict[str, NDArray[Any]]

# Upper bound of a raw score (dimensionless). Values near the limits of float64 would otherwise become infinite,
# and an infinite score has no order; 1e12 deviations are beyond any meaning.
MAX_RAW = 1e12

# Smallest scale of a statistic as a share of the sensor's own spread (dimensionless). A statistic that never
# moved in training, on a sensor that does move, is judged at a thousandth of the sensor's spread.
SCALE_FLOOR = 1e-3

# Spread relative to the level below which a sensor counts as constant: the accuracy to which window sums are
# guaranteed, whatever the order of the records.
ROUNDING = 1e-9

# Scale of a constant sensor as a share of its level (dimensionless): 0.1 %, the order of the accuracy of industrial
# transmitters. Such a sensor has no spread of its own by which to judge a first change.
CONSTANT_SCALE = 1e-3


@dataclass(frozen=True)
class ParameterSpec:
    """Dtype and shape, without the leading sensor dimension, of one parameter array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class MemberScores:
    """What one detector says of n windows.

    Attributes
    ----------
    raw : ndarray of float64, shape (n,)
        Surprise, 0 to `MAX_RAW`, higher is more anomalous; NaN where the detector cannot judge.
    expected : ndarray of float64, shape (n,)
        Expected window mean in the sensor's unit.
    scale : ndarray of float64, shape (n,)
        The sensor's unit per unit of `raw`: ``expected +- raw * scale`` is as surprising as `raw`.
    statistic : ndarray of int64, shape (n,)
        Column of `WINDOW_FEATURES` that deviated most.
    """

    raw: FloatArray
    expected: FloatArray
    scale: FloatArray
    statistic: IntArray


class Detector(Protocol):
    """One way of being surprised by a window."""

    @property
    def name(self) -> str:
        """Identifier in profiles, artifacts and alerts; never changed once published."""

    @property
    def lags(self) -> int:
        """Number of past windows that `score` looks at."""

    @property
    def parameters(self) -> Mapping[str, ParameterSpec]:
        """Names, dtypes and row shapes of what `fit` returns."""

    def fit(self, history: History) -> Parameters:
        """Fit every sensor of `history` on all of its windows.

        Returns
        -------
        dict of str to ndarray
            Arrays of leading dimension S as in `parameters`; NaN rows where a sensor cannot be fitted.
        """

    def score(self, parameters: Parameters, features: FloatArray, lags: FloatArray) -> MemberScores:
        """Judge n windows.

        Parameters
        ----------
        parameters : dict of str to ndarray
            Row i belongs to the sensor of window i.
        features : ndarray of float64, shape (n, F)
            The windows that are judged.
        lags : ndarray of float64, shape (n, L)
            Means of the L = `lags` windows before each, oldest first, NaN where one is missing.
        """


def scale_floor(spread: FloatArray, level: FloatArray) -> FloatArray:
    """Return the smallest scale by which a sensor's deviations are divided.

    Parameters
    ----------
    spread, level : ndarray of float64, shape (S,)
        Spread (>= 0) and location of the sensor's window means, in the sensor's unit.

    Returns
    -------
    ndarray of float64, shape (S,)
        Positive, in the sensor's unit: `SCALE_FLOOR` of the spread or, for a constant sensor,
        `CONSTANT_SCALE` of the level (of 1 where the level is 0).
    """
    magnitude = np.abs(level)
    constant = spread <= ROUNDING * magnitude
    stand_in = CONSTANT_SCALE * np.where(magnitude > 0, magnitude, 1.0)
    return np.where(constant, stand_in, SCALE_FLOOR * spread)


def select_rows(parameters: Mapping[str, NDArray[Any]], rows: IntArray) -> Parameters:
    """Return the parameters of the sensors in `rows`, shape (n,), in that order."""
    return {name: array[rows] for name, array in parameters.items()}


def unfitted(specs: Mapping[str, ParameterSpec], sensors: int) -> Parameters:
    """Return parameters of `sensors` sensors that are all NaN."""
    return {name: np.full((sensors, *spec.shape), np.nan, spec.dtype) for name, spec in specs.items()}
