"""One entity: trained on its history, its state led through the history, everything after judged in order.

These are the functions that train and serve a bucket; here an entity is a bucket of its own.

Not here: how its windows came about (``job``), what score holds at a timestamp (``timeline``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detector.app.evaluate.timeline import Timeline
from models.assets import score_assets
from models.ensemble import ScoredWindows, score_windows
from models.features import BoolArray, FloatArray, History, IntArray, WindowBatch
from models.incidents import Transition
from models.population import Population
from models.profile import HISTORY_LAGS
from models.state import BucketState
from models.training import TrainingConfig, train_bucket

# Windows scored in one call: bounds the memory of what is said of each of them.
CHUNK_WINDOWS = 65_536


@dataclass(frozen=True)
class EntityResult:
    """What was said of one entity.

    Attributes
    ----------
    index : list of int
        Windows with a score, ascending; the last of the history first.
    score : list of float
        The asset's score in each; NaN where no sensor has one.
    incidents : list of (int, int or None)
        Indices of the windows that opened and resolved each incident of a sensor.
    sensors, learning : int
        Sensors, and those of them without a model of their own.
    windows : int
        Windows of all sensors, history included.
    fit_seconds, score_seconds : float
        By the stopwatch.
    """

    index: list[int]
    score: list[float]
    incidents: list[tuple[int, int | None]]
    sensors: int
    learning: int
    windows: int
    fit_seconds: float
    score_seconds: float


def history_of(batch: WindowBatch, timeline: Timeline) -> History:
    """Return the windows that end within the training prefix."""
    return History.from_windows(_where(batch, timeline.is_history(batch.index)))


def judge_entity(
    batch: WindowBatch,
    timeline: Timeline,
    config: TrainingConfig,
    population: Population | None,
    stopwatch: Callable[[], float],
) -> EntityResult:
    """Train an entity on its history and judge the rest.

    The last window of the history is judged too: its score holds until the first one after.

    Parameters
    ----------
    batch : WindowBatch
        All windows of the entity's sensors.
    timeline : Timeline
        Says which of them are history.
    config : TrainingConfig
    population : Population or None
        Judges sensors with too little history.
    stopwatch : callable
        Monotonic seconds; results do not depend on it.
    """
    batch = batch.sorted()
    history = timeline.is_history(batch.index)
    started = stopwatch()
    shard, _ = train_bucket(History.from_windows(_where(batch, history)), config)
    fitted = stopwatch()
    live_from = int(batch.index[history].max()) if history.any() else int(batch.index.min(initial=0))
    state = BucketState.empty(HISTORY_LAGS)
    for past in _chunks(_where(batch, batch.index < live_from)):
        score_windows(None, state, past, config.profile)
    index: list[IntArray] = []
    score: list[FloatArray] = []
    incidents: dict[tuple[str, int], int | None] = {}
    for part in _chunks(_where(batch, batch.index >= live_from)):
        scored = score_windows(shard if len(shard) else None, state, part, config.profile, population)
        index.append(scored.index)
        score.append(scored.score)
        _follow(incidents, scored)
    unique, group = np.unique(np.concatenate(index), return_inverse=True)
    asset = score_assets(np.concatenate(score), group, config.profile.threshold)
    return EntityResult(
        index=unique.tolist(),
        score=asset.score.tolist(),
        incidents=[(opened, resolved) for (_, opened), resolved in incidents.items()],
        sensors=len(state),
        learning=int((shard.rows_for(state.keys) < 0).sum()),
        windows=len(batch),
        fit_seconds=fitted - started,
        score_seconds=stopwatch() - fitted,
    )


def _where(batch: WindowBatch, chosen: BoolArray) -> WindowBatch:
    return WindowBatch(batch.keys[chosen], batch.index[chosen], batch.features[chosen])


def _chunks(batch: WindowBatch) -> Iterator[WindowBatch]:
    """Cut sorted windows; one empty batch where there is none."""
    for start in range(0, max(1, len(batch)), CHUNK_WINDOWS):
        part = slice(start, start + CHUNK_WINDOWS)
        yield WindowBatch(batch.keys[part], batch.index[part], batch.features[part])


def _follow(incidents: dict[tuple[str, int], int | None], scored: ScoredWindows) -> None:
    """Note which window resolved each incident; a sensor has at most one at a time."""
    for row in np.flatnonzero(np.isin(scored.transition, (Transition.OPENED, Transition.RESOLVED))):
        resolved = scored.transition[row] == Transition.RESOLVED
        incidents[scored.keys[row], int(scored.opened_index[row])] = int(scored.index[row]) if resolved else None
