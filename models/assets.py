"""The score of an asset in one window, reduced from the scores of its sensors.

Incidents belong to sensors; the asset's score says how unusual the machine is as a whole, and ranks machines.

Not here: which sensors belong together (``detector.pipeline.scoring``), the sensors' scores (``ensemble``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.features import FloatArray, IntArray


@dataclass(frozen=True)
class AssetScores:
    """Scores of G assets, each in one window.

    Attributes
    ----------
    score : ndarray of float64, shape (G,)
        0 or more, higher is more anomalous; NaN where no sensor has a score.
    sensors : ndarray of int64, shape (G,)
        Sensors that have a score.
    deviating : ndarray of int64, shape (G,)
        Those of them at or above the threshold.
    """

    score: FloatArray
    sensors: IntArray
    deviating: IntArray


def score_assets(score: FloatArray, group: IntArray, threshold: float) -> AssetScores:
    """Reduce sensors' scores to one score per group: their power mean of order 4, ``mean(score^4)^(1/4)``.

    The order lies between the mean, which drowns one deviating sensor of twenty, and the maximum, which any noisy
    sensor decides alone (power means: Hardy, Littlewood & Polya, "Inequalities", 1934, chapter II). The result lies
    between both, never falls when a sensor's score rises, and is the sensor's own score for an asset of one. It is on
    the scale of the sensors' scores, but not the logarithm of a probability.

    Parameters
    ----------
    score : ndarray of float64, shape (n,)
        Sensors' scores, 0 or more; those that are NaN are left out.
    group : ndarray of int64, shape (n,)
        The group of each, 0 to G - 1: one asset in one window.
    threshold : float
        Score at which a sensor deviates.
    """
    groups = int(group.max()) + 1 if len(group) else 0
    judged = ~np.isnan(score)
    own, known = group[judged], score[judged]
    sensors = np.bincount(own, minlength=groups)
    # Products and roots keep their order when rounded, so that the result never falls; powers of numpy need not.
    with np.errstate(over="ignore"):
        fourth = np.square(np.square(known))
    total = np.bincount(own, fourth, minlength=groups)
    with np.errstate(invalid="ignore"):
        mean = np.sqrt(np.sqrt(total / sensors))
    return AssetScores(mean, sensors, np.bincount(own[known >= threshold], minlength=groups))
