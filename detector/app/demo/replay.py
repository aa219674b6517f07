"""Real series from a directory: ``manifest.csv``, a gzipped CSV per entity, and labels if there are any.

Files are read in place. Each entity is an asset; the first ``train_timestamps`` of it are history, the rest is live.

Not here: what is done with labels (``judge``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pandas as pd

from detector.app.demo.play import WARM_UP_WINDOWS, Event, Message, Play, Tick, iso
from detector.errors import ConfigError

MANIFEST: Final = "manifest.csv"
LABELS: Final = "labels.csv.gz"
MANIFEST_COLUMNS: Final = ("entity", "path", "train_timestamps", "step_seconds")
SERIES_COLUMNS: Final = ("timestamp", "sensor_id", "value")
LABEL_COLUMNS: Final = ("entity", "timestamp", "label")
LIVE_REAL_SECONDS: Final = 30.0  # what the live part takes unless a speed is given
LEAST_WINDOWS: Final = 64  # of history; fewer leave no tail to calibrate (models.training)
USUAL_WINDOWS: Final = 128  # the default of model.min_windows
SHOWN_NAMES: Final = 5


@dataclass(frozen=True)
class Series:
    """One entity.

    Attributes
    ----------
    entity : str
        Its name.
    step_seconds : float
        Distance between two timestamps where none is missing.
    train : int
        Timestamps of history.
    rows : DataFrame
        Columns time (epoch seconds, ascending), sensor_id, value.
    live_from : float
        Time of the first row after the history.
    """

    entity: str
    step_seconds: float
    train: int
    rows: pd.DataFrame
    live_from: float


def replay_play(data: Path, entities: tuple[str, ...], speed: float | None) -> Play:
    """Return real series as a play.

    Parameters
    ----------
    data : Path
        The directory.
    entities : tuple of str
        Which; empty is the first of the manifest.
    speed : float or None
        None lets the live part take `LIVE_REAL_SECONDS`.

    Raises
    ------
    ConfigError
        If the directory is not of that form, an entity is unknown or too short, or steps differ.
    """
    manifest = _read(data / MANIFEST, MANIFEST_COLUMNS, "series to replay are described there")
    chosen = _choose(manifest, entities or (str(manifest["entity"].iloc[0]),), data)
    series = [_series(data, row) for row in chosen]
    step = _common_step(series)
    live_from = max(each.live_from for each in series)
    # Several entities play at once: their own times may be years apart, and one stream has one watermark.
    shifts = {each.entity: live_from - each.live_from for each in series}
    rows = pd.concat([_as_records(each, shifts[each.entity]) for each in series]).sort_values("time", kind="stable")
    live_to = float(rows["time"].iloc[-1]) + step
    history = rows[rows["time"] < live_from]
    labels = data / LABELS
    events = _events(labels, series, shifts, step) if labels.exists() else None
    least = min(each.train for each in series)
    return Play(
        title=f"{', '.join(each.entity for each in series)} of {data}, {rows['key'].nunique()} sensors",
        notes=_notes(series, shifts, labeled=events is not None),
        settings=(
            f"windows.length={step:g}s",
            f"windows.lateness={step:g}s",
            "records.timestamp_format=iso8601",
            f"model.min_windows={max(LEAST_WINDOWS, min(USUAL_WINDOWS, least * 3 // 4))}",
        ),
        window_seconds=step,
        speed=speed or max(1.0, (live_to - live_from) / LIVE_REAL_SECONDS),
        history=lambda: _ticks(history),
        live=lambda: _live(rows[rows["time"] >= live_from - WARM_UP_WINDOWS * step], live_to + 2 * step),
        history_ticks=history["time"].nunique(),
        live_from=live_from,
        live_to=live_to,
        broken=0,
        events=events,
    )


def _read(path: Path, columns: tuple[str, ...], purpose: str) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(("entity", "path", "sensor_id", "timestamp"), str))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; {purpose}. Correct --data or add the file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {purpose}") from error
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ConfigError(f"{path} has no column {', '.join(absent)}; it needs {', '.join(columns)}")
    if frame.empty:
        raise ConfigError(f"{path} has no rows; {purpose}")
    return frame


def _choose(manifest: pd.DataFrame, entities: tuple[str, ...], data: Path) -> list[pd.Series]:
    known = manifest["entity"].tolist()
    for entity in entities:
        if entity not in known:
            near = difflib.get_close_matches(entity, known, SHOWN_NAMES, 0.4) or known[:SHOWN_NAMES]
            raise ConfigError(f"{data / MANIFEST} has no entity {entity!r}; near it are: {', '.join(near)}")
    return [manifest.iloc[known.index(entity)] for entity in dict.fromkeys(entities)]


def _series(data: Path, row: pd.Series) -> Series:
    path = data / str(row["path"])
    rows = _read(path, SERIES_COLUMNS, f"{MANIFEST} names it for {row['entity']}")
    try:
        train, step = int(row["train_timestamps"]), float(row["step_seconds"])
        rows["time"] = _times(rows["timestamp"])
        rows["value"] = pd.to_numeric(rows["value"])
    except ValueError as error:
        raise ConfigError(
            f"{path} or its row in {MANIFEST} holds something that is no number or time: {error}"
        ) from error
    rows = rows.dropna(subset=["value"]).sort_values("time", kind="stable")
    times = rows["time"].unique()
    if train < LEAST_WINDOWS or train >= len(times):
        raise ConfigError(
            f"{row['entity']} has {len(times)} timestamps, {train} of them to train on; it needs at least "
            f"{LEAST_WINDOWS} to train on and one more. Choose another --entity"
        )
    return Series(str(row["entity"]), step, train, rows[["time", "sensor_id", "value"]], float(times[train]))


def _times(stamps: pd.Series) -> pd.Series:
    return pd.to_datetime(stamps, utc=True, format="ISO8601").map(pd.Timestamp.timestamp)


def _common_step(series: list[Series]) -> float:
    steps = {each.entity: each.step_seconds for each in series}
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{entity} {step:g} s" for entity, step in steps.items())
        raise ConfigError(
            f"the entities have different steps ({listed}), and windows have one length; replay them apart"
        )
    return series[0].step_seconds


def _as_records(series: Series, shift: float) -> pd.DataFrame:
    """Return columns time, key (``entity/sensor``), asset_id, sensor_id, value."""
    sensors = series.rows["sensor_id"].str.removeprefix(f"{series.entity}/")
    return pd.DataFrame(
        {
            "time": series.rows["time"] + shift,
            "key": series.entity + "/" + sensors,
            "asset_id": series.entity,
            "sensor_id": sensors,
            "value": series.rows["value"],
        }
    )


def _ticks(rows: pd.DataFrame) -> Iterator[Tick]:
    for time, group in rows.groupby("time", sort=True):
        stamp = iso(float(str(time)))
        yield Tick(float(str(time)), tuple(_message(stamp, *fields) for fields in _fields(group)))


def _live(rows: pd.DataFrame, closing: float) -> Iterator[Tick]:
    """Yield the rows, and at the end one record that is newer: it repeats the last value and closes the windows."""
    yield from _ticks(rows)
    yield Tick(closing, tuple(_message(iso(closing), *fields) for fields in _fields(rows.tail(1))))


def _fields(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, float]]:
    columns = (rows[name].tolist() for name in ("key", "asset_id", "sensor_id", "value"))
    return zip(*columns, strict=True)


def _message(stamp: str, key: str, asset_id: str, sensor_id: str, value: float) -> Message:
    record = {"asset_id": asset_id, "sensor_id": sensor_id, "timestamp": stamp, "value": value}
    return Message(key.encode(), msgspec.json.encode(record))


def _events(path: Path, series: list[Series], shifts: dict[str, float], step: float) -> tuple[Event, ...]:
    """Join labelled timestamps that follow each other to events, the live part of them."""
    labels = _read(path, LABEL_COLUMNS, "labels of the series stand there")
    found: list[Event] = []
    for each in series:
        own = labels[labels["entity"] == each.entity].sort_values("timestamp")
        times, shift = _times(own["timestamp"]), shifts[each.entity]
        run = own["label"].ne(own["label"].shift()).cumsum()
        marked = (own["label"] == 1) & (times >= each.live_from)
        for _, stretch in times[marked].groupby(run[marked]):
            start, end = float(stretch.iloc[0]) + shift, float(stretch.iloc[-1]) + step + shift
            found.append(Event("labelled", each.entity, None, start, end))
    return tuple(sorted(found, key=lambda event: event.start))


def _notes(series: list[Series], shifts: dict[str, float], *, labeled: bool) -> tuple[str, ...]:
    trained = ", ".join(str(each.train) for each in series)
    notes = [f"History is the first {trained} timestamps, one window each; labels are not used in training."]
    notes += [
        f"{entity} is moved by {shift / 86400:+.2f} days, so that all entities go live at once."
        for entity, shift in shifts.items()
        if shift
    ]
    if labeled:
        notes.append("A label names no sensor: an alert of any sensor of the entity within a labelled event is a hit.")
    else:
        notes.append(f"There is no {LABELS}: alerts are shown, but nothing says which of them are right.")
    return tuple(notes)
