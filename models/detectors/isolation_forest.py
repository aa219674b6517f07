"""Isolation forest: how few random cuts separate a point from the others of a sample.

Fitted by scikit-learn, kept and evaluated as plain arrays: an artifact holds data only, and evaluation needs neither
scikit-learn's version of the day nor its objects.

Not here: what the points are (``models.population``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base import ParameterSpec
from models.features import FloatArray

# Trees and points per tree: beyond these the paths hardly change (Liu, Ting & Zhou, "Isolation Forest", ICDM 2008,
# section 4.2).
TREES = 100
POINTS_PER_TREE = 256
# Nodes that a tree of so many points can have, every point in a leaf of its own.
MAX_NODES = 2 * POINTS_PER_TREE - 1
# Cuts of a path after which the tree stops: the average depth of such a tree, section 4.1 of the paper.
DEPTH = math.ceil(math.log2(POINTS_PER_TREE))
# Points judged at once: their positions in all trees stay in the processor's cache (8,192 x 100 x 2 B = 1.6 MB).
CHUNK_POINTS = 8192

_NODES = (TREES, MAX_NODES)
FOREST_SPECS: Mapping[str, ParameterSpec] = {
    "feature": ParameterSpec(np.dtype(np.int8), _NODES),
    "threshold": ParameterSpec(np.dtype(np.float32), _NODES),
    "left": ParameterSpec(np.dtype(np.int16), _NODES),
    "right": ParameterSpec(np.dtype(np.int16), _NODES),
    "length": ParameterSpec(np.dtype(np.float32), _NODES),
}


@dataclass(frozen=True)
class IsolationForest:
    """Trees as arrays of shape (`TREES`, `MAX_NODES`); a leaf leads to itself.

    Attributes
    ----------
    feature : ndarray of int8
        Column that a node compares, 0 in leaves.
    threshold : ndarray of float32
        A point goes left where its value is at most this.
    left, right : ndarray of int16
        The next node.
    length : ndarray of float32
        Length of the path that ends in a leaf, with the expected rest for points that the leaf keeps together.
    """

    feature: NDArray[np.int8]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    length: NDArray[np.float32]

    def is_sound(self, columns: int) -> bool:
        """Whether every comparison is of one of `columns` columns and every way leads to a node."""
        ways = np.concatenate([self.left, self.right])
        return bool(((self.feature >= 0) & (self.feature < columns)).all() and ((ways >= 0) & (ways < MAX_NODES)).all())

    def score(self, points: FloatArray) -> FloatArray:
        """Return the anomaly score of points (n, F), shape (n,), 0 to 1: equation 2 of Liu, Ting & Zhou 2008.

        The points are finite. Higher is more anomalous.
        """
        out = np.empty(len(points))
        for start in range(0, len(points), CHUNK_POINTS):
            chunk = points[start : start + CHUNK_POINTS].astype(np.float32)  # the precision it was fitted in
            out[start : start + CHUNK_POINTS] = np.exp2(-self._mean_length(chunk) / _average_length(POINTS_PER_TREE))
        return out

    def _mean_length(self, points: NDArray[np.float32]) -> FloatArray:
        rows = np.arange(len(points))
        total = np.zeros(len(points))
        for feature, threshold, left, right, length in zip(*vars(self).values(), strict=True):
            node = np.zeros(len(points), np.int16)
            for _ in range(DEPTH):
                goes_left = points[rows, feature[node]] <= threshold[node]
                node = np.where(goes_left, left[node], right[node])
            total += length[node]
        return total / TREES


def fit_isolation_forest(points: FloatArray, seed: int) -> IsolationForest:
    """Fit a forest.

    Parameters
    ----------
    points : ndarray of float64, shape (n, F)
        Finite; at least `POINTS_PER_TREE`.
    seed : int
        Of the random cuts.
    """
    from sklearn import ensemble  # noqa: PLC0415 - a second of every worker's start, and only the fit needs it

    forest = ensemble.IsolationForest(n_estimators=TREES, max_samples=POINTS_PER_TREE, random_state=seed)
    forest.fit(points.astype(np.float32))
    trees = [_as_arrays(estimator.tree_) for estimator in forest.estimators_]
    return IsolationForest(*(np.stack(part) for part in zip(*trees, strict=True)))


def _as_arrays(tree: Any) -> tuple[NDArray[Any], ...]:
    """Return feature, threshold, left, right, length of one tree, each (`MAX_NODES`,)."""
    nodes = tree.node_count
    itself = np.arange(MAX_NODES, dtype=np.int16)
    feature, threshold = np.zeros(MAX_NODES, np.int8), np.zeros(MAX_NODES, np.float32)
    left, right, depth = itself.copy(), itself.copy(), np.zeros(MAX_NODES)
    inner = np.flatnonzero(tree.children_left >= 0)
    feature[inner] = tree.feature[inner]
    threshold[inner] = _at_most(tree.threshold[inner])
    left[inner], right[inner] = tree.children_left[inner], tree.children_right[inner]
    for node in inner:  # parents come before their children
        depth[[left[node], right[node]]] = depth[node] + 1
    length = np.zeros(MAX_NODES, np.float32)
    length[:nodes] = depth[:nodes] + [_average_length(int(n)) for n in tree.n_node_samples]
    return feature, threshold, left, right, length


def _at_most(values: FloatArray) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value: float32 points compare alike with both."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def _average_length(points: int) -> float:
    """Return the average path length of an unsuccessful search in a binary tree: equation 1 of the paper."""
    if points <= 1:
        return 0.0
    if points == 2:  # noqa: PLR2004 - where the approximation of the harmonic number is too coarse
        return 1.0
    return 2.0 * (math.log(points - 1.0) + np.euler_gamma) - 2.0 * (points - 1.0) / points
