"""What is remembered of the sensors of one bucket between batches: past window means and open incidents.

The state is independent of the model, so a new model carries on with it.

Not here: when an incident opens or closes (``incidents``), scores (``ensemble``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoding import check_arrays, decode_strings, encode_strings, pack, unpack
from models.errors import ArtifactCorruptError
from models.features import BoolArray, FloatArray, IntArray, KeyArray

# Window index of "never": far below any real index, and differences to it still fit into int64.
NEVER = -(2**62)

_KIND, _VERSION = "state", 1
_WHERE = "state of a bucket"
# What an unseen sensor starts with, per column: dtype and initial value.
_COLUMNS: Mapping[str, tuple[np.dtype[Any], float]] = {
    "last_index": (np.dtype(np.int64), NEVER),
    "windows_seen": (np.dtype(np.int64), 0),
    "open_index": (np.dtype(np.int64), NEVER),
    "peak": (np.dtype(np.float64), np.nan),
    "quiet": (np.dtype(np.int32), 0),
}


class BucketState:
    """Columns over the sensors of a bucket, ordered by key.

    A row number is valid until `rows_for` adds a sensor.

    Attributes
    ----------
    keys : ndarray of object, shape (S,)
        Sorted and unique.
    last_index : ndarray of int64, shape (S,)
        Index of the latest window, `NEVER` before the first.
    windows_seen : ndarray of int64, shape (S,)
    open_index : ndarray of int64, shape (S,)
        Index of the window that opened the sensor's incident, `NEVER` if none is open.
    peak : ndarray of float64, shape (S,)
        Highest score of the open incident, NaN if none is open.
    quiet : ndarray of int32, shape (S,)
        Quiet windows in a row of the open incident.
    settled : int
        Up to this index it is known what became of incidents; not part of what is remembered.
    """

    settled: int = NEVER

    def __init__(self, keys: KeyArray, ring: FloatArray, columns: Mapping[str, NDArray[Any]]) -> None:
        self._take(keys, ring, columns)

    def _take(self, keys: KeyArray, ring: FloatArray, columns: Mapping[str, NDArray[Any]]) -> None:
        self.keys = keys
        self._rows: dict[str, int] = dict(zip(keys.tolist(), range(len(keys)), strict=True))
        self._ring = ring
        self.last_index: IntArray = columns["last_index"]
        self.windows_seen: IntArray = columns["windows_seen"]
        self.open_index: IntArray = columns["open_index"]
        self.peak: FloatArray = columns["peak"]
        self.quiet: NDArray[np.int32] = columns["quiet"]

    @classmethod
    def empty(cls, lags: int) -> BucketState:
        """Return the state of a bucket without sensors that keeps `lags` (>= 1) past windows of each."""
        columns = {name: np.empty(0, dtype) for name, (dtype, _) in _COLUMNS.items()}
        return cls(np.empty(0, object), np.empty((0, lags)), columns)

    @property
    def lags(self) -> int:
        """Past windows kept per sensor."""
        return int(self._ring.shape[1])

    def __len__(self) -> int:
        """Return the number of sensors."""
        return len(self.keys)

    def rows_for(self, keys: KeyArray) -> IntArray:
        """Return the row of each key, shape (n,); unknown sensors are added, which renumbers the rows."""
        known = self._rows
        wanted = keys.tolist()
        added = set(wanted).difference(known)
        if added:
            self._add(sorted(added))
            known = self._rows
        return np.fromiter((known[key] for key in wanted), np.int64, len(wanted))

    def _add(self, new: list[str]) -> None:
        keys = np.empty(len(self) + len(new), object)
        keys[: len(self)], keys[len(self) :] = self.keys, new
        order = np.argsort(keys, kind="stable")
        ring = np.concatenate([self._ring, np.full((len(new), self.lags), np.nan)])
        columns = {
            name: np.concatenate([getattr(self, name), np.full(len(new), initial, dtype)])[order]
            for name, (dtype, initial) in _COLUMNS.items()
        }
        self._take(keys[order], ring[order], columns)

    def is_new(self, rows: IntArray, index: IntArray) -> BoolArray:
        """Whether a window of each row comes after all that the sensor has shown, shape (n,)."""
        return index > self.last_index[rows]

    def lags_before(self, rows: IntArray, index: IntArray) -> FloatArray:
        """Return the means of the windows before `index`, shape (n, lags), oldest first, NaN where missing.

        Parameters
        ----------
        rows, index : ndarray of int64, shape (n,)
            Sensor rows, and the window of each that is about to be judged.
        """
        past = index[:, None] + np.arange(-self.lags, 0)
        last = self.last_index[rows][:, None]
        held = (past <= last) & (past > last - self.lags)
        return np.where(held, self._ring[rows[:, None], past % self.lags], np.nan)

    def push(self, rows: IntArray, index: IntArray, values: FloatArray) -> None:
        """Remember one window of each row; skipped indices become gaps, windows that are not new are ignored.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Distinct sensor rows.
        index : ndarray of int64, shape (n,)
        values : ndarray of float64, shape (n,)
            Window means in the sensor's unit; NaN marks a window that must not be learnt from.
        """
        new = self.is_new(rows, index)
        rows, index, values = rows[new], index[new], values[new]
        skipped = index > self.last_index[rows] + 1
        if skipped.any():
            kept = self.lags_before(rows[skipped], index[skipped])
            past = index[skipped, None] + np.arange(-self.lags, 0)
            self._ring[rows[skipped, None], past % self.lags] = kept
        self._ring[rows, index % self.lags] = values
        self.last_index[rows] = index
        self.windows_seen[rows] += 1

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the state; equal states give equal bytes."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return pack(_KIND, _VERSION, {"lags": self.lags}, {**encode_strings(self.keys), "ring": self._ring, **columns})

    @classmethod
    def from_bytes(cls, data: bytes) -> BucketState:
        """Undo `to_bytes`.

        Raises
        ------
        ArtifactCorruptError
            If the bytes are damaged.
        ArtifactIncompatibleError
            If another layout version wrote them.
        """
        attributes, arrays = unpack(data, _KIND, _VERSION, _WHERE)
        sensors = arrays["ends"].size if "ends" in arrays else 0
        text = arrays["text"].size if "text" in arrays else 0
        check_arrays(
            arrays,
            {
                "text": (np.dtype(np.uint8), (text,)),
                "ends": (np.dtype(np.int64), (sensors,)),
                "ring": (np.dtype(np.float64), (sensors, int(attributes.get("lags", 0)))),
                **{name: (dtype, (sensors,)) for name, (dtype, _) in _COLUMNS.items()},
            },
            _WHERE,
        )
        keys = decode_strings(arrays["text"], arrays["ends"], _WHERE)
        if (keys[1:] <= keys[:-1]).any():
            raise ArtifactCorruptError(f"{_WHERE}: the sensors are not in order; restore the checkpoint")
        return cls(keys, arrays["ring"].copy(), {name: arrays[name].copy() for name in _COLUMNS})
