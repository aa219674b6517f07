"""Robust level deviation: the distance of a window's mean, deviation, minimum and maximum from their usual place.

Not here: anything that depends on the order of windows (``autoregression``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from models.base import MAX_RAW, MemberScores, Parameters, ParameterSpec, scale_floor, unfitted
from models.features import WINDOW_FEATURES, FloatArray, History

STATISTICS = ("mean", "std", "min", "max")
_COLUMNS = np.array([WINDOW_FEATURES.column(name) for name in STATISTICS])

_MEAN, _STD = STATISTICS.index("mean"), STATISTICS.index("std")
_COUNT_COLUMN = WINDOW_FEATURES.column("count")

# Windows a sensor needs: a median absolute deviation of fewer is mostly chance (its efficiency is 37 %).
MIN_WINDOWS = 8

# Factors that make the median and the mean absolute deviation estimate the standard deviation of a normal
# distribution (Iglewicz & Hoaglin, "How to Detect and Handle Outliers", 1993, sections 3.2-3.3).
MAD_TO_SIGMA = 1.4826
MEAN_AD_TO_SIGMA = 1.2533


class Level:
    """Largest robust z-score over four statistics of a window.

    The standard deviation is compared as a logarithm, so that a sensor that is stuck is as far from its usual noise
    as one that is much noisier, and never more finely than its own sampling error for n records, 1 / sqrt(2 (n - 1))
    (Ahn & Fessler, "Standard errors of mean, variance, and standard deviation estimators", 2003). A window of one
    record has no deviation to compare.

    Per statistic, the distance to the sensor's median in units of its scaled median absolute deviation.
    Where more than half of the windows are equal that deviation is 0 and the mean absolute deviation takes its
    place (Iglewicz & Hoaglin 1993, section 3.3); both rest on the floor of `scale_floor`.

    Scores do not change when the sensor's values are shifted or multiplied by a positive number, except for
    constant sensors, whose scale follows their level.
    """

    name: ClassVar[str] = "level"
    lags: ClassVar[int] = 0
    parameters: ClassVar[Mapping[str, ParameterSpec]] = {
        # float64: a counter at 1e9 loses its noise in float32.
        "location": ParameterSpec(np.dtype(np.float64), (len(STATISTICS),)),
        "scale": ParameterSpec(np.dtype(np.float64), (len(STATISTICS),)),
    }

    def fit(self, history: History) -> Parameters:
        """Fit medians and scales; sensors with fewer than `MIN_WINDOWS` windows stay NaN."""
        out = unfitted(self.parameters, len(history.keys))
        rows = np.flatnonzero(history.observed.sum(axis=1) >= MIN_WINDOWS)
        location, scale = out["location"], out["scale"]
        location[rows, _MEAN], usual = _robust(history.column("mean")[rows])
        floor = scale_floor(usual, location[rows, _MEAN])
        scale[rows, _MEAN] = np.maximum(usual, floor)
        for j, name in enumerate(STATISTICS):
            values = history.column(name)[rows]
            if j == _STD:
                smallest = scale_floor(scale[rows, _MEAN], location[rows, _MEAN])
                location[rows, j], scale[rows, j] = _robust(_log_deviation(history.features[rows], smallest[:, None]))
            elif j != _MEAN:
                location[rows, j], spread = _robust(values)
                scale[rows, j] = np.maximum(spread, floor)
        return out

    def score(self, parameters: Parameters, features: FloatArray, lags: FloatArray) -> MemberScores:  # noqa: ARG002 - the protocol passes lags to every detector
        """Judge windows; see `models.base.Detector.score`."""
        location, scale = parameters["location"], parameters["scale"].copy()
        values = features[:, _COLUMNS]
        values[:, _STD] = _log_deviation(features, scale_floor(scale[:, _MEAN], location[:, _MEAN]))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scale[:, _STD] = np.maximum(scale[:, _STD], 1 / np.sqrt(2 * (features[:, _COUNT_COLUMN] - 1)))
            deviation = np.abs(values - location) / scale
        deviation = np.where(np.isnan(deviation), -1.0, np.minimum(deviation, MAX_RAW))
        worst = deviation.argmax(axis=1) if len(deviation) else np.zeros(0, np.int64)
        raw = np.take_along_axis(deviation, worst[:, None], axis=1)[:, 0]
        # Without a mean there is no window; a missing deviation or extreme alone does not silence the rest.
        judged = (raw >= 0) & np.isfinite(features[:, _COLUMNS[0]])
        return MemberScores(
            raw=np.where(judged, raw, np.nan),
            expected=np.where(judged, location[:, 0], np.nan),
            scale=np.where(judged, scale[:, 0], np.nan),
            statistic=_COLUMNS[worst],
        )


def _log_deviation(features: FloatArray, floor: FloatArray) -> FloatArray:
    """Return log(standard deviation + floor) of windows, (..., F) -> (...); NaN for windows of one record."""
    several = features[..., _COUNT_COLUMN] > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(several, np.log(features[..., _COLUMNS[_STD]] + floor), np.nan)


def _robust(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return median and robust scale (>= 0) of each row of (S, T), NaN left out and for rows without values."""
    location = np.full(len(values), np.nan)
    scale = np.full(len(values), np.nan)
    some = np.isfinite(values).any(axis=1)
    values = np.where(np.isfinite(values[some]), values[some], np.nan)
    middle = np.nanmedian(values, axis=1) if some.any() else np.empty(0)
    distance = np.abs(values - middle[:, None])
    if some.any():
        median_ad = MAD_TO_SIGMA * np.nanmedian(distance, axis=1)
        mean_ad = MEAN_AD_TO_SIGMA * np.nanmean(distance, axis=1)
        location[some], scale[some] = middle, np.where(median_ad > 0, median_ad, mean_ad)
    return location, scale
