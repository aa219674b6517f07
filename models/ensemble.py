"""Members into one calibrated score per window, with expected value, bounds and each member's share.

The score is ``-log10`` of the probability that a normal window scores as high: 3.0 is one in a thousand.

Not here: fitting (``training``), stored bytes (``artifact``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.base import MemberScores, Parameters, select_rows
from models.calibration import TailModel
from models.errors import ArtifactIncompatibleError, NotFittedError
from models.features import WINDOW_FEATURES, BoolArray, FloatArray, IntArray, KeyArray, WindowBatch
from models.incidents import IncidentSteps, follow
from models.population import Population
from models.profile import POPULATION_LAGS, ScoringProfile
from models.state import BucketState

# Windows judged at once: bounds the memory of their lags (35 lags x 8 B x 65,536 = 18 MB).
CHUNK_WINDOWS = 65_536


class ModelShard:
    """The model of the sensors of one bucket.

    Attributes
    ----------
    keys : ndarray of object, shape (S,)
        Sorted and unique.
    parameters : dict of str to Parameters
        Per member, arrays of leading dimension S.
    calibrations : dict of str to TailModel
        Per member, of its raw scores.
    combined : TailModel
        Of the mean log-tail of all members.
    """

    def __init__(
        self,
        keys: KeyArray,
        parameters: dict[str, Parameters],
        calibrations: dict[str, TailModel],
        combined: TailModel,
    ) -> None:
        self.keys = keys
        self.parameters = parameters
        self.calibrations = calibrations
        self.combined = combined
        self._rows: dict[str, int] = dict(zip(keys.tolist(), range(len(keys)), strict=True))

    def __len__(self) -> int:
        """Return the number of sensors."""
        return len(self.keys)

    def rows_for(self, keys: KeyArray) -> IntArray:
        """Return the row of each key, shape (n,); -1 where the sensor has no model."""
        return np.fromiter((self._rows.get(key, -1) for key in keys.tolist()), np.int64, len(keys))


@dataclass(frozen=True)
class ScoredWindows:
    """Scores of n windows, ordered by (index, key); M judges in the order of `ScoringProfile.judges`.

    Attributes
    ----------
    keys : ndarray of object, shape (n,)
    index : ndarray of int64, shape (n,)
    score : ndarray of float64, shape (n,)
        Higher is more anomalous, 0 or more; NaN where nobody can judge.
    learning : ndarray of bool, shape (n,)
        The sensor has no model of its own yet; the population's judges it.
    expected, lower, upper : ndarray of float64, shape (n,)
        Expected window mean and its bounds at the profile's false-alarm rate, in the sensor's unit; from the first
        judge that has an opinion, NaN without one.
    member_log_tails : ndarray of float64, shape (n, M)
        ``-log10`` tail probability by each judge, NaN where it has no opinion.
    shares : ndarray of float64, shape (n, M)
        Each judge's share of the score; rows sum to 1, or are NaN where there is no score.
    statistic : ndarray of int64, shape (n,)
        Column of `WINDOW_FEATURES` that deviated most, by the judge with the largest share; -1 without a score.
    transition : ndarray of int8, shape (n,)
        `models.incidents.Transition` of the sensor's incident.
    opened_index : ndarray of int64, shape (n,)
        Window index at which that incident opened, `models.state.NEVER` without one.
    peak : ndarray of float64, shape (n,)
        Highest score of that incident so far, NaN without one.
    """

    keys: KeyArray
    index: IntArray
    score: FloatArray
    learning: BoolArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    member_log_tails: FloatArray
    shares: FloatArray
    statistic: IntArray
    transition: NDArray[np.int8]
    opened_index: IntArray
    peak: FloatArray


@dataclass(frozen=True)
class Judgement:
    """The ensemble's opinion of n windows; attributes as in `ScoredWindows`."""

    score: FloatArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    member_log_tails: FloatArray
    shares: FloatArray
    statistic: IntArray


