"""Writes small series in the form that ``tidemark demo --data`` replays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

STEP = 60
SENSORS = ("a", "b")


@dataclass(frozen=True)
class Entity:
    name: str
    rows: int
    train: int
    labelled: tuple[int, ...] = ()
    start: int = 1_500_000_000 // STEP * STEP
    step: int = STEP


def write_series(directory: Path, entities: list[Entity], jump: float = 0.0) -> None:
    """Write entities of two noisy sensors; sensor ``a`` is moved by `jump` where it is labelled."""
    (directory / "series").mkdir()
    manifest, labels = [], []
    for number, entity in enumerate(entities):
        stamps = pd.to_datetime(np.arange(entity.rows) * entity.step + entity.start, unit="s", utc=True)
        written = stamps.strftime("%Y-%m-%dT%H:%M:%SZ")
        label = np.isin(np.arange(entity.rows), entity.labelled).astype(int)
        values = np.random.default_rng(number).standard_normal((entity.rows, len(SENSORS)))
        values[:, 0] += jump * label
        series = pd.DataFrame(
            {
                "timestamp": np.repeat(written, len(SENSORS)),
                "sensor_id": np.tile([f"{entity.name}/{sensor}" for sensor in SENSORS], entity.rows),
                "value": values.ravel().round(4),
            }
        )
        path = f"series/{entity.name}.csv.gz"
        series.to_csv(directory / path, index=False)
        labels.append(pd.DataFrame({"entity": entity.name, "timestamp": written, "label": label}))
        manifest.append((entity.name, "made", path, len(SENSORS), entity.rows, entity.train, entity.step))
    columns = ["entity", "dataset", "path", "sensors", "timestamps", "train_timestamps", "step_seconds"]
    pd.DataFrame(manifest, columns=columns).to_csv(directory / "manifest.csv", index=False)
    pd.concat(labels).to_csv(directory / "labels.csv.gz", index=False)
