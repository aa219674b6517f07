"""What acts on stations from outside: daily cycles, slow and fast wandering, load changes.

Daily cycles follow the time of day; times are local ones. Everything else is random and carried from step to step.

Not here: what a station makes of it (``process``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.features import FloatArray

DAY_SECONDS: Final = 86_400.0
MEAN_INFLOW: Final = 400.0  # m3/h

# Wandering quantities, Ornstein-Uhlenbeck processes with mean 0: time constant in seconds, standard deviation. Minutes
# for turbulence and mixing, hours for weather, catchment and wear; sizes as plants of this kind show them.
WANDERING: Final = {
    "inflow_slow": (5400.0, 0.05),  # share of the inflow
    "inflow_fast": (480.0, 0.015),  # share of the inflow
    "air": (21_600.0, 0.8),  # degC
    "water": (28_800.0, 0.25),  # degC
    "turbidity_slow": (10_800.0, 0.10),  # logarithm
    "turbidity_fast": (360.0, 0.03),  # logarithm
    "clogging": (18_000.0, 0.08),  # share of the screen's loss
    "conductivity": (14_400.0, 6.0),  # uS/cm
    "vibration_1": (90.0, 0.03),  # logarithm
    "vibration_2": (90.0, 0.03),  # logarithm
    "seal": (1200.0, 0.03),  # bar
}
PLACE: Final = {name: number for number, name in enumerate(WANDERING)}
_SECONDS, _SPREAD = np.array(list(WANDERING.values())).T

# A large discharger in the catchment that is on or off, for hours at a time, and is felt after ten minutes.
DISCHARGER_SHARE: Final = 0.06  # of the inflow
DISCHARGER_SECONDS: Final = 4 * 3600.0
DISCHARGER_LAG_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Inputs:
    """What acts on S stations during n steps.

    Attributes
    ----------
    inflow : ndarray of float64, shape (n, S)
        m3/h.
    air, water : ndarray of float64, shape (n, S)
        Temperatures, degC.
    wandering : ndarray of float64, shape (n, S, W)
        Columns as in `WANDERING`.
    """

    inflow: FloatArray
    air: FloatArray
    water: FloatArray
    wandering: FloatArray


class Weather:
    """The inputs of S stations, step by step.

    Parameters
    ----------
    stations : int
        S.
    seeds : SeedSequence
        Of everything random.
    """

    def __init__(self, stations: int, seeds: np.random.SeedSequence) -> None:
        # Streams of their own: each is drawn from in order of time, so that chunks of any size give the same.
        initial, self._shocks, self._chances = (np.random.default_rng(each) for each in seeds.spawn(3))
        self._mean_inflow = MEAN_INFLOW * initial.uniform(0.98, 1.02, stations)
        self._offset = initial.uniform(-1800.0, 1800.0, stations)  # seconds; catchments rise earlier or later
        self._wandering = _SPREAD * initial.standard_normal((stations, len(WANDERING)))
        self._discharges = initial.random(stations) < 0.5  # noqa: PLR2004 - on half of the time
        self._load = self._discharges.astype(np.float64)

    def run(self, times: FloatArray, seconds: float) -> Inputs:
        """Go on by n steps, at least one.

        Parameters
        ----------
        times : ndarray of float64, shape (n,)
            At which the steps end, seconds of local time.
        seconds : float
            Length of each.
        """
        shape = (len(times), len(self._load))
        shocks = self._shocks.standard_normal((*shape, len(WANDERING)))
        keep = np.exp(-seconds / _SECONDS)
        shocks *= _SPREAD * np.sqrt(1.0 - keep**2)
        wandering = np.empty_like(shocks)
        for step in range(len(times)):
            self._wandering = keep * self._wandering + shocks[step]
            wandering[step] = self._wandering
        local = times[:, None] + self._offset
        inflow = self._mean_inflow * daily_inflow(local) * (1.0 + _share(wandering) + self._discharger(shape, seconds))
        air = daily_air(local) + wandering[..., PLACE["air"]]
        water = daily_water(local) + wandering[..., PLACE["water"]]
        return Inputs(inflow, air, water, wandering)

    def usual(self, time: float) -> Inputs:
        """Return what acts now, if it is `time` now, as one step."""
        local = time + self._offset
        load = DISCHARGER_SHARE * (self._load - 0.5)
        inflow = self._mean_inflow * daily_inflow(local) * (1.0 + _share(self._wandering) + load)
        air = daily_air(local) + self._wandering[:, PLACE["air"]]
        water = daily_water(local) + self._wandering[:, PLACE["water"]]
        return Inputs(inflow[None], air[None], water[None], self._wandering[None])

    def _discharger(self, shape: tuple[int, int], seconds: float) -> FloatArray:
        """Return the share of the inflow that the discharger adds to its mean."""
        switched = self._chances.random(shape) < 1.0 - np.exp(-seconds / DISCHARGER_SECONDS)
        states = self._discharges ^ (np.cumsum(switched, axis=0) % 2 == 1)
        load, self._load = lagged(states.astype(np.float64), self._load, seconds, DISCHARGER_LAG_SECONDS)
        self._discharges = states[-1]
        return DISCHARGER_SHARE * (load - 0.5)


def daily_inflow(times: FloatArray) -> FloatArray:
    """Return the usual inflow over its mean: low before dawn, two humps by day (0.56 to 1.20).

    Parameters
    ----------
    times : ndarray of float64
        Seconds of local time.
    """
    angle = 2 * np.pi * times / DAY_SECONDS
    shape: FloatArray = 1.0 + 0.28 * np.cos(angle - _angle(14)) + 0.16 * np.cos(2 * (angle - _angle(8)))
    return shape


def daily_air(times: FloatArray) -> FloatArray:
    """Return the usual air temperature, degC: 11 at night, 21 in the afternoon."""
    air: FloatArray = 16.0 + 5.0 * np.cos(2 * np.pi * times / DAY_SECONDS - _angle(15))
    return air


def daily_water(times: FloatArray) -> FloatArray:
    """Return the usual temperature of the incoming water, degC; it follows the air late and little."""
    water: FloatArray = 13.5 + 0.5 * np.cos(2 * np.pi * times / DAY_SECONDS - _angle(19))
    return water


def lagged(inputs: FloatArray, before: FloatArray, seconds: float, lag: float) -> tuple[FloatArray, FloatArray]:
    """Return the answer of a first-order lag at each step, and the last one.

    Parameters
    ----------
    inputs : ndarray of float64, shape (n, ...)
    before : ndarray of float64, shape (...)
        The answer before the first step.
    seconds, lag : float
        Length of a step and time constant.
    """
    share = closer(seconds, lag)
    answers = np.empty_like(inputs)
    for step in range(len(inputs)):
        before = before + share * (inputs[step] - before)
        answers[step] = before
    return answers, before


def closer(seconds: float, lag: float) -> float:
    """Return the share of the way that a first-order lag goes in a step."""
    return 1.0 - float(np.exp(-seconds / lag))


def _share(wandering: FloatArray) -> FloatArray:
    total: FloatArray = wandering[..., PLACE["inflow_slow"]] + wandering[..., PLACE["inflow_fast"]]
    return total


def _angle(hour: float) -> float:
    return 2 * np.pi * hour / 24
