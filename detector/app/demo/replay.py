"""Real series from a directory: ``manifest.csv``, a gzipped CSV per entity, and labels if there are any.

Files are read in place. Each entity is an asset; the first ``train_timestamps`` of it are history, the rest is live.

Not here: what is done with labels (``judge``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from detector.app.demo.play import WARM_UP_WINDOWS, Event, Message, Play, Tick
from detector.app.series import (
    LABEL_COLUMNS,
    LABELS,
    MANIFEST,
    US,
    Entity,
    choose,
    clock_of,
    entities,
    microseconds,
    read_manifest,
    read_series,
    read_table,
    record,
    runs,
)
from detector.errors import ConfigError
from detector.pipeline.instants import iso

LIVE_REAL_SECONDS: Final = 30.0  # what the live part takes unless a speed is given
LEAST_WINDOWS: Final = 64  # of history; fewer leave no tail to calibrate (models.training)
USUAL_WINDOWS: Final = 128  # the default of model.min_windows


@dataclass(frozen=True)
class History:
    """One entity, as it is played.

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


def replay_play(data: Path, names: tuple[str, ...], speed: float | None) -> Play:
    """Return real series as a play.

    Parameters
    ----------
    data : Path
        The directory.
    names : tuple of str
        Which entities; empty is the first of the manifest.
    speed : float or None
        None lets the live part take `LIVE_REAL_SECONDS`.

    Raises
    ------
    ConfigError
        If the directory is not of that form, an entity is unknown or too short, or steps differ.
    """
    manifest = read_manifest(data)
    chosen = choose(manifest, "entity", names or (str(manifest["entity"].iloc[0]),), data / MANIFEST)
    series = [_history(entity) for entity in entities(chosen, data)]
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


def _history(entity: Entity) -> History:
    series = read_series(entity)
    times = clock_of(series.rows).us
    if not LEAST_WINDOWS <= entity.train < len(times):
        raise ConfigError(
            f"{entity.name} has {len(times)} timestamps, {entity.train} of them to train on; it needs at least "
            f"{LEAST_WINDOWS} to train on and one more. Choose another --entity"
        )
    rows = series.rows.dropna(subset=["value"])
    rows = rows.assign(time=rows["us"] / US)[["time", "sensor_id", "value"]]
    return History(entity.name, entity.step_seconds, entity.train, rows, float(times[entity.train]) / US)


def _common_step(series: list[History]) -> float:
    steps = {each.entity: each.step_seconds for each in series}
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{entity} {step:g} s" for entity, step in steps.items())
        raise ConfigError(
            f"the entities have different steps ({listed}), and windows have one length; replay them apart"
        )
    return series[0].step_seconds


def _as_records(series: History, shift: float) -> pd.DataFrame:
    """Return columns time, key (``entity/sensor``), asset_id, sensor_id, value."""
    return pd.DataFrame(
        {
            "time": series.rows["time"] + shift,
            "key": series.entity + "/" + series.rows["sensor_id"],
            "asset_id": series.entity,
            "sensor_id": series.rows["sensor_id"],
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
    return Message(key.encode(), record(asset_id, sensor_id, stamp, value))


def _events(path: Path, series: list[History], shifts: dict[str, float], step: float) -> tuple[Event, ...]:
    """Join labelled timestamps that follow each other to events, the live part of them."""
    labels = read_table(path, LABEL_COLUMNS, "labels of the series stand there")
    found: list[Event] = []
    for each in series:
        own = labels[labels["entity"] == each.entity].sort_values("timestamp")
        times, shift = microseconds(own["timestamp"]) / US, shifts[each.entity]
        for first, last in runs((own["label"] == 1) & (times >= each.live_from)):
            start, end = float(times[first]) + shift, float(times[last]) + step + shift
            found.append(Event("labelled", each.entity, None, start, end))
    return tuple(sorted(found, key=lambda event: event.start))


def _notes(series: list[History], shifts: dict[str, float], *, labeled: bool) -> tuple[str, ...]:
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
