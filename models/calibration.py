"""From a raw score to the probability of one as high: an empirical body and a generalised Pareto tail per sensor.

Calibrated on windows *later* than those that were fitted on: in-sample residuals are too small, and a threshold
set from them alarms too often.

Not here: combining members (``ensemble``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base import ParameterSpec
from models.features import FloatArray, IntArray

# Probabilities of a score at least as high, at the knots of the body; the tail begins at the last one.
SURVIVAL = np.array([1.0, 0.75, 0.5, 0.25, 0.1])
_LOG_SURVIVAL = -np.log10(SURVIVAL)
_MEDIAN = 2  # position of the median among the knots

# Scores that a sensor needs for a calibration: fewer do not reach the beginning of the tail.
MIN_SCORES = 16
# Weight of the bucket's pooled tail, in exceedances: a sensor with as many of its own counts half.
POOL_WEIGHT = 20.0
# Shape towards which a small pool itself is drawn, as if by `POOL_WEIGHT` exceedances: that of a Student t with
# five degrees of freedom (tail index 1 / 5). Residuals of machines are heavier than normal, and too light a tail
# is the error that floods an operator.
PRIOR_SHAPE = 0.2
# Mean exceedance of a tail in units of (tail beginning - median), where no sensor can tell: that of an
# exponential distribution, 1 / ln 5.
PRIOR_RATIO = 1.0 / math.log(5.0)
# Sensors whose mean exceedance, in units of their spread, is more than this multiple of the bucket's median stay out
# of the pool: an incident in the calibration slice of one must not deafen its neighbours.
OUTLYING = 5.0
# Limits of the shape: above 1/2 the tail has no variance and probability-weighted moments no use (Hosking & Wallis
# 1987, section 3); below 0 it would end, and a score beyond would be "impossible".
MAX_SHAPE = 0.5
# Smallest scale of a tail in units of a raw score. Raw scores are deviations in units of their usual size, so that
# a thousandth is far below anything that matters; it keeps a sensor that never deviates from dividing by zero.
MIN_SCALE = 1e-3

SPECS: Mapping[str, ParameterSpec] = {
    "knots": ParameterSpec(np.dtype(np.float32), (len(SURVIVAL),)),
    "scale": ParameterSpec(np.dtype(np.float32), ()),
    "shape": ParameterSpec(np.dtype(np.float32), ()),
}


@dataclass(frozen=True)
class TailModel:
    """Distributions of the raw scores of S sensors; NaN rows could not be calibrated.

    Attributes
    ----------
    knots : ndarray of float32, shape (S, 5)
        Raw scores at `SURVIVAL`, ascending.
    scale, shape : ndarray of float32, shape (S,)
        Generalised Pareto parameters of the exceedances over the last knot, both > 0.
    """

    knots: NDArray[np.float32]
    scale: NDArray[np.float32]
    shape: NDArray[np.float32]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TailModel:
        """Build from arrays as in `SPECS`."""
        return cls(arrays["knots"], arrays["scale"], arrays["shape"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays as in `SPECS`."""
        return {"knots": self.knots, "scale": self.scale, "shape": self.shape}

    def rows(self, rows: IntArray) -> TailModel:
        """Return the distributions of the sensors in `rows`, shape (n,)."""
        return TailModel(self.knots[rows], self.scale[rows], self.shape[rows])

    def log_tail(self, raw: FloatArray) -> FloatArray:
        """Return ``-log10`` of the probability of a score at least as high.

        Parameters
        ----------
        raw : ndarray of float64, shape (S,)
            One score per sensor.

        Returns
        -------
        ndarray of float64, shape (S,)
            0 or more, finite, never falling with `raw`; NaN where either side is NaN.
        """
        knots = self.knots.astype(np.float64)
        out = np.zeros(len(raw))
        for j in range(len(SURVIVAL) - 1):
            out += _ramp(raw, knots[:, j], knots[:, j + 1]) * (_LOG_SURVIVAL[j + 1] - _LOG_SURVIVAL[j])
        shape, scale = self.shape.astype(np.float64), self.scale.astype(np.float64)
        beyond = np.maximum(raw - knots[:, -1], 0.0)
        return out + np.log1p(shape * beyond / scale) / (shape * math.log(10.0))

    def quantile(self, probability: float) -> FloatArray:
        """Return the raw score that is reached with `probability` (0 < p <= 1), shape (S,): undoes `log_tail`."""
        target = -math.log10(probability)
        knots = self.knots.astype(np.float64)
        out = knots[:, 0].copy()
        for j in range(len(SURVIVAL) - 1):
            width = _LOG_SURVIVAL[j + 1] - _LOG_SURVIVAL[j]
            out += min(max((target - _LOG_SURVIVAL[j]) / width, 0.0), 1.0) * (knots[:, j + 1] - knots[:, j])
        shape, scale = self.shape.astype(np.float64), self.scale.astype(np.float64)
        beyond = max(target - float(_LOG_SURVIVAL[-1]), 0.0)
        return out + scale / shape * np.expm1(shape * beyond * math.log(10.0))


