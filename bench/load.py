"""The load: which sensor says what at which event time, as arrays; the same numbers for the same arguments.

Records have the form and the event times of the peers' load: record i belongs to sensor ``i % sensors``, sensors
report in turns, a few hundred milliseconds off the beat. A share of the windows carries a level shift.

Not here: the bytes and Kafka (``feed``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIRST_MS: Final = 1_795_000_020_000  # first event time, epoch ms; whole windows of 2 s, 10 s and 60 s begin there
PHASES: Final = 997  # different places in a beat, a prime so that no sensor keeps its place
CHUNK: Final = 250_000  # records made at once; part of what is generated, since each chunk has its own noise
SHIFT: Final = 10.0  # of a faulty window, in standard deviations of the noise
NOISE: Final = 1.0  # standard deviation of readings, in the sensor's unit

IntArray = NDArray[np.int64]


class Chunk(NamedTuple):
    """Consecutive records: number of the sensor, event time (epoch ms), reading; each of shape (n,)."""

    sensor: IntArray
    event_ms: IntArray
    reading: NDArray[np.float64]


@dataclass(frozen=True)
class Load:
    """A finite load.

    Attributes
    ----------
    sensors : int
        Number of sensors.
    windows : int
        Windows of event time that it spans.
    window_ms : int
        Length of a window, at least 1,000 ms a record.
    per_window : int
        Records of each sensor in each window.
    fault_share : float
        Share of the windows with a level shift, 0 to 1.
    first_ms : int
        First event time, epoch ms; a multiple of `window_ms`.
    levels : int
        Different normal levels: sensors with the same number modulo `levels` behave alike, each with its own noise.
    seed : int
        Of noise and faults; levels do not depend on it.
    """

    sensors: int
    windows: int
    window_ms: int
    per_window: int
    fault_share: float = 0.002
    first_ms: int = FIRST_MS
    levels: int = 2_000
    seed: int = 1

    @property
    def records(self) -> int:
        """Number of records."""
        return self.sensors * self.windows * self.per_window

    def before(self, windows: int, *, per_window: int | None = None, sensors: int | None = None) -> Load:
        """Return a faultless history of so many windows that ends where this load begins, with other noise."""
        return Load(
            sensors=sensors or self.sensors,
            windows=windows,
            window_ms=self.window_ms,
            per_window=per_window or self.per_window,
            fault_share=0.0,
            first_ms=self.first_ms - windows * self.window_ms,
            levels=self.levels,
            seed=self.seed + 1,
        )

    def event_ms(self, record: IntArray) -> IntArray:
        """Return the event time of records by their number, epoch ms."""
        beat = self.window_ms // self.per_window
        phase = record % min(PHASES, beat - 3) * max(1, beat // 1000)
        times: IntArray = self.first_ms + record // self.sensors * beat + phase
        return times

    def chunks(self) -> Iterator[Chunk]:
        """Yield all records in order."""
        level = levels(self.levels)
        for start in range(0, self.records, CHUNK):
            record = np.arange(start, min(start + CHUNK, self.records), dtype=np.int64)
            sensor = record % self.sensors
            event_ms = self.event_ms(record)
            noise = np.random.default_rng((self.seed, start)).normal(0.0, NOISE, len(record))
            fault = faulty(sensor, event_ms // self.window_ms, self.fault_share, self.seed)
            reading = level[sensor % self.levels] + noise + SHIFT * NOISE * fault
            yield Chunk(sensor, event_ms, rounded(reading))

    def closed_windows(self, lateness_ms: int) -> int:
        """Count the windows that the watermark has passed when everything has been read."""
        newest, count = 0, np.zeros(self.sensors * self.windows, np.int64)
        for start in range(0, self.records, CHUNK):
            record = np.arange(start, min(start + CHUNK, self.records), dtype=np.int64)
            event_ms = self.event_ms(record)
            newest = max(newest, int(event_ms.max()))
            window = (event_ms - self.first_ms) // self.window_ms
            count += np.bincount(window * self.sensors + record % self.sensors, minlength=len(count))
        ends = self.first_ms + (np.arange(len(count)) // self.sensors + 1) * self.window_ms
        return int(np.count_nonzero((count > 0) & (ends <= newest - lateness_ms)))


def rounded(reading: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return readings with the four decimals that a transmitter sends."""
    return np.round(reading, 4).astype(np.float64)


def levels(count: int) -> NDArray[np.float64]:
    """Return the normal levels, shape (count,), 10 to 100 in the sensor's unit."""
    return np.random.default_rng(count).uniform(10, 100, count)


def faulty(sensor: IntArray, window: IntArray, share: float, seed: int) -> NDArray[np.bool_]:
    """Tell which windows carry a fault, shape (n,): a hash decides, so that all records of a window agree.

    The hash is the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
    OOPSLA 2014).
    """
    mixed = sensor.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + window.astype(np.uint64)
    mixed += np.uint64(seed * 0xD1B54A32D192ED03 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    chosen: NDArray[np.bool_] = (mixed >> np.uint64(11)).astype(np.float64) < share * 2.0**53
    return chosen
