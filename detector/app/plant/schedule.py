"""Faults at random: which comes next, where, and how large.

Not here: what a fault does (``faults``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detector.app.plant.faults import KINDS, PROCESS_KINDS, Fault, Kind
from detector.app.plant.sensors import PUMPS, SENSORS
from detector.app.plant.station import Plant

MEAN_GAP_SECONDS: Final = 600.0  # of event time, from one beginning to the next
# Who tries things out is to see an alert soon: the first fault is one that is easily found, and lasts for as long as
# training on a history and a start take.
FIRST_SECONDS: Final = 180.0
FIRST: Final = ("intake", "temperature")
FIRST_MINUTES: Final = 20.0
FIRST_SIZE: Final = 12.0  # as `Fault` has it


@dataclass(frozen=True)
class Form:
    """How long and how large faults of a kind are: least and most minutes, least and most size as `Fault` has it.

    A signed one goes as often down as up. No minutes are a single value of the sensor.
    """

    minutes: tuple[float, float]
    size: tuple[float, float] = (0.0, 0.0)
    signed: bool = False


FORMS: Final[dict[Kind, Form]] = {
    "spike": Form((0, 0), (14.0, 20.0), signed=True),
    "level shift": Form((10, 20), (8.0, 16.0), signed=True),
    "drift": Form((20, 40), (50.0, 80.0)),
    "stuck": Form((10, 20)),
    "noise burst": Form((8, 15), (4.0, 6.0)),
    "broken correlation": Form((25, 40), (0.08, 0.15)),
    "silence": Form((5, 15)),
}


class Schedule:
    """Faults of a plant: a level shift after `FIRST_SECONDS`, then random ones, never two at once on one asset.

    The random ones begin about every `MEAN_GAP_SECONDS`.

    Parameters
    ----------
    plant : Plant
        Where they happen. It must be run up to `next_start` and no further before the next `begin`.
    seed : int
        Of everything random.

    Attributes
    ----------
    next_start : float
        Epoch seconds at or after which the next fault begins.
    """

    def __init__(self, plant: Plant, seed: int) -> None:
        self._plant = plant
        self._rng = np.random.default_rng((seed, 1))  # another stream than the plant's
        self._until: dict[str, float] = {}
        self._first = True
        self.next_start = plant.next_time + FIRST_SECONDS

    def begin(self) -> Fault | None:
        """Let a fault begin with the next values of the plant, and decide when the one after it does.

        Returns
        -------
        Fault or None
            None if the asset that was chosen has one already.
        """
        spec, now = self._plant.spec, self._plant.next_time
        self.next_start = now + self._rng.exponential(MEAN_GAP_SECONDS)
        if self._first:
            self._first = False
            return self._inject("level shift", spec.asset_id(0, FIRST[0]), FIRST[1], FIRST_MINUTES, FIRST_SIZE)
        kind = KINDS[int(self._rng.integers(len(KINDS)))]
        station = int(self._rng.integers(spec.stations))
        asset, sensor_id = self._place(kind, self._plant.duty_pump(station))
        form = FORMS[kind]
        size = self._rng.uniform(*form.size)
        size *= self._rng.choice((-1.0, 1.0)) if form.signed else 1.0
        minutes = self._rng.uniform(*form.minutes)
        asset_id = spec.asset_id(station, asset)
        if self._until.get(asset_id, now) > now:
            return None
        return self._inject(kind, asset_id, sensor_id, minutes, size)

    def _inject(self, kind: Kind, asset_id: str, sensor_id: str | None, minutes: float, size: float) -> Fault:
        every, now = self._plant.spec.every, self._plant.next_time
        fault = Fault(kind, asset_id, sensor_id, now, now + every * max(1, round(60.0 * minutes / every)), size)
        self._until[asset_id] = fault.end
        self._plant.inject(fault)
        return fault

    def _place(self, kind: Kind, duty: str) -> tuple[str, str | None]:
        """Choose a sensor; not of a pump that may stand, where little could be seen of a fault."""
        if kind in PROCESS_KINDS:
            return duty, None
        sensors = [sensor for sensor in SENSORS if sensor.asset_id == duty or sensor.asset_id not in PUMPS]
        chosen = sensors[int(self._rng.integers(len(sensors)))]
        return chosen.asset_id, chosen.sensor_id
