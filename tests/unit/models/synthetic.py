"""Windows for the tests of models: built from a (sensors, time) array of means.

Not here: windows from records (the pipeline's tests).
"""

from __future__ import annotations

import numpy as np

from models.features import WINDOW_FEATURES, FloatArray, History, KeyArray, WindowBatch

# Half the distance between the minimum and the maximum of a synthetic window, in standard deviations of its means.
HALF_RANGE = 1.0


def sensor_keys(sensors: int) -> KeyArray:
    """Return sorted keys in the service's form, asset and sensor joined by the unit separator."""
    keys = np.empty(sensors, object)
    keys[:] = [f"pump-{i // 4:03d}\x1fsensor-{i:05d}" for i in range(sensors)]
    return keys


def features_of(means: FloatArray, spread: FloatArray | float = 1.0) -> FloatArray:
    """Return the statistics (..., F) of windows with these means, all NaN where the mean is."""
    spread = np.broadcast_to(spread, means.shape)
    columns = {
        "count": np.full(means.shape, 10.0),
        "mean": means,
        "std": spread,
        "min": means - HALF_RANGE * spread,
        "max": means + HALF_RANGE * spread,
        "first": means,
        "last": means,
        "slope": np.zeros(means.shape),
    }
    out = np.stack([columns[name] for name in WINDOW_FEATURES.names], axis=-1)
    out[np.isnan(means)] = np.nan
    return out


def windows(means: FloatArray, first_index: int = 0, spread: FloatArray | float = 1.0) -> WindowBatch:
    """Return the windows of (sensors, time) means, one sensor after the other; NaN means that there is none."""
    row, step = np.nonzero(~np.isnan(means))
    features = features_of(means, spread)[row, step]
    return WindowBatch(sensor_keys(len(means))[row], first_index + step.astype(np.int64), features)


def history_of(means: FloatArray, spread: FloatArray | float = 1.0) -> History:
    """Return the history of (sensors, time) means."""
    return History(sensor_keys(len(means)), 0, features_of(means, spread))


def machine_means(sensors: int, steps: int, seed: int = 0) -> FloatArray:
    """Return means like a machine's: a slow cycle, autocorrelated noise, other level and size for each sensor."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(sensors, steps))
    for step in range(1, steps):
        noise[:, step] += 0.6 * noise[:, step - 1]
    cycle = 2.0 * np.sin(np.arange(steps) / 15.0 + np.arange(sensors)[:, None])
    size = 10.0 ** (np.arange(sensors) % 4 - 1)[:, None]
    return size * (50.0 + cycle + noise)