def score_windows(
    shard: ModelShard | None,
    state: BucketState,
    batch: WindowBatch,
    profile: ScoringProfile,
    population: Population | None = None,
) -> ScoredWindows:
    """Score closed windows of one bucket and advance its state.

    The result does not depend on how windows are cut into batches, as long as batches follow each other in time.
    A window that is not newer than all that its sensor has shown gets no score and changes nothing.

    Parameters
    ----------
    shard : ModelShard or None
        None if the model has no sensor of this bucket: all are learning.
    state : BucketState
        Updated in place, also for sensors without a model.
    batch : WindowBatch
        In any order.
    profile : ScoringProfile
        The profile of the model's manifest.
    population : Population or None
        Judges sensors that the shard does not know; None leaves them without a score.

    Raises
    ------
    NotFittedError
        If the shard lacks a member of the profile.
    ArtifactIncompatibleError
        If the state keeps fewer lags than the profile needs.
    ValueError
        If a window occurs twice in the batch.
    """
    batch = batch.sorted()
    rows = state.rows_for(batch.keys)
    model_rows = np.full(len(batch), -1, np.int64) if shard is None else shard.rows_for(batch.keys)
    judged = _nothing(len(batch), len(profile.judges))
    for start in range(0, len(batch), CHUNK_WINDOWS):
        part = slice(start, start + CHUNK_WINDOWS)
        features, own_rows = batch.features[part], model_rows[part]
        lags, new = walk(state, rows[part], batch.index[part], features, profile)
        known, unknown = np.flatnonzero(new & (own_rows >= 0)), np.flatnonzero(new & (own_rows < 0))
        if shard is not None:
            _note(judged, part, known, judge(shard, own_rows[known], features[known], lags[known], profile))
        if population is not None and profile.population and len(unknown):
            _note(judged, part, unknown, judge_unknown(population, features[unknown], lags[unknown], profile))
    steps: IncidentSteps = follow(state, rows, batch.index, judged.score, profile)
    return ScoredWindows(keys=batch.keys, index=batch.index, learning=model_rows < 0, **vars(judged), **vars(steps))


def _note(judged: Judgement, part: slice, rows: IntArray, opinion: Judgement) -> None:
    for field in fields(Judgement):
        getattr(judged, field.name)[part][rows] = getattr(opinion, field.name)


def walk(
    state: BucketState, rows: IntArray, index: IntArray, features: FloatArray, profile: ScoringProfile
) -> tuple[FloatArray, BoolArray]:
    """Pass windows through the history in time order.

    Parameters
    ----------
    state : BucketState
        Its history is updated.
    rows, index : ndarray of int64, shape (n,)
        Sensor rows and window indices, `index` ascending, a row at most once per index.
    features : ndarray of float64, shape (n, F)

    Returns
    -------
    lags : ndarray of float64, shape (n, L)
        What was known before each window, as `models.base.Detector.score` takes it for L = the profile's lags.
    new : ndarray of bool, shape (n,)
        False where the sensor has already shown this window or a later one.
    """
    if state.lags < profile.lags:
        raise ArtifactIncompatibleError(
            f"the state keeps {state.lags} past windows, the model needs {profile.lags}; "
            "serve a model with fewer lags, or start from a new checkpoint"
        )
    lags = np.empty((len(rows), state.lags))
    new = np.empty(len(rows), bool)
    means = features[:, WINDOW_FEATURES.column("mean")]
    means = np.where(np.isfinite(means), means, np.nan)
    for part in _same_index(index):
        lags[part] = state.lags_before(rows[part], index[part])
        new[part] = state.is_new(rows[part], index[part])
        state.push(rows[part], index[part], means[part])
    return lags[:, state.lags - profile.lags :], new


def member_scores(
    parameters: dict[str, Parameters],
    rows: IntArray,
    features: FloatArray,
    lags: FloatArray,
    profile: ScoringProfile,
) -> list[MemberScores]:
    """Let every member of the profile judge n windows; serving and calibration both come through here.

    Parameters
    ----------
    parameters : dict of str to Parameters
        Per member.
    rows : ndarray of int64, shape (n,)
        Row of each window's sensor in the parameters.
    features, lags : ndarray of float64, shapes (n, F) and (n, profile.lags)

    Raises
    ------
    NotFittedError
        If a member has no parameters.
    """
    out = []
    for detector in profile.detectors:
        if detector.name not in parameters:
            raise NotFittedError(
                f"the model has no member {detector.name!r}, only {sorted(parameters)}; train it with this profile"
            )
        own = select_rows(parameters[detector.name], rows)
        out.append(detector.score(own, features, lags[:, profile.lags - detector.lags :]))
    return out


