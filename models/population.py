"""The model of all sensors together, which judges those that have no model of their own yet.

A window is described relative to its sensor's last windows, without a unit, so that one model serves every sensor.
Two members look at it: an isolation forest, which sees combinations that are rare though none of their parts is, and
the largest deviation, which goes on rising where every cut of the forest has long been passed. Each is calibrated
like any member; the larger log-tail of the two is calibrated once more, so that 3.0 means one in a thousand here too.
(The mean, as sensors' own members have it, found fewer faults at the same rate: the forest cannot say "a million to
one".) A sensor is judged from the first window on that has `MIN_PAST` before it.

Not here: the forest itself (``detectors.isolation_forest``), choosing who judges a sensor (``ensemble``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import MAX_RAW, scale_floor
from models.calibration import MIN_SCALE, OUTLYING, SURVIVAL, TailModel, calibrate
from models.detectors.isolation_forest import POINTS_PER_TREE, IsolationForest, fit_isolation_forest
from models.detectors.level import MAD_TO_SIGMA
from models.encoding import pack, unpack
from models.features import WINDOW_FEATURES, BoolArray, FloatArray, History, IntArray
from models.profile import POPULATION_LAGS

# Past windows that a sensor needs: a median absolute deviation of fewer is mostly chance (as in ``detectors.level``).
MIN_PAST = 8
# Windows of all buckets together to fit on, and as many to calibrate on: the tail beyond one in a thousand still
# holds over a hundred, and the forest judges them in two seconds.
SAMPLE_WINDOWS = 131_072
# Windows that a calibration needs: fewer do not reach one in a hundred.
MIN_CALIBRATION = 256

_KIND, _VERSION = "sample", 1
# Windows of either kind that a drawn sensor gives, at least: its upper tenth is then more than a handful.
WINDOWS_PER_SENSOR = 64

# Smallest deviation within a window in units of the spread of the last means: a stuck sensor has none at all.
_LEAST_NOISE = 1e-3
_MEAN, _STD, _MIN, _MAX, _FIRST, _LAST, _COUNT = (
    WINDOW_FEATURES.column(name) for name in ("mean", "std", "min", "max", "first", "last", "count")
)
# Rows of `Population.tails`: the two members, then these.
_TOGETHER, _DISTANCE = 2, 3
TAILS = 4
# What a window is described by, and the statistic to name where it is what deviates.
RELATIVE = ("level", "step", "top", "bottom", "noise", "trend")
_STATISTIC = np.array([_MEAN, _MEAN, _MAX, _MIN, _STD, WINDOW_FEATURES.column("slope")])


@dataclass(frozen=True)
class Relative:
    """n windows relative to the past of their sensors; NaN rows where there is too little of it.

    Attributes
    ----------
    points : ndarray of float64, shape (n, 6)
        Columns of `RELATIVE`, dimensionless.
    centre, spread : ndarray of float64, shape (n,)
        Median and robust spread (> 0) of the past means, in the sensor's unit.
    """

    points: FloatArray
    centre: FloatArray
    spread: FloatArray

    @property
    def usable(self) -> BoolArray:
        """Which windows can be judged, shape (n,)."""
        return np.asarray(np.isfinite(self.points).all(axis=1))


@dataclass(frozen=True)
class PopulationSample:
    """What one bucket contributes.

    Attributes
    ----------
    fit, calibration : ndarray of float64, shapes (n, 6) and (m, 6)
        Points to fit on, and later points to calibrate on.
    origin : ndarray of int64, shape (m,)
        Number of the sensor, within the bucket, of each point to calibrate on.
    """

    fit: FloatArray
    calibration: FloatArray
    origin: IntArray

    def to_bytes(self) -> bytes:
        """Return the sample's bytes, for the way from where it is drawn to where it is fitted."""
        return pack(_KIND, _VERSION, {}, vars(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> PopulationSample:
        """Undo `to_bytes`; errors as `models.encoding.unpack`."""
        _, arrays = unpack(data, _KIND, _VERSION, "sample of a bucket")
        return cls(**arrays)


@dataclass(frozen=True)
class PopulationScores:
    """What the population's model says of n windows; NaN where there is too little past.

    Attributes
    ----------
    log_tails : ndarray of float64, shape (n, 2)
        ``-log10`` tail probability by each of `models.profile.POPULATION`.
    score : ndarray of float64, shape (n,)
        The same of both together.
    expected, half : ndarray of float64, shape (n,)
        Expected window mean and the distance of its bounds at a false-alarm rate, in the sensor's unit.
    statistic : ndarray of int64, shape (n,)
        Column of `WINDOW_FEATURES` that deviated most.
    """

    log_tails: FloatArray
    score: FloatArray
    expected: FloatArray
    half: FloatArray
    statistic: IntArray


@dataclass(frozen=True)
class PopulationMembers:
    """The two fitted members.

    Attributes
    ----------
    forest : IsolationForest
    usual, width : ndarray of float64, shape (6,)
        Median and scaled median absolute deviation (> 0) of each column of `RELATIVE`.
    """

    forest: IsolationForest
    usual: FloatArray
    width: FloatArray

    def strange(self, points: FloatArray) -> FloatArray:
        """Return how far each column of points (n, 6) is from its usual place, in units of its width."""
        distance: FloatArray = np.abs(points - self.usual) / self.width
        return distance

    def raw(self, points: FloatArray) -> FloatArray:
        """Return the members' scores of points (n, 6), shape (2, n), in the order of `models.profile.POPULATION`."""
        # The forest sees a scale that is logarithmic far out: its random cuts would all fall there otherwise.
        return np.stack([self.forest.score(np.arcsinh(points)), np.minimum(self.strange(points).max(axis=1), MAX_RAW)])


@dataclass(frozen=True)
class Population:
    """The members and what their scores mean.

    Attributes
    ----------
    members : PopulationMembers
    tails : TailModel
        One row each: of the two members' scores, of the larger log-tail of both, and of ``|mean - centre| / spread``,
        which gives the bounds.
    """

    members: PopulationMembers
    tails: TailModel

    def judge(self, features: FloatArray, lags: FloatArray, false_alarm_rate: float) -> PopulationScores:
        """Judge n windows of any sensors.

        Parameters
        ----------
        features : ndarray of float64, shape (n, F)
        lags : ndarray of float64, shape (n, `POPULATION_LAGS`)
            As for `models.base.Detector.score`.
        false_alarm_rate : float
            Of the bounds, 0 to 1.
        """
        n = len(features)
        relative = relative_to_past(features, lags)
        usable = relative.usable
        points = relative.points[usable]
        score, expected, half = np.full((3, n), np.nan)
        out = PopulationScores(np.full((n, 2), np.nan), score, expected, half, np.full(n, _MEAN))
        log_tails = [_log_tail(self.tails, row, raw) for row, raw in enumerate(self.members.raw(points))]
        out.log_tails[usable] = np.stack(log_tails, axis=1)
        out.score[usable] = _log_tail(self.tails, _TOGETHER, out.log_tails[usable].max(axis=1))
        out.expected[usable] = relative.centre[usable]
        out.half[usable] = relative.spread[usable] * self.tails.quantile(false_alarm_rate)[_DISTANCE]
        out.statistic[usable] = _STATISTIC[self.members.strange(points).argmax(axis=1)]
        return out


def relative_to_past(features: FloatArray, lags: FloatArray) -> Relative:
    """Describe windows by their distance from the last ones of the same sensor, in units of the past means' spread.

    Parameters
    ----------
    features : ndarray of float64, shape (n, F)
    lags : ndarray of float64, shape (n, L)
        Means of the windows before each, oldest first, NaN where one is missing.
    """
    past, enough = lags, np.isfinite(lags).sum(axis=1) >= MIN_PAST
    points = np.full((len(features), len(RELATIVE)), np.nan)
    centre, spread = np.full((2, len(features)), np.nan)
    if not enough.any():
        return Relative(points, centre, spread)
    past, window = past[enough], features[enough]
    with np.errstate(over="ignore", invalid="ignore"):
        middle = np.nanmedian(past, axis=1)
        distance = np.abs(past - middle[:, None])
        usual = MAD_TO_SIGMA * np.nanmedian(distance, axis=1)
        usual = np.maximum(usual, scale_floor(np.nanmax(distance, axis=1), middle))
        before = _last_known(past)

        def far(values: FloatArray, reference: FloatArray) -> FloatArray:
            return np.asarray(np.clip((values - reference) / usual, -MAX_RAW, MAX_RAW))

        several = window[:, _COUNT] > 1
        noise = np.where(several, np.log(window[:, _STD] / usual + _LEAST_NOISE), 0.0)
        mean, top, bottom = window[:, _MEAN], window[:, _MAX], window[:, _MIN]
        columns = (
            *(far(mean, middle), far(mean, before), far(top, middle), far(bottom, middle), noise),
            far(window[:, _LAST], window[:, _FIRST]),
        )
        points[enough] = np.stack(columns, axis=1)
    centre[enough], spread[enough] = middle, usual
    return Relative(points, centre, spread)


def sample_windows(history: History, in_fit: BoolArray, most: int, seed: int) -> PopulationSample:
    """Draw the windows by which a bucket takes part in the population.

    Each is seen with a past of random length from `MIN_PAST` on, since that is how new sensors will be seen.

    Parameters
    ----------
    history : History
    in_fit : ndarray of bool, shape (S, T)
        Windows to fit on; observed ones outside are to calibrate on.
    most : int
        Windows to draw of either kind, or as many as there are.
    seed : int
        Of the draws.
    """
    rng = np.random.default_rng(seed)
    means = history.column("mean")
    means = np.where(np.isfinite(means), means, np.nan)
    before = np.cumsum(np.isfinite(means), axis=1) - np.isfinite(means)
    eligible = history.observed & (before >= MIN_PAST)
    # Enough windows of each of some sensors, rather than one of each: how a sensor's own scores spread must be seen.
    sensors = np.sort(rng.permutation(len(means))[: max(1, most // WINDOWS_PER_SENSOR)])
    each = most // max(1, len(sensors))

    def draw(part: BoolArray) -> tuple[FloatArray, IntArray]:
        steps = [np.flatnonzero(part[sensor]) for sensor in sensors]
        steps = [np.sort(rng.choice(own, min(each, len(own)), replace=False)) for own in steps]
        sensor = np.repeat(sensors, [len(own) for own in steps])
        step = np.concatenate([np.empty(0, np.int64), *steps])
        past = step[:, None] + np.arange(-POPULATION_LAGS, 0)
        lags = np.where(past >= 0, means[sensor[:, None], np.maximum(past, 0)], np.nan)
        length = rng.integers(MIN_PAST, POPULATION_LAGS, len(step), endpoint=True)
        lags[np.arange(POPULATION_LAGS) < POPULATION_LAGS - length[:, None]] = np.nan
        relative = relative_to_past(history.features[sensor, step], lags)
        return relative.points[relative.usable], sensor[relative.usable]

    fit, _ = draw(eligible & in_fit)
    return PopulationSample(fit, *draw(eligible & ~in_fit))


def fit_population(samples: Iterable[PopulationSample], seed: int) -> Population | None:
    """Fit and calibrate the population's model; None where the samples are too few for that.

    Parameters
    ----------
    samples : iterable of PopulationSample
        Of all buckets, in a fixed order.
    seed : int
        Of the forest.
    """
    parts = list(samples)
    fit = np.concatenate([part.fit for part in parts]) if parts else np.empty((0, len(RELATIVE)))
    later = np.concatenate([part.calibration for part in parts]) if parts else fit
    number = np.concatenate([np.full(len(part.origin), i) for i, part in enumerate(parts)]) if parts else np.empty(0)
    if len(fit) < POINTS_PER_TREE or len(later) < MIN_CALIBRATION:
        return None
    usual = np.median(fit, axis=0)
    width = MAD_TO_SIGMA * np.median(np.abs(fit - usual), axis=0)
    members = PopulationMembers(fit_isolation_forest(np.arcsinh(fit), seed), usual, np.where(width > 0, width, 1.0))
    raw = members.raw(later)
    origin = np.concatenate([part.origin for part in parts])
    steady = _steady(raw[-1], np.unique(np.stack([number, origin]), axis=1, return_inverse=True)[1])
    raw, later = raw[:, steady], later[steady]
    tails = [calibrate(each[None, :]) for each in raw]
    together = np.max([_log_tail(tail, 0, each) for tail, each in zip(tails, raw, strict=True)], axis=0)
    distance = np.abs(later[:, RELATIVE.index("level")])
    tails += [calibrate(each[None, :]) for each in (together, distance)]
    return Population(members, TailModel(*(np.concatenate(part) for part in zip(*map(_parts, tails), strict=True))))


def _steady(raw: FloatArray, sensor: IntArray) -> BoolArray:
    """Whether each score is of a sensor whose highest scores are not out of all proportion, shape (n,).

    A machine that is switched on twice a month would otherwise deafen the population: its tail says that anything can
    happen. The rule is that of the pool of a bucket (``calibration``).
    """
    count = np.bincount(sensor)
    ratio = np.full(len(count), np.nan)
    for number in np.flatnonzero(count >= WINDOWS_PER_SENSOR // 2):
        own = raw[sensor == number]
        middle, high = np.quantile(own, [0.5, 1.0 - SURVIVAL[-1]])
        ratio[number] = (own[own > high] - high).sum() / max(1, (own > high).sum()) / max(high - middle, MIN_SCALE)
    usual = np.nanmedian(ratio) if np.isfinite(ratio).any() else np.inf
    return np.asarray(~(ratio > OUTLYING * usual)[sensor])


def _parts(tail: TailModel) -> tuple[NDArray[np.float32], ...]:
    return tail.knots, tail.scale, tail.shape


def _log_tail(tails: TailModel, row: int, raw: FloatArray) -> FloatArray:
    return tails.rows(np.full(len(raw), row)).log_tail(raw)


def _last_known(past: FloatArray) -> FloatArray:
    """Return the newest value that is no NaN of each row (n, L), shape (n,); every row has one."""
    known = np.isfinite(past)
    newest = past.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    values: FloatArray = past[np.arange(len(past)), newest]
    return values
