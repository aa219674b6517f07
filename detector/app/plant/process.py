"""The station itself: its water, and what follows from it: power, heat, mixing.

Not here: what decides about the pumps (``control``), transmitters and what they do wrong (``station``, ``faults``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from detector.app.plant import hydraulics as h
from detector.app.plant.control import CAPACITY, Control, Water
from detector.app.plant.inputs import Inputs, Weather, lagged
from models.features import FloatArray, IntArray

LONGEST_STEP: Final = 30.0  # seconds; the level control is stable far beyond
BEARING_SECONDS: Final = 1800.0
MIXING_SECONDS: Final = 2700.0  # of the water in the tank
STANDS_BELOW: Final = 0.8  # share of the wanted speed that a pump has at the foot of its ramp, before it delivers


@dataclass(frozen=True)
class Course:
    """What was true at T instants in S stations; flows are those of the step that ended then.

    Attributes
    ----------
    inputs : Inputs
        What acted from outside.
    water : Water
        What the water did.
    flow, speed : ndarray of float64, shape (T, S, 2)
        Of each pump, m3/h and share of the rated speed.
    head : ndarray of float64, shape (T, S)
        At the foot of the rising main, m.
    power, bearing : ndarray of float64, shape (T, S, 2)
        kW and degC.
    mixed : ndarray of float64, shape (T, S)
        Temperature in the tank, degC.
    """

    inputs: Inputs
    water: Water
    flow: FloatArray
    speed: FloatArray
    head: FloatArray
    power: FloatArray
    bearing: FloatArray
    mixed: FloatArray


class Process:
    """S stations.

    Parameters
    ----------
    stations : int
        S.
    start : float
        The first instant, seconds of local time; the stations begin in what is usual then.
    every : float
        Seconds from instant to instant.
    seeds : SeedSequence
        Of everything random.
    """

    def __init__(self, stations: int, start: float, every: float, seeds: np.random.SeedSequence) -> None:
        outside, own = seeds.spawn(2)
        self._parts = math.ceil(every / LONGEST_STEP)
        self._seconds = every / self._parts
        self._weather = Weather(stations, outside)
        now = self._weather.usual(start)
        self._control = Control(now.inflow[0], np.random.default_rng(own).integers(0, 2, stations))
        self._mixed = now.water[0]
        self._bearing: FloatArray | None = None  # until the first step, where it is in balance

    @property
    def duty(self) -> IntArray:
        """The pump of each station that runs now and will not be the next to stop, shape (S,)."""
        return self._control.duty

    def run(self, times: FloatArray, worn: FloatArray) -> Course:
        """Go on to T instants.

        Parameters
        ----------
        times : ndarray of float64, shape (T,)
            Seconds of local time, `every` apart.
        worn : ndarray of float64, shape (T, S, 2)
            Share of each pump's efficiency that is lost.
        """
        back = self._seconds * np.arange(self._parts - 1, -1, -1)
        inputs = self._weather.run((times[:, None] - back).ravel(), self._seconds)
        water = self._control.run(inputs.inflow, self._seconds)
        part = water.share * CAPACITY
        flow = water.flow[:, :, None] * part / part.sum(axis=2, keepdims=True)
        wanted = water.speed[:, :, None]
        speed = np.where(water.share > 0, wanted * (STANDS_BELOW + (1 - STANDS_BELOW) * water.share), 0.0)
        head = h.head_at(water.flow, water.static)
        efficiency = h.efficiency(flow / CAPACITY, wanted) * (1.0 - np.repeat(worn, self._parts, axis=0))
        power = h.electrical_power(flow, head[:, :, None], efficiency)
        # The pump room is warmer than the air and follows it in part; friction grows with the speed.
        target = 9.0 + 0.6 * inputs.air[:, :, None] + 0.5 * power + 9.0 * speed**2
        before = target[0] if self._bearing is None else self._bearing
        bearing, self._bearing = lagged(target, before, self._seconds, BEARING_SECONDS)
        mixed, self._mixed = lagged(inputs.water, self._mixed, self._seconds, MIXING_SECONDS)
        return self._at_instants(Course(inputs, water, flow, speed, head, power, bearing, mixed))

    def _at_instants(self, course: Course) -> Course:
        """Leave out the steps between the instants."""
        if self._parts == 1:
            return course
        last = slice(self._parts - 1, None, self._parts)
        inputs, water, *arrays = vars(course).values()
        return Course(
            Inputs(*(array[last] for array in vars(inputs).values())),
            Water(*(array[last] for array in vars(water).values())),
            *(array[last] for array in arrays),
        )
