"""The plant as it is measured: its stations step by step, through transmitters that are noisy and sometimes faulty.

Everything is a function of seed, start and sampling: how it is cut into chunks does not matter, so that it can go on
for ever.

Not here: the physics (``process``, ``readings``), Kafka records (``records``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from detector.app.plant.faults import PROCESS_KINDS, Fault
from detector.app.plant.process import Course, Process
from detector.app.plant.readings import readings
from detector.app.plant.sensors import ASSETS, COLUMNS, NEW_SENSOR, PUMPS
from models.features import FloatArray

_NOISE: Final = np.array([sensor.noise for sensor in COLUMNS])
_IDLE_NOISE: Final = np.array([sensor.idle_noise for sensor in COLUMNS])
_RESOLUTION: Final = np.array([sensor.resolution for sensor in COLUMNS])
# Digits behind the point that a value of each resolution has: rounding to them takes away binary dust.
_DIGITS: Final = np.array([max(0, math.ceil(-math.log10(sensor.resolution))) for sensor in COLUMNS])
_NEW: Final = COLUMNS.index(NEW_SENSOR)
_PUMP_COLUMNS: Final = tuple(
    np.array([sensor.asset_id == pump and sensor != NEW_SENSOR for sensor in COLUMNS]) for pump in PUMPS
)


@dataclass(frozen=True)
class PlantSpec:
    """What is simulated.

    Attributes
    ----------
    seed : int
        Of everything random, 0 or more.
    start : float
        Epoch seconds of the first values.
    every : float
        Seconds between two values of a sensor, more than 0.
    stations : int
        How many, each with all assets. The assets of several are named ``station-007.pump-1``.
    commissioned : float
        Epoch seconds from which on `NEW_SENSOR` exists.
    utc_offset : float
        Seconds that the local time is ahead of UTC: daily cycles follow the local time.
    """

    seed: int
    start: float
    every: float = 10.0
    stations: int = 1
    commissioned: float = math.inf
    utc_offset: float = 0.0

    def asset_id(self, station: int, asset: str) -> str:
        """Return the id of one of `ASSETS` in a station."""
        return asset if self.stations == 1 else f"station-{station + 1:03d}.{asset}"


@dataclass(frozen=True)
class Chunk:
    """Measured values.

    Attributes
    ----------
    times : ndarray of float64, shape (T,)
        Epoch seconds.
    values : ndarray of float64, shape (T, S, columns)
        Columns as in `sensors.COLUMNS`; NaN where a sensor is silent or not there yet.
    """

    times: FloatArray
    values: FloatArray


class Plant:
    """Stations that run for ever.

    Parameters
    ----------
    spec : PlantSpec
        What is simulated.
    """

    def __init__(self, spec: PlantSpec) -> None:
        self.spec = spec
        process, noise = np.random.SeedSequence(spec.seed).spawn(2)
        self._process = Process(spec.stations, spec.start + spec.utc_offset, spec.every, process)
        self._noise = np.random.default_rng(noise)
        self._places = {
            spec.asset_id(station, asset): (station, asset) for station in range(spec.stations) for asset in ASSETS
        }
        self._faults: list[Fault] = []
        self._done = 0
        self._last = np.full((spec.stations, len(COLUMNS)), np.nan)  # the values before the next ones

    @property
    def next_time(self) -> float:
        """Epoch seconds of the values that come next."""
        return self.spec.start + self._done * self.spec.every

    def duty_pump(self, station: int = 0) -> str:
        """Return the pump that runs now and will not be the next to stop."""
        return PUMPS[int(self._process.duty[station])]

    def inject(self, fault: Fault) -> None:
        """Let a fault happen.

        Raises
        ------
        ValueError
            If it begins before the next values, or there is no such asset or sensor.
        """
        _, asset = self._places.get(fault.asset_id, (0, ""))
        known = fault.kind in PROCESS_KINDS and asset in PUMPS
        known = known or any((sensor.asset_id, sensor.sensor_id) == (asset, fault.sensor_id) for sensor in COLUMNS)
        if not known:
            raise ValueError(f"no place for {fault.kind} of {fault.asset_id}/{fault.sensor_id}; choose another")
        if fault.start < self.next_time:
            raise ValueError(f"{fault.kind} of {fault.asset_id} begins at {fault.start}, before {self.next_time}")
        self._faults.append(fault)

    def run(self, steps: int) -> Chunk:
        """Return the next `steps` values of every sensor, at least one."""
        times = self.spec.start + self.spec.every * np.arange(self._done, self._done + steps, dtype=np.float64)
        local = times + self.spec.utc_offset
        course = self._process.run(local, self._worn(times))
        noise = self._noise.standard_normal((steps, self.spec.stations, len(COLUMNS)))
        noise *= self._loudness(course)
        values = readings(course, local) + _NOISE * noise
        self._disturb(times, values, noise)
        values = np.round(np.maximum(values, 0.0) / _RESOLUTION) * _RESOLUTION
        for column, digits in enumerate(_DIGITS.tolist()):
            values[:, :, column] = np.round(values[:, :, column], digits)
        values[times < self.spec.commissioned, :, _NEW] = np.nan
        self._withhold(times, values)
        self._last = values[-1].copy()
        self._done += steps
        self._faults = [fault for fault in self._faults if fault.end >= self.next_time]
        return Chunk(times, values)

    def _worn(self, times: FloatArray) -> FloatArray:
        worn = np.zeros((len(times), self.spec.stations, len(PUMPS)))
        for fault in self._faults:
            if fault.kind in PROCESS_KINDS:
                station, asset = self._places[fault.asset_id]
                worn[:, station, PUMPS.index(asset)] += fault.efficiency_loss(times)
        return worn

    def _loudness(self, course: Course) -> FloatArray:
        """Return by how much of its noise each sensor is noisy, shape (T, S, columns)."""
        out = np.ones((*course.water.share.shape[:2], len(COLUMNS)))
        for number, columns in enumerate(_PUMP_COLUMNS):
            stands = course.water.share[:, :, number] <= 0
            out[:, :, columns] = np.where(stands[:, :, None], _IDLE_NOISE[columns], 1.0)
        return out

    def _disturb(self, times: FloatArray, values: FloatArray, noise: FloatArray) -> None:
        for fault, station, column in self._sensor_faults():
            at = fault.active(times)
            values[at, station, column] += _NOISE[column] * fault.added(times[at], noise[at, station, column])

    def _withhold(self, times: FloatArray, values: FloatArray) -> None:
        """Repeat the last value of what is stuck, leave out what is silent."""
        for fault, station, column in self._sensor_faults():
            at = fault.active(times)
            if fault.kind == "silence":
                values[at, station, column] = np.nan
            elif fault.kind == "stuck" and at.start < at.stop:
                values[at, station, column] = (values[at.start - 1] if at.start else self._last)[station, column]

    def _sensor_faults(self) -> list[tuple[Fault, int, int]]:
        found = []
        for fault in self._faults:
            if fault.sensor_id is not None:
                station, asset = self._places[fault.asset_id]
                names = [(sensor.asset_id, sensor.sensor_id) for sensor in COLUMNS]
                found.append((fault, station, names.index((asset, fault.sensor_id))))
        return found
