"""Autoregressive residual: the distance of a window's mean from what the last windows foretell.

Not here: slow deviations that predict themselves (``level``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.base import MAX_RAW, MemberScores, Parameters, ParameterSpec, scale_floor, unfitted
from models.detectors.level import MAD_TO_SIGMA
from models.features import WINDOW_FEATURES, BoolArray, FloatArray, History

# Past windows in the regression. Measured on 134 series of machines and services: neither the number of lags nor
# the ridge strength moves the detection quality; 32 coefficients keep a million sensors in 132 MB.
ORDER = 32
# L2 penalty on standardised values (dimensionless), equal for all coefficients.
RIDGE = 10.0
# Missing windows in a row that are bridged by the last known value; beyond, the detector does not judge.
MAX_CARRIED = 3
# Rows of the regression that a sensor needs, four for each coefficient: with fewer the coefficients follow the noise,
# and a fault that has long passed moves the expectation once more when it leaves the lags.
MIN_ROWS = 4 * ORDER
# Bytes of design matrix held at once while fitting (memory bound, not a tuning parameter).
CHUNK_BYTES = 64 * 2**20

_MEAN = WINDOW_FEATURES.column("mean")


class Autoregression:
    """Ridge regression AR(32) on the increment of the window mean, shrunk towards the random walk.

    With z the standardised mean, the increment ``z[t] - z[t-1]`` is regressed on the differences
    ``z[t-k] - z[t-1]`` (k = 2..32), the level ``z[t-1]`` and a constant. All coefficients 0 is the random walk
    "as before", to which the penalty pulls when the history says little (ridge regression: Hoerl & Kennard,
    Technometrics 12, 1970; shrinkage to the random walk: Litterman's prior, J. Bus. Econ. Stat. 4, 1986).
    The raw score is the absolute residual in units of its robust scale.

    Scores do not change when the sensor's values are shifted or multiplied by a positive number, except for
    constant sensors, whose scale follows their level.
    """

    name: ClassVar[str] = "autoregression"
    # The extra windows let the oldest lags be bridged too.
    lags: ClassVar[int] = ORDER + MAX_CARRIED
    parameters: ClassVar[Mapping[str, ParameterSpec]] = {
        "coefficients": ParameterSpec(np.dtype(np.float32), (ORDER + 1,)),
        # float64: a counter at 1e9 loses its noise in float32.
        "location": ParameterSpec(np.dtype(np.float64), ()),
        "scale": ParameterSpec(np.dtype(np.float64), ()),
        "residual": ParameterSpec(np.dtype(np.float64), ()),
    }

    def fit(self, history: History) -> Parameters:
        """Fit all sensors in chunks bounded by `CHUNK_BYTES`; too short histories stay NaN."""
        out = unfitted(self.parameters, len(history.keys))
        means = history.column("mean")
        for rows in _chunks(*means.shape):
            fitted = _fit_chunk(np.where(np.isfinite(means[rows]), means[rows], np.nan))
            for name, values in fitted.items():
                out[name][rows] = values
        return out

    def score(self, parameters: Parameters, features: FloatArray, lags: FloatArray) -> MemberScores:
        """Judge windows; see `models.base.Detector.score`."""
        location, scale, residual = (parameters[name] for name in ("location", "scale", "residual"))
        with np.errstate(over="ignore", invalid="ignore"):
            past = carry_forward(lags, MAX_CARRIED)[:, MAX_CARRIED:]
            design = _design((past - location[:, None]) / scale[:, None])
            increment = (design * parameters["coefficients"]).sum(axis=1)
            expected = past[:, -1] + scale * increment
            raw = np.minimum(np.abs(features[:, _MEAN] - expected) / residual, MAX_RAW)
        judged = np.isfinite(raw) & np.isfinite(features[:, _MEAN])
        return MemberScores(
            raw=np.where(judged, raw, np.nan),
            expected=np.where(judged, expected, np.nan),
            scale=np.where(judged, residual, np.nan),
            statistic=np.full(len(features), _MEAN),
        )


def carry_forward(values: FloatArray, limit: int) -> FloatArray:
    """Fill runs of NaN along the last axis with the value before them, at most `limit` steps far.

    Parameters
    ----------
    values : ndarray of float64, shape (n, L)
        Oldest first.
    limit : int
        Longest bridge in steps; what is farther from a value stays NaN.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    values = values.copy()
    # Right to left reads only values of the input: step k sees what is exactly k positions earlier.
    source = values.copy()
    for step in range(1, limit + 1):
        fill = np.zeros_like(missing)
        fill[:, step:] = missing[:, step:] & ~np.isnan(source[:, :-step])
        fill &= np.isnan(values)
        values[:, step:] = np.where(fill[:, step:], source[:, :-step], values[:, step:])
    return values


def _chunks(sensors: int, steps: int) -> Iterator[slice]:
    size = max(1, CHUNK_BYTES // max(1, steps * (ORDER + 1) * 8))
    return (slice(start, start + size) for start in range(0, sensors, size))


def _design(past: FloatArray) -> FloatArray:
    """Return (..., ORDER + 1) regressors of standardised past means (..., ORDER), oldest first."""
    last = past[..., -1:]
    return np.concatenate([past[..., :-1] - last, last, np.ones_like(last)], axis=-1)


def _fit_chunk(means: FloatArray) -> Parameters:
    """Fit sensors with window means (s, T), NaN where a window is missing."""
    sensors, steps = means.shape
    filled = carry_forward(means, MAX_CARRIED)
    usable = np.zeros((sensors, max(0, steps - ORDER)), bool)
    if steps > ORDER:
        past = sliding_window_view(filled, ORDER, axis=1)[:, :-1]
        # A bridged value may explain, but is never the target.
        usable = np.isfinite(past).all(axis=2) & np.isfinite(means[:, ORDER:])
    enough = usable.sum(axis=1) >= MIN_ROWS
    out = unfitted(Autoregression.parameters, sensors)
    if not enough.any():
        return out
    known = means[enough]
    location, spread = np.nanmedian(known, axis=1), np.nanstd(known, axis=1)
    floor = scale_floor(spread, location)
    scale = np.maximum(spread, floor)
    z = (filled[enough] - location[:, None]) / scale[:, None]
    coefficients, residuals = _ridge(z, usable[enough])
    robust = MAD_TO_SIGMA * np.nanmedian(np.abs(residuals), axis=1) * scale
    for name, values in zip(out, (coefficients, location, scale, np.maximum(robust, floor)), strict=True):
        out[name][enough] = values
    return out


def _ridge(z: FloatArray, usable: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Solve the penalised normal equations of each sensor.

    Parameters
    ----------
    z : ndarray of float64, shape (s, T)
        Standardised means, short gaps bridged.
    usable : ndarray of bool, shape (s, T - ORDER)
        Which rows of the regression count.

    Returns
    -------
    coefficients : ndarray of float64, shape (s, ORDER + 1)
    residuals : ndarray of float64, shape (s, T - ORDER)
        In units of z, NaN in unusable rows.
    """
    design = _design(sliding_window_view(z, ORDER, axis=1)[:, :-1])
    design = np.where(usable[:, :, None], design, 0.0)
    target = np.where(usable, z[:, ORDER:] - z[:, ORDER - 1 : -1], 0.0)
    turned = design.swapaxes(1, 2)
    gram = turned @ design + RIDGE * np.eye(ORDER + 1)
    coefficients = np.linalg.solve(gram, turned @ target[:, :, None]).astype(np.float64)
    residuals: FloatArray = target - (design @ coefficients)[:, :, 0]
    return coefficients[:, :, 0], np.where(usable, residuals, np.nan)
