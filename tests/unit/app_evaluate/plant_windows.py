"""Windows of one entity from its values, by the reference of windows and without Spark.

Not here: windows as Spark makes them (``tests/spark``).
"""

from __future__ import annotations

import numpy as np

from detector.app.evaluate.timeline import Timeline
from detector.pipeline.schema import KEY_SEPARATOR
from models.features import WINDOW_FEATURES, FloatArray, WindowBatch
from models.profile import ScoringProfile
from models.training import TrainingConfig
from tests.reference import US, Record, Shape, batch_windows

STEP_SECONDS = 60
START_US = 1_500_000_000 // (8 * STEP_SECONDS) * 8 * STEP_SECONDS * US
CONFIG = TrainingConfig(ScoringProfile(quiet_windows=2), min_windows=64)


def timeline_of(timestamps: int, train: int, steps: int = 1) -> Timeline:
    """Return timestamps a step apart and windows of some steps."""
    us = START_US + np.arange(timestamps) * STEP_SECONDS * US
    return Timeline(us, train, steps * STEP_SECONDS * US)


def windows_of(values: FloatArray, timeline: Timeline) -> WindowBatch:
    """Return the windows of values (timestamps, sensors); NaN is no record."""
    records = [
        Record("mill", f"sensor-{sensor}", int(timeline.us[step]), float(values[step, sensor]))
        for step, sensor in zip(*np.nonzero(~np.isnan(values)), strict=True)
    ]
    length = timeline.length_us / US
    found = batch_windows(records, Shape(length, length))
    keys = np.array([f"{asset}{KEY_SEPARATOR}{sensor}" for _, asset, sensor in found], object)
    index = np.array([start // timeline.length_us + 1 for start, _, _ in found], np.int64)
    features = np.array([[row[name] for name in WINDOW_FEATURES.names] for row in found.values()], np.float64)
    return WindowBatch(keys, index, features.reshape(len(found), len(WINDOW_FEATURES.names)))