def calibrate(raw: FloatArray) -> TailModel:
    """Estimate the distribution of each sensor's raw scores.

    The body is a few empirical quantiles (plotting positions k / (n + 1), whose exceedance probability is
    unbiased). The tail over the upper tenth is a generalised Pareto distribution by probability-weighted moments
    (Hosking & Wallis, "Parameter and quantile estimation for the generalized Pareto distribution", Technometrics
    29, 1987, section 3). Few exceedances say little of a tail, so that shape and size are averaged with the
    bucket's by their number against `POOL_WEIGHT`. The shape is at least one over
    that sum: the tail that remains when the scale of an exponential is known from as many observations only.

    Parameters
    ----------
    raw : ndarray of float64, shape (S, T)
        Scores of the calibration slice, NaN where there is none.

    Returns
    -------
    TailModel
        Rows of NaN for sensors with fewer than `MIN_SCORES` scores.
    """
    ordered = np.sort(raw, axis=1)  # NaN last
    count = np.isfinite(raw).sum(axis=1)
    enough = np.flatnonzero(count >= MIN_SCORES)
    knots = np.full((len(raw), len(SURVIVAL)), np.nan, np.float32)
    scale, shape = np.full(len(raw), np.nan, np.float32), np.full(len(raw), np.nan, np.float32)
    ordered, count = ordered[enough], count[enough]
    body = _quantiles(ordered, count, 1.0 - SURVIVAL)
    knots[enough] = body
    scale[enough], shape[enough] = _tails(ordered, count, body)
    return TailModel(knots, scale, shape)


def _ramp(raw: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Rise from 0 at `low` to 1 at `high`; a step just above `low` where they are equal."""
    width = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        sloped = np.clip((raw - low) / width, 0.0, 1.0)
    return np.where(width > 0, sloped, np.where(np.isnan(raw) | np.isnan(low), np.nan, raw > low))


def _quantiles(ordered: FloatArray, count: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return quantiles (S, Q) of ascending rows of which the first `count` are numbers."""
    position = np.clip(count[:, None] * probabilities + probabilities - 1.0, 0.0, count[:, None] - 1.0)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, count[:, None] - 1)
    below, above = np.take_along_axis(ordered, low, axis=1), np.take_along_axis(ordered, high, axis=1)
    return below + (position - low) * (above - below)


def _tails(ordered: FloatArray, count: IntArray, body: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return generalised Pareto scale and shape of the exceedances over the last knot, each (S,)."""
    # Over the score at or below the knot: over the interpolated knot the first exceedance would be only a part of
    # the gap that it closes, and tails of few scores would look too heavy in shape and too small in size.
    position = np.maximum(np.floor((1.0 - SURVIVAL[-1]) * (count + 1) - 1.0), 0).astype(np.int64)
    excess = ordered - np.take_along_axis(ordered, position[:, None], axis=1)
    above = excess > 0  # False for NaN
    number = above.sum(axis=1)
    excess = np.where(above, excess, 0.0)
    mean = excess.sum(axis=1) / np.maximum(number, 1)
    # Rank from the top of each exceedance, 0 for the highest: ascending order keeps them at the end of the numbers.
    from_top = np.where(above, number[:, None] - np.cumsum(above, axis=1), 0)
    weighted = (excess * from_top).sum(axis=1) / np.maximum(number * (number - 1), 1)
    spread = body[:, -1] - body[:, _MEDIAN]
    pool_ratio, pool_shape = _pool(number, mean, weighted, spread)
    own_shape = np.where(number > 1, _shape(mean, weighted), pool_shape)
    total = number + POOL_WEIGHT
    shape = np.clip((number * own_shape + POOL_WEIGHT * pool_shape) / total, 1.0 / total, MAX_SHAPE)
    mean = (number * mean + POOL_WEIGHT * pool_ratio * spread) / total
    return np.maximum(mean * (1.0 - shape), MIN_SCALE), shape


def _shape(mean: FloatArray, weighted: FloatArray) -> FloatArray:
    """Return the generalised Pareto shape of two probability-weighted moments, 0 where they tell none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = 2.0 - mean / (mean - 2.0 * weighted)
    return np.where(np.isfinite(shape), np.clip(shape, -MAX_SHAPE, MAX_SHAPE), 0.0)


def _pool(number: IntArray, mean: FloatArray, weighted: FloatArray, spread: FloatArray) -> tuple[float, float]:
    """Return (mean exceedance / spread, shape) of the bucket.

    Moments are averaged before the shape is taken of them: the shape of two exceedances is worth nothing, the
    average moments of a thousand pairs are.
    """
    told = (number > 1) & (mean > 0) & (spread > 0)
    if not told.any():
        return PRIOR_RATIO, PRIOR_SHAPE
    ratio = mean[told] / spread[told]
    inner = np.flatnonzero(told)[ratio <= OUTLYING * np.median(ratio)]
    weight = number[inner]
    size = (weight * spread[inner]).sum()
    first, second = (weight * mean[inner]).sum() / size, (weight * weighted[inner]).sum() / size
    shape = float(_shape(np.array([first]), np.array([second]))[0])
    trust = weight.sum() / (weight.sum() + POOL_WEIGHT)
    return (
        PRIOR_RATIO + trust * (float(first) - PRIOR_RATIO),
        PRIOR_SHAPE + trust * (shape - PRIOR_SHAPE),
    )
