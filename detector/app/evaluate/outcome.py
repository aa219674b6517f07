"""What the scores and incidents are worth: per data set and in total, against labels if there are any.

Labels are met here for the first time, when every score is written.

Not here: VUS-PR and the alert figures of a benchmark, which work on the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from detector.app.series import LABEL_COLUMNS, microseconds, read_table, runs
from detector.errors import ConfigError
from models.features import BoolArray, FloatArray, IntArray

# Share of labelled timestamps above which a data set stays out of the mean: where most is anomalous, always alarming
# is right most of the time.
MOSTLY_POSITIVE: Final = 0.5


@dataclass(frozen=True)
class Against:
    """Scores of one entity against its labels.

    Attributes
    ----------
    auc_pr : float or None
        Area under precision and recall (average precision), 0 to 1; None where all or nothing is labelled.
    positive : int
        Labelled timestamps among those scored.
    events : int
        Runs of labelled timestamps.
    hit : int
        Events in which an incident opened.
    outside : int
        Incidents that opened outside of all events.
    """

    auc_pr: float | None
    positive: int
    events: int
    hit: int
    outside: int


@dataclass(frozen=True)
class Outcome:
    """One entity.

    Attributes
    ----------
    dataset : str
    sensors, learning : int
        Sensors, and those of them without a model of their own.
    timestamps, incidents : int
        Scored timestamps, and incidents in them.
    against : Against or None
        None without labels.
    """

    dataset: str
    sensors: int
    learning: int
    timestamps: int
    incidents: int
    against: Against | None


@dataclass(frozen=True)
class Figures:
    """Entities together.

    Attributes
    ----------
    series, sensors, learning, timestamps, incidents : int
        Sums; series are entities.
    per_1000 : float
        Incidents opened per 1,000 scored timestamps.
    auc_pr : float or None
        Mean over the series; for the total, mean over the data sets that are not mostly positive.
    events, hit, outside : int or None
        Sums as in `Against`; None without labels.
    mostly_positive : bool
        More than half of the scored timestamps are labelled: `auc_pr` says nothing and is in no mean.
    """

    series: int
    sensors: int
    learning: int
    timestamps: int
    incidents: int
    per_1000: float
    auc_pr: float | None
    events: int | None
    hit: int | None
    outside: int | None
    mostly_positive: bool


class Labels:
    """The labels of a directory, by entity.

    Parameters
    ----------
    path : Path
        The file; ConfigError if it is not of the form.
    """

    def __init__(self, path: Path) -> None:
        frame = read_table(path, LABEL_COLUMNS, "labels of the series stand there")
        try:
            us = microseconds(frame["timestamp"])
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; correct the timestamp") from error
        table = pd.DataFrame({"us": us, "label": frame["label"].eq(1).to_numpy()})
        self._by_entity = {
            str(name): (part["us"].to_numpy(), part["label"].to_numpy())
            for name, part in table.groupby(frame["entity"].to_numpy(), sort=False)
        }

    def at(self, entity: str, us: IntArray) -> BoolArray:
        """Whether timestamps of an entity are labelled, shape (n,); what the file does not name is not."""
        known, label = self._by_entity.get(entity, (np.empty(0, np.int64), np.empty(0, bool)))
        labelled: BoolArray = np.isin(us, known[label])
        return labelled


def against(label: BoolArray, score: FloatArray, openings: Sequence[int]) -> Against:
    """Judge the scores of one entity.

    Parameters
    ----------
    label : ndarray of bool, shape (n,)
        Of the scored timestamps.
    score : ndarray of float64, shape (n,)
    openings : sequence of int
        Positions, 0 to n - 1, at which incidents opened.
    """
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - seconds that errors need not wait for

    events = runs(pd.Series(label))
    positive = int(label.sum())
    return Against(
        auc_pr=float(average_precision_score(label, score)) if 0 < positive < len(label) else None,
        positive=positive,
        events=len(events),
        hit=sum(any(first <= at <= last for at in openings) for first, last in events),
        outside=sum(not label[at] for at in openings),
    )


def by_dataset(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """Return the figures of each data set, in the order of their first entity."""
    names = dict.fromkeys(each.dataset for each in outcomes)
    return {name: _figures([each for each in outcomes if each.dataset == name]) for name in names}


def total(outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of all entities; `auc_pr` is the mean over data sets."""
    together = vars(_figures(outcomes))
    means = [each.auc_pr for each in by_dataset(outcomes).values() if not each.mostly_positive]
    return Figures(**{**together, "auc_pr": _mean(means), "mostly_positive": False})


def _figures(outcomes: Sequence[Outcome]) -> Figures:
    timestamps = sum(each.timestamps for each in outcomes)
    incidents = sum(each.incidents for each in outcomes)
    judged = [each.against for each in outcomes if each.against]
    return Figures(
        series=len(outcomes),
        sensors=sum(each.sensors for each in outcomes),
        learning=sum(each.learning for each in outcomes),
        timestamps=timestamps,
        incidents=incidents,
        per_1000=1000 * incidents / max(1, timestamps),
        auc_pr=_mean([each.auc_pr for each in judged]),
        events=sum(each.events for each in judged) if judged else None,
        hit=sum(each.hit for each in judged) if judged else None,
        outside=sum(each.outside for each in judged) if judged else None,
        mostly_positive=sum(each.positive for each in judged) > MOSTLY_POSITIVE * timestamps,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
