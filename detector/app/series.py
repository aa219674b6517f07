"""Series of real machines from a directory: ``manifest.csv``, a gzipped CSV per entity, and labels if there are any.

``manifest.csv`` has the columns entity, dataset, path, sensors, timestamps, train_timestamps, step_seconds; each file
timestamp (ISO 8601, UTC where it names no zone), sensor_id, value; ``labels.csv.gz`` entity, timestamp, label. An
entity is an asset; the first ``train_timestamps`` timestamps are its history.

Not here: what is done with them (``demo.replay``, ``evaluate``).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from detector.errors import ConfigError
from detector.pipeline import event_time
from models.features import IntArray

MANIFEST: Final = "manifest.csv"
LABELS: Final = "labels.csv.gz"
MANIFEST_COLUMNS: Final = ("entity", "path", "train_timestamps", "step_seconds")
SERIES_COLUMNS: Final = ("timestamp", "sensor_id", "value")
LABEL_COLUMNS: Final = ("entity", "timestamp", "label")
US: Final = 1_000_000  # microseconds in a second
SHOWN_NAMES: Final = 5

_TEXTS: Final = ("entity", "dataset", "path", "sensor_id", "timestamp")


@dataclass(frozen=True)
class Entity:
    """One row of the manifest.

    Attributes
    ----------
    name : str
    path : Path
        Of its file.
    train : int
        Timestamps of history.
    step_seconds : float
        Distance between two timestamps where none is missing.
    """

    name: str
    path: Path
    train: int
    step_seconds: float


@dataclass(frozen=True)
class Series:
    """The records of one entity.

    Attributes
    ----------
    entity : Entity
    rows : DataFrame
        Columns timestamp (text, as in the file), us (microseconds since 1970, ascending), sensor_id (without the
        entity before it), value (NaN where there is none).
    """

    entity: Entity
    rows: pd.DataFrame


@dataclass(frozen=True)
class Clock:
    """The timestamps of one entity.

    Attributes
    ----------
    us : ndarray of int64, shape (T,)
        Microseconds since 1970, ascending, each once.
    text : pyarrow.StringArray, shape (T,)
        As they stand in the file.
    """

    us: IntArray
    text: pa.StringArray


def read_table(path: Path, columns: Sequence[str], purpose: str) -> pd.DataFrame:
    """Read a CSV file that must have these columns and at least one row; ConfigError if it has not."""
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; {purpose}. Name another directory, or add the file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {purpose}") from error
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ConfigError(f"{path} has no column {', '.join(absent)}; it needs {', '.join(columns)}")
    if frame.empty:
        raise ConfigError(f"{path} has no rows; {purpose}")
    return frame


def read_manifest(data: Path, columns: Sequence[str] = MANIFEST_COLUMNS) -> pd.DataFrame:
    """Return the manifest of a directory, one row an entity; ConfigError if it is not of that form."""
    manifest = read_table(data / MANIFEST, columns, "the series are described there")
    again = manifest["entity"][manifest["entity"].duplicated()]
    if len(again):
        raise ConfigError(f"{data / MANIFEST} names {again.iloc[0]!r} twice; keep one of the rows")
    return manifest


def choose(manifest: pd.DataFrame, column: str, names: Sequence[str], where: Path) -> pd.DataFrame:
    """Return the rows with these names in a column, in the order of the names; ConfigError if one has no row."""
    known = list(dict.fromkeys(manifest[column].tolist()))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, SHOWN_NAMES, 0.4) or known[:SHOWN_NAMES]
            raise ConfigError(f"{where} has no {column} {name!r}; near it are: {', '.join(near)}")
    return pd.concat([manifest[manifest[column] == name] for name in dict.fromkeys(names)])


def entities(manifest: pd.DataFrame, data: Path) -> list[Entity]:
    """Return the rows of a manifest as entities; ConfigError if one holds no numbers."""
    return [_entity(row, data) for _, row in manifest.iterrows()]


def read_series(entity: Entity) -> Series:
    """Read the records of an entity; ConfigError if its file is not of the form."""
    rows = read_table(entity.path, SERIES_COLUMNS, f"{MANIFEST} names it for {entity.name}")
    try:
        rows["us"] = microseconds(rows["timestamp"])
        rows["value"] = pd.to_numeric(rows["value"]).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{entity.path} holds something that is no number or time: {error}") from error
    rows["sensor_id"] = rows["sensor_id"].str.removeprefix(f"{entity.name}/")
    return Series(entity, rows.sort_values("us", kind="stable")[["timestamp", "us", "sensor_id", "value"]])


def clock_of(rows: pd.DataFrame) -> Clock:
    """Return the distinct timestamps of rows with the columns timestamp and us, ascending."""
    once = rows.drop_duplicates("us")
    return Clock(once["us"].to_numpy(np.int64), pa.array(once["timestamp"], pa.string()))


def microseconds(stamps: pd.Series) -> IntArray:
    """Return ISO 8601 timestamps as microseconds since 1970, shape (n,), as decoding reads them.

    Text without a zone is UTC; ValueError if one is no timestamp.
    """
    place, unique = pd.factorize(stamps, use_na_sentinel=False)
    us = event_time.microseconds(unique.tolist(), "iso8601", "UTC")
    wrong = np.flatnonzero(us == event_time.UNPARSED_US)
    if len(wrong):
        raise ValueError(f"{unique[wrong[0]]!r} is no ISO 8601 timestamp")
    return us[place]


def record(asset_id: str, sensor_id: str, stamp: str, value: float) -> bytes:
    """Return the JSON of a record: ``records.asset.source: field``, ``records.timestamp_format: iso8601``."""
    return msgspec.json.encode({"asset_id": asset_id, "sensor_id": sensor_id, "timestamp": stamp, "value": value})


def runs(marked: pd.Series) -> list[tuple[int, int]]:
    """Return the first and last position of each run of true values."""
    edges = np.diff(np.concatenate([[0], marked.to_numpy(bool).astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def _entity(row: pd.Series, data: Path) -> Entity:
    name = str(row["entity"])
    try:
        train, step = int(row["train_timestamps"]), float(row["step_seconds"])
    except ValueError as error:
        raise ConfigError(
            f"the row of {name} in {data / MANIFEST} holds something that is no number: {error}"
        ) from error
    return Entity(name, data / str(row["path"]), train, step)
