"""The two files of an evaluation: ``scores.csv.gz`` and ``incidents.csv.gz``, the same bytes for the same scores.

Not here: what stands in them (``timeline``).
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from detector.errors import StorageError
from models.features import FloatArray

SCORES: Final = "scores.csv.gz"
INCIDENTS: Final = "incidents.csv.gz"
COLUMNS: Final = {SCORES: "entity,timestamp,score", INCIDENTS: "entity,start,end"}
DIGITS: Final = 9  # significant digits of a score: more than its ranking needs
_PARTIAL: Final = ".partial"  # of a file that is not complete yet


class ResultFiles:
    """Writes both files, entity by entity; they get their names when all is written.

    Parameters
    ----------
    directory : Path
        Made if it is not there; StorageError if it cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, io.TextIOWrapper] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open both."""
        require_writable(self._directory)
        try:
            for name, header in COLUMNS.items():
                raw = self._stack.enter_context((self._directory / f"{name}{_PARTIAL}").open("wb"))
                # Neither name nor time: the bytes depend on the content alone.
                packed = self._stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
                self._open[name] = self._stack.enter_context(io.TextIOWrapper(packed, "utf-8", newline=""))
                self._open[name].write(f"{header}\n")
        except OSError as error:
            self._stack.close()
            raise StorageError(f"{self._directory} cannot be written to ({error}); name another directory") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both; name them if all went well."""
        self._stack.close()
        for name in COLUMNS:
            partial = self._directory / f"{name}{_PARTIAL}"
            partial.replace(self._directory / name) if kind is None else partial.unlink()

    def write(self, entity: str, stamps: pa.StringArray, score: FloatArray, spans: Sequence[tuple[int, int]]) -> None:
        """Add an entity.

        Parameters
        ----------
        entity : str
        stamps : pyarrow.StringArray, shape (n,)
            Scored timestamps, as in the data.
        score : ndarray of float64, shape (n,)
        spans : sequence of (int, int)
            First and last position of each incident, 0 to n - 1.
        """
        ends = np.array(spans, np.int64).reshape(-1, 2)
        stamp = stamps.to_pandas()
        self._rows(SCORES, pd.DataFrame({"entity": entity, "timestamp": stamp, "score": score}))
        start, end = (stamp.iloc[ends[:, column]].to_numpy() for column in (0, 1))
        self._rows(INCIDENTS, pd.DataFrame({"entity": entity, "start": start, "end": end}))

    def _rows(self, name: str, rows: pd.DataFrame) -> None:
        rows.to_csv(self._open[name], header=False, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def require_writable(directory: Path) -> None:
    """Make a directory for results, unless it is there.

    Raises
    ------
    StorageError
        If it cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK):
            raise PermissionError("no permission to write")
    except OSError as error:
        raise StorageError(f"{directory} cannot be written to ({error}); name another directory") from error
