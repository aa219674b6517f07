"""From the history of one bucket to its model: fit on the first part, calibrate on the later part.

Calibration replays the history through the same state and the same members that serve, so that training and
serving cannot differ. The result is a pure function of history and configuration.

Not here: reading the history (``detector.app``), writing the model (``artifact``, ``registry``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.base import Parameters
from models.calibration import TailModel, calibrate
from models.encoding import canonical_json, sha256
from models.ensemble import CHUNK_WINDOWS, ModelShard, mean_log_tail, member_scores, walk
from models.errors import InsufficientDataError
from models.features import BoolArray, FloatArray, History
from models.population import MIN_CALIBRATION, SAMPLE_WINDOWS, PopulationSample, sample_windows
from models.profile import HISTORY_LAGS, ScoringProfile
from models.state import BucketState

# Sensors named in the message of `require_trained`; the report holds all.
_NAMED = 10


@dataclass(frozen=True)
class TrainingConfig:
    """What determines a model besides its history.

    Attributes
    ----------
    profile : ScoringProfile
        How the model will score.
    fit_share : float
        Share of each sensor's windows that members are fitted on; the rest calibrates. 0.1 to 0.9.
    min_windows : int
        Windows that a sensor needs to get a model, at least 64: fewer leave no tail to calibrate.
    seed : int
        Seed of what is drawn at random: the population's windows and the cuts of its forest.
    """

    profile: ScoringProfile = field(default_factory=ScoringProfile)
    fit_share: float = 0.7
    min_windows: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range with ValueError."""
        if not 0.1 <= self.fit_share <= 0.9:  # noqa: PLR2004 - the range is stated above
            raise ValueError(f"fit_share {self.fit_share} must be in [0.1, 0.9]")
        if self.min_windows < 64:  # noqa: PLR2004 - the range is stated above
            raise ValueError(f"min_windows {self.min_windows} must be at least 64")

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON of the configuration."""
        return sha256(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain JSON."""
        return {**asdict(self), "profile": self.profile.to_json()}


@dataclass(frozen=True)
class BucketReport:
    """What the training of one bucket made of its history.

    Attributes
    ----------
    windows : int
        Windows of all sensors.
    trained : int
        Sensors with a model.
    fitted : mapping of str to int
        Per member, the sensors that it can judge.
    missing : mapping of str to int
        Sensors without a model and how many more windows each needs.
    """

    windows: int
    trained: int
    fitted: Mapping[str, int]
    missing: Mapping[str, int]


def train_bucket(history: History, config: TrainingConfig) -> tuple[ModelShard, BucketReport]:
    """Fit and calibrate the sensors of one bucket.

    Parameters
    ----------
    history : History
        All windows of the training range of the bucket's sensors.
    config : TrainingConfig

    Returns
    -------
    shard : ModelShard
        Only sensors with enough windows; possibly none.
    report : BucketReport
    """
    count = history.observed.sum(axis=1)
    enough = count >= config.min_windows
    kept = History(history.keys[enough], history.first_index, history.features[enough])
    # One thread: the sums inside BLAS then have one order, whatever the number of cores.
    with threadpool_limits(limits=1):
        shard = _train(kept, config)
    short = np.flatnonzero(~enough)
    report = BucketReport(
        windows=int(count.sum()),
        trained=len(shard),
        fitted={name: int(np.isfinite(tail.scale).sum()) for name, tail in shard.calibrations.items()},
        missing={str(history.keys[i]): int(config.min_windows - count[i]) for i in short},
    )
    return shard, report


def sample_bucket(history: History, config: TrainingConfig, buckets: int) -> PopulationSample:
    """Draw what one of `buckets` buckets contributes to the population's model, of all sensors it has windows of."""
    most = max(MIN_CALIBRATION, SAMPLE_WINDOWS // buckets)
    return sample_windows(history, _fit_part(history, config.fit_share), most, config.seed)


def require_trained(reports: Iterable[BucketReport]) -> None:
    """Refuse a training from which no sensor got a model.

    Raises
    ------
    InsufficientDataError
        Naming sensors and how many windows each still needs.
    """
    reports = list(reports)
    if any(report.trained for report in reports):
        return
    missing = sorted((short, key) for report in reports for key, short in report.missing.items())
    if not missing:
        raise InsufficientDataError(
            "the training range holds no window of any sensor; check topics, offsets and event-time range"
        )
    named = ", ".join(f"{key} needs {short} more" for short, key in missing[:_NAMED])
    rest = f" and {len(missing) - _NAMED} others" if len(missing) > _NAMED else ""
    raise InsufficientDataError(
        f"no sensor has enough windows to train: {named}{rest}; collect more history or lower min_windows"
    )


def _train(history: History, config: TrainingConfig) -> ModelShard:
    in_fit = _fit_part(history, config.fit_share)
    first = History(history.keys, history.first_index, np.where(in_fit[:, :, None], history.features, np.nan))
    parameters = {detector.name: detector.fit(first) for detector in config.profile.detectors}
    later = history.observed & ~in_fit
    raw = _replay(history, parameters, config.profile)
    raw = {name: np.where(later, values, np.nan) for name, values in raw.items()}
    calibrations = {name: calibrate(values) for name, values in raw.items()}
    return ModelShard(history.keys, parameters, calibrations, _combined(raw, calibrations))


def _fit_part(history: History, share: float) -> BoolArray:
    """Whether a window is among the first `share` of its sensor's windows, shape (S, T)."""
    observed = history.observed
    rank = np.cumsum(observed, axis=1)
    fitted: BoolArray = observed & (rank <= np.floor(share * rank[:, -1:]))
    return fitted


def _replay(history: History, parameters: dict[str, Parameters], profile: ScoringProfile) -> dict[str, FloatArray]:
    """Return each member's raw scores (S, T) of the whole history, NaN where there is none."""
    state = BucketState.empty(HISTORY_LAGS)
    state.rows_for(history.keys)
    raw = {name: np.full(history.observed.shape, np.nan) for name in profile.members}
    sensors, steps = history.observed.shape
    stride = max(1, CHUNK_WINDOWS // max(1, sensors))
    for start in range(0, steps, stride):
        step, row = np.nonzero(history.observed[:, start : start + stride].T)
        step += start
        features = history.features[row, step]
        lags, _ = walk(state, row, history.first_index + step, features, profile)
        scores = member_scores(parameters, row, features, lags, profile)
        for name, member in zip(profile.members, scores, strict=True):
            raw[name][row, step] = member.raw
    return raw


def _combined(raw: dict[str, FloatArray], calibrations: dict[str, TailModel]) -> TailModel:
    """Calibrate the mean log-tail of all members, time step by time step to bound the memory."""
    shape = next(iter(raw.values())).shape
    mean = np.full(shape, np.nan)
    for step in range(shape[1]):
        log_tails = [calibrations[name].log_tail(values[:, step]) for name, values in raw.items()]
        mean[:, step] = mean_log_tail(np.stack(log_tails, axis=1))
    return calibrate(mean)
