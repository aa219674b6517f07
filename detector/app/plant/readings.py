"""From the state of a station to what ideal sensors would read.

Not here: noise, resolution and faults (``station``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detector.app.plant import hydraulics as h
from detector.app.plant.inputs import MEAN_INFLOW, PLACE, daily_inflow
from detector.app.plant.process import Course
from detector.app.plant.sensors import COLUMNS, PUMPS
from models.features import FloatArray

RATED_RPM: Final = 1480.0
SCREEN_KPA: Final = 1.2  # at the mean inflow
TURBIDITY_NTU: Final = 14.0
CONDUCTIVITY: Final = 620.0  # uS/cm
MAIN_HEIGHT: Final = 8.0  # m above the pumps, where the pressure of the main is measured
FITTINGS_LOSS: Final = 8e-6  # m per (m3/h)^2: half a metre at the best flow
SEAL_BAR: Final = 3.2
STILL_VIBRATION: Final = 0.12  # mm/s, what comes through the foundation


def readings(course: Course, times: FloatArray) -> FloatArray:
    """Return ideal readings, shape (T, S, columns), in the order of `sensors.COLUMNS`.

    Parameters
    ----------
    course : Course
        The states at T instants.
    times : ndarray of float64, shape (T,)
        These instants, seconds of local time.
    """
    by_key = {**_intake(course, times), **_outlet(course, times)}
    for number, asset_id in enumerate(PUMPS):
        by_key.update({f"{asset_id}/{name}": values for name, values in _pump(course, number).items()})
    by_key["pump-2/seal_pressure"] = SEAL_BAR + _wandering(course, "seal")
    return np.stack([by_key[sensor.key] for sensor in COLUMNS], axis=-1)


def _intake(course: Course, times: FloatArray) -> dict[str, FloatArray]:
    rise = daily_inflow(times)[:, None] - 1.0
    restless = _wandering(course, "turbidity_slow") + _wandering(course, "turbidity_fast")
    load = (course.inputs.inflow / MEAN_INFLOW) ** 2
    return {
        "intake/level": course.water.well,
        "intake/inflow": course.inputs.inflow,
        "intake/temperature": course.inputs.water,
        "intake/turbidity": TURBIDITY_NTU * (1.0 + 0.25 * rise) * np.exp(restless),
        "intake/screen_pressure": SCREEN_KPA * load * (1.0 + _wandering(course, "clogging")),
    }


def _pump(course: Course, number: int) -> dict[str, FloatArray]:
    share, speed = course.water.share[:, :, number], course.speed[:, :, number]
    flow, power = course.flow[:, :, number], course.power[:, :, number]
    turns = share > 0
    # Behind the check valve: the pump's own fittings add to the pressure of the main while it delivers.
    head = course.head + FITTINGS_LOSS * flow**2
    off_design = np.abs(flow / (h.BEST_FLOW * np.maximum(speed, 0.1)) - 1.0)
    moving = (0.4 + 1.8 * speed**2 + 0.8 * off_design) * np.exp(_wandering(course, f"vibration_{number + 1}"))
    return {
        "flow": flow,
        "discharge_pressure": h.BAR_PER_METRE * head,
        "power": power,
        "current": h.current(power),
        "speed": RATED_RPM * speed,
        "bearing_temperature": course.bearing[:, :, number],
        "vibration": np.where(turns, moving, STILL_VIBRATION),
    }


def _outlet(course: Course, times: FloatArray) -> dict[str, FloatArray]:
    dilution = 60.0 * (daily_inflow(times)[:, None] - 1.0)
    return {
        "outlet/level": course.water.tank,
        "outlet/flow": course.water.outflow,
        "outlet/pressure": h.BAR_PER_METRE * (course.head - MAIN_HEIGHT),
        "outlet/temperature": course.mixed,
        "outlet/conductivity": CONDUCTIVITY - dilution + _wandering(course, "conductivity"),
    }


def _wandering(course: Course, name: str) -> FloatArray:
    wandering: FloatArray = course.inputs.wandering[:, :, PLACE[name]]
    return wandering