def mean_log_tail(log_tails: FloatArray) -> FloatArray:
    """Return the mean over members (n, M) -> (n,) where all of them can judge, else NaN."""
    mean: FloatArray = log_tails.mean(axis=1)
    return mean


def judge(
    shard: ModelShard, rows: IntArray, features: FloatArray, lags: FloatArray, profile: ScoringProfile
) -> Judgement:
    """Combine the members' opinions of n windows.

    The mean log-tail of the members is calibrated once more, because they are neither independent nor equal. It is
    so only where all can judge; where some cannot, the mean of the others is the score, which is a calibrated
    probability for one member and errs towards fewer alarms for several.

    Parameters
    ----------
    shard : ModelShard
    rows : ndarray of int64, shape (n,)
        Row of each window's sensor in the shard.
    features, lags : ndarray of float64, shapes (n, F) and (n, profile.lags)
    """
    members = member_scores(shard.parameters, rows, features, lags, profile)
    tails = [shard.calibrations[name].rows(rows) for name in profile.members]
    log_tails = np.stack([t.log_tail(m.raw) for t, m in zip(tails, members, strict=True)], axis=1)
    out = _nothing(len(rows), len(profile.judges))
    out.member_log_tails[:, : len(members)] = log_tails
    judged = np.isfinite(log_tails)
    count = judged.sum(axis=1)
    total = np.where(judged, log_tails, 0.0).sum(axis=1)
    some = count > 0
    combined = shard.combined.rows(rows).log_tail(mean_log_tail(log_tails))
    out.score[some] = np.where(np.isfinite(combined), combined, total / np.maximum(count, 1))[some]
    shares = _shares(log_tails[some])
    out.shares[some, : len(members)] = shares
    statistics = np.stack([m.statistic for m in members], axis=1)[some]
    out.statistic[some] = np.take_along_axis(statistics, shares.argmax(axis=1)[:, None], axis=1)[:, 0]
    for j in reversed(range(len(members))):  # the first member that can judge writes last
        own = judged[:, j]
        half = members[j].scale * tails[j].quantile(profile.false_alarm_rate)
        out.expected[own] = members[j].expected[own]
        out.lower[own], out.upper[own] = (members[j].expected - half)[own], (members[j].expected + half)[own]
    return out


def judge_unknown(population: Population, features: FloatArray, lags: FloatArray, profile: ScoringProfile) -> Judgement:
    """Return the population's opinion of n windows of sensors that have no model of their own.

    It is a probability like that of the members, so that threshold and incidents are the same.

    Parameters
    ----------
    population : Population
    features, lags : ndarray of float64, shapes (n, F) and (n, profile.lags)
    """
    scores = population.judge(features, lags[:, profile.lags - POPULATION_LAGS :], profile.false_alarm_rate)
    out = _nothing(len(features), len(profile.judges))
    out.score[:], out.expected[:] = scores.score, scores.expected
    out.lower[:], out.upper[:] = scores.expected - scores.half, scores.expected + scores.half
    own = slice(len(profile.members), None)
    out.member_log_tails[:, own] = scores.log_tails
    judged = np.isfinite(scores.score)
    out.shares[judged, own] = _shares(scores.log_tails[judged])
    out.statistic[judged] = scores.statistic[judged]
    return out


def _shares(log_tails: FloatArray) -> FloatArray:
    """Return the share of each judge in the score, (n, M) -> (n, M); every row has one that is no NaN."""
    judged = np.isfinite(log_tails)
    tails = np.where(judged, log_tails, 0.0)
    # Judges that all find a window perfectly usual share its score of 0 equally.
    weights = np.where((tails.sum(axis=1) > 0)[:, None], tails, judged)
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _nothing(n: int, judges: int) -> Judgement:
    """Return the judgement of n windows that nobody has judged."""
    score, expected, lower, upper = np.full((4, n), np.nan)
    log_tails, shares = np.full((2, n, judges), np.nan)
    return Judgement(score, expected, lower, upper, log_tails, shares, np.full(n, -1, np.int64))


def _same_index(index: IntArray) -> Iterator[slice]:
    """Yield the runs of equal values of an ascending array."""
    ends = np.append(np.flatnonzero(np.diff(index)) + 1, len(index))
    start = 0
    for end in ends.tolist():
        yield slice(start, end)
        start = end
