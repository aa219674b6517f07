"""What a window looks like to a model: ordered statistics with units, and batches of windows as arrays.

A sensor is one opaque string key. A window is (key, index) with ``index = window end // slide``, so that
windows that follow each other in time have consecutive indices and a hole in the indices is a gap.

Not here: computing the statistics from records (``detector.pipeline.windows``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.encoding import canonical_json, sha256
from models.errors import InsufficientDataError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
KeyArray: TypeAlias = NDArray[np.object_]

# Cells (sensors x windows x features) of the largest history that is held as one array: 4 GiB of float64.
# A single record with a year-1970 timestamp would otherwise ask for an array that no machine has.
MAX_HISTORY_CELLS = 2**29


@dataclass(frozen=True)
class FeatureSpec:
    """Names, order and units of the statistics of a window.

    Attributes
    ----------
    names : tuple of str
        One per column of a feature array, unique.
    units : tuple of str
        One per name; ``"sensor"`` is the unit of the sensor's own values.
    version : int
        Raised when the meaning of a statistic changes under the same name.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    version: int

    def __post_init__(self) -> None:
        """Refuse a spec whose names and units do not pair up."""
        if len(self.names) != len(self.units) or len(set(self.names)) != len(self.names):
            raise ValueError("a feature spec needs unique names and one unit for each; correct the two tuples")

    def column(self, name: str) -> int:
        """Return the position of a statistic; ValueError if the spec has no such name."""
        return self.names.index(name)

    def digest(self) -> str:
        """Return the SHA-256 of names, units and version: equal for equal meaning."""
        return sha256(
            canonical_json({"names": self.names, "units": self.units, "version": self.version}),
        )


WINDOW_FEATURES = FeatureSpec(
    names=("count", "mean", "std", "min", "max", "first", "last", "slope"),
    units=("records", "sensor", "sensor", "sensor", "sensor", "sensor", "sensor", "sensor/s"),
    version=1,
)


@dataclass(frozen=True)
class WindowBatch:
    """Closed windows of any sensors, in any order; one row per (key, index).

    Attributes
    ----------
    keys : ndarray of object, shape (n,)
        Sensor keys (str).
    index : ndarray of int64, shape (n,)
        Window end divided by the slide.
    features : ndarray of float64, shape (n, F)
        Columns of `WINDOW_FEATURES`.
    """

    keys: KeyArray
    index: IntArray
    features: FloatArray

    def __post_init__(self) -> None:
        """Refuse arrays that do not have one row per window."""
        n = len(self.keys)
        if self.index.shape != (n,) or self.features.shape != (n, len(WINDOW_FEATURES.names)):
            raise ValueError(
                f"{n} keys, index of shape {self.index.shape} and features of shape {self.features.shape} do not "
                f"form windows; pass (n,), (n,) and (n, {len(WINDOW_FEATURES.names)})"
            )

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.keys)

    def sorted(self) -> WindowBatch:
        """Return the batch ordered by (index, key).

        Raises
        ------
        ValueError
            If a (key, index) pair occurs twice: an aggregation gives each window once.
        """
        order = np.argsort(self.keys, kind="stable")
        order = order[np.argsort(self.index[order], kind="stable")]
        keys, index = self.keys[order], self.index[order]
        again = np.flatnonzero((index[1:] == index[:-1]) & (keys[1:] == keys[:-1]))
        if len(again):
            raise ValueError(f"window {index[again[0]]} of {keys[again[0]]!r} occurs twice; aggregate before scoring")
        return WindowBatch(keys, index, self.features[order])


@dataclass(frozen=True)
class History:
    """The past of the sensors of one bucket on one common time axis.

    Attributes
    ----------
    keys : ndarray of object, shape (S,)
        Sorted and unique.
    first_index : int
        Window index of the first time step.
    features : ndarray of float64, shape (S, T, F)
        NaN in all features where a sensor has no such window.
    """

    keys: KeyArray
    first_index: int
    features: FloatArray

    @classmethod
    def from_windows(cls, batch: WindowBatch) -> History:
        """Lay windows out on the time axis from the earliest to the latest index of the batch.

        Raises
        ------
        ValueError
            If a window occurs twice.
        InsufficientDataError
            If few windows span so much time that the array would not fit the memory.
        """
        batch = batch.sorted()
        unique, rows = np.unique(batch.keys, return_inverse=True)
        width = len(WINDOW_FEATURES.names)
        first = int(batch.index[0]) if len(batch) else 0
        steps = int(batch.index[-1]) - first + 1 if len(batch) else 0
        if len(unique) * steps * width > MAX_HISTORY_CELLS:
            raise InsufficientDataError(
                f"{len(batch)} windows of {len(unique)} sensors spread over {steps} window indices from {first}; "
                "narrow the event-time range of the training, or use more buckets"
            )
        features = np.full((len(unique), steps, width), np.nan)
        features[rows, batch.index - first] = batch.features
        return cls(unique, first, features)

    def column(self, name: str) -> FloatArray:
        """Return one statistic as a view of shape (S, T)."""
        return self.features[:, :, WINDOW_FEATURES.column(name)]

    @property
    def observed(self) -> BoolArray:
        """Whether each sensor has each window, shape (S, T)."""
        return np.isfinite(self.column("mean"))
