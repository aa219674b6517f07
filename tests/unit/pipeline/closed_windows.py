"""Closed windows for the tests of scoring and alerts, as Spark hands them to a bucket.

Not here: windows from records (``tests/spark``), the model's own view of windows (``tests/unit/models``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from detector.pipeline import columns as c
from detector.pipeline.alerts import AlertContext
from detector.pipeline.schema import KEY_SEPARATOR, topic_id
from models.features import WINDOW_FEATURES, FloatArray
from models.profile import ScoringProfile
from tests.unit.models.synthetic import windows

SLIDE_US = 10_000_000
LENGTH_US = 20_000_000
FIRST_INDEX = 179_500_000  # windows that end from 2026-11-18T11:06:40Z on
PROFILE = ScoringProfile(false_alarm_rate=0.001, quiet_windows=2)
CONTEXT = AlertContext(
    identity="plant.main",
    slide_us=SLIDE_US,
    model_version="v3",
    model_digest="d" * 64,
    config_digest="c" * 64,
    topics={topic_id("north"): "north"},
)


def closed_windows(means: FloatArray, first_index: int = FIRST_INDEX) -> pd.DataFrame:
    """Return windows with these means (sensors, time), one sensor after the other; NaN means that there is none."""
    batch = windows(means, first_index)
    parts = [str(key).split(KEY_SEPARATOR) for key in batch.keys]
    n = len(batch)
    end = (batch.index * SLIDE_US).astype("datetime64[us]").astype("datetime64[ns]")
    statistics = {name: batch.features[:, WINDOW_FEATURES.column(name)] for name in c.STATISTICS}
    return pd.DataFrame(
        {
            c.WINDOW_START: end - np.timedelta64(LENGTH_US, "us"),
            c.WINDOW_END: end,
            c.ASSET_ID: [asset for asset, _ in parts],
            c.SENSOR_ID: [sensor for _, sensor in parts],
            **statistics,
            c.UNIT: np.array(["degC"] * n, object),
            c.UNIT_CONFLICT: False,
            c.PARTITION_MIN: 0,
            c.PARTITION_MAX: 2,
            c.OFFSET_MIN: 10 * np.arange(n),
            c.OFFSET_MAX: 10 * np.arange(n) + 9,
            c.TOPIC_ID_MIN: topic_id("north"),
            c.TOPIC_ID_MAX: topic_id("north"),
            c.KAFKA_TIMESTAMP_MAX: end + np.timedelta64(250, "ms"),
            c.DUPLICATES: 0,
            c.OUT_OF_RANGE: 0,
        }
    )
