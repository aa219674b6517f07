"""Water through a station: the level control, its two pumps, the well and the tank.

The level control is a proportional-integral one whose output is the flow to deliver; the speed follows from it by
the characteristics. A second pump joins when the first alone is at its limit, and the pump that has run longer goes
when one is enough again: so the duty passes from pump to pump.

Not here: power, heat and mixing, which do not act back on the water (``process``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detector.app.plant import hydraulics as h
from detector.app.plant.inputs import MEAN_INFLOW, closer
from models.features import BoolArray, FloatArray, IntArray

WELL_AREA: Final = 80.0  # m2
WELL_LEVEL: Final = 2.5  # m, what the control holds
TANK_AREA: Final = 150.0  # m2
TANK_LEVEL: Final = 3.0  # m, at the mean inflow
WEIR: Final = MEAN_INFLOW / TANK_LEVEL**1.5  # m3/h over the weir is this times level^1.5

GAIN: Final = 250.0  # m3/h more for each metre that the well is too high
RESET_SECONDS: Final = 2400.0  # integral time of the level control
LEAST_FLOW: Final = 120.0  # m3/h, what a pump bears for long
MOST_FLOW: Final = 600.0  # m3/h, of two pumps
SPEED_SECONDS: Final = 15.0  # lag of the frequency converters
LEAST_SPEED: Final = 0.6

JOIN_FLOW: Final = 440.0  # m3/h: above it for JOIN_SECONDS the second pump starts
JOIN_SECONDS: Final = 300.0
LEAVE_FLOW: Final = 360.0  # m3/h: below it for LEAVE_SECONDS one of two stops
LEAVE_SECONDS: Final = 900.0
RAMP_SECONDS: Final = 240.0  # a pump takes over its share, or hands it back, over so long: no water hammer
CAPACITY: Final = np.array([1.0, 0.96])  # the second pump is a little more worn


@dataclass(frozen=True)
class Water:
    """What the water does in S stations during n steps; levels at the end of a step, flows during it.

    Attributes
    ----------
    flow : ndarray of float64, shape (n, S)
        Through both pumps, m3/h.
    outflow : ndarray of float64, shape (n, S)
        Over the weir, m3/h.
    well, tank : ndarray of float64, shape (n, S)
        Levels, m.
    static : ndarray of float64, shape (n, S)
        Head that the pumps have to overcome before anything flows, m.
    speed : ndarray of float64, shape (n, S)
        What the control wants of the pumps that run, share of the rated speed.
    share : ndarray of float64, shape (n, S, 2)
        How far each pump is on its ramp: 0 stands, 1 runs.
    """

    flow: FloatArray
    outflow: FloatArray
    well: FloatArray
    tank: FloatArray
    static: FloatArray
    speed: FloatArray
    share: FloatArray


class Control:
    """The water of S stations, step by step.

    Parameters
    ----------
    inflow : ndarray of float64, shape (S,)
        At which the stations are in balance when they begin, m3/h.
    duty : ndarray of int64, shape (S,)
        The pump of each that runs in any case.

    Attributes
    ----------
    duty : ndarray of int64, shape (S,)
        The pump that runs now and will not be the next to stop.
    """

    def __init__(self, inflow: FloatArray, duty: IntArray) -> None:
        self.duty = duty
        both = inflow > (JOIN_FLOW + LEAVE_FLOW) / 2
        self._running: BoolArray = both[:, None] | (np.arange(2) == duty[:, None])
        self._share = self._running.astype(np.float64)
        self._well = np.full(len(inflow), WELL_LEVEL)
        self._tank = (inflow / WEIR) ** (2 / 3)
        self._integral = inflow.copy()
        self._demand = inflow.copy()
        self._speed = h.speed_for(inflow, self._pumps(), self._static())
        self._since_high, self._since_low = np.zeros(len(inflow)), np.zeros(len(inflow))

    def run(self, inflow: FloatArray, seconds: float) -> Water:
        """Go on by n steps.

        Parameters
        ----------
        inflow : ndarray of float64, shape (n, S)
            m3/h.
        seconds : float
            Length of a step, at most about a minute.
        """
        flow, outflow, well, tank, static, speed = np.empty((6, *inflow.shape))
        share = np.empty((*inflow.shape, 2))
        for step, entering in enumerate(inflow):
            self._decide(seconds)
            change = seconds / RAMP_SECONDS
            self._share = self._share + np.minimum(np.maximum(self._running - self._share, -change), change)
            pumps, static[step] = self._pumps(), self._static()
            wanted = np.minimum(np.maximum(h.speed_for(self._demand, pumps, static[step]), LEAST_SPEED), 1.0)
            self._speed = self._speed + closer(seconds, SPEED_SECONDS) * (wanted - self._speed)
            flow[step] = h.flow_at(self._speed, pumps, static[step])
            outflow[step] = WEIR * self._tank * np.sqrt(self._tank)
            self._well = self._well + (entering - flow[step]) * (seconds / 3600.0 / WELL_AREA)
            self._tank = self._tank + (flow[step] - outflow[step]) * (seconds / 3600.0 / TANK_AREA)
            well[step], tank[step], speed[step], share[step] = self._well, self._tank, self._speed, self._share
        return Water(flow, outflow, well, tank, static, speed, share)

    def _pumps(self) -> FloatArray:
        """Return how many pumps run, by capacity, shape (S,)."""
        pumps: FloatArray = self._share @ CAPACITY
        return pumps

    def _static(self) -> FloatArray:
        static: FloatArray = self._tank - self._well + (h.STATIC_HEAD - TANK_LEVEL + WELL_LEVEL)
        return static

    def _decide(self, seconds: float) -> None:
        """Choose the flow to deliver, and how many pumps run."""
        pull = GAIN * (self._well - WELL_LEVEL)
        wanted = self._integral + pull
        self._demand = np.minimum(np.maximum(wanted, LEAST_FLOW), MOST_FLOW)
        # Anti-windup: nothing is added up while the output is at its limit.
        self._integral = self._integral + (wanted == self._demand) * pull * (seconds / RESET_SECONDS)
        self._since_high = (self._demand > JOIN_FLOW) * (self._since_high + seconds)
        self._since_low = (self._demand < LEAVE_FLOW) * (self._since_low + seconds)
        both = self._running[:, 0] & self._running[:, 1]
        joining = ~both & (self._since_high >= JOIN_SECONDS)
        leaving = both & (self._since_low >= LEAVE_SECONDS)
        if joining.any():
            self.duty[joining] = 1 - self.duty[joining]
            self._running[joining] = True
        if leaving.any():
            self._running[leaving, 1 - self.duty[leaving]] = False
