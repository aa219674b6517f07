"""Heads, flows, efficiency and power of the pumps: formulas without state.

Heads in metres of water, flows in m3/h, speeds as a share of the rated one. Affinity laws and the usual quadratic
characteristics: Gulich, "Centrifugal Pumps", 3rd ed. (2014), sections 3.3 (similarity), 4.1 (characteristics) and
11.1 (systems).

Not here: what decides about speeds (``process``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.features import FloatArray

SHUT_OFF_HEAD: Final = 38.0  # m, of a pump at rated speed without flow
PUMP_LOSS: Final = 5.48e-5  # m per (m3/h)^2: one pump alone delivers 468 m3/h at rated speed
MAIN_LOSS: Final = 3.65e-5  # m per (m3/h)^2, friction of the rising main: 8 m at 468 m3/h
STATIC_HEAD: Final = 18.0  # m, from the usual level of the well to that of the tank
BEST_FLOW: Final = 250.0  # m3/h at rated speed, where a pump is most efficient
BEST_EFFICIENCY: Final = 0.80
OFF_DESIGN: Final = 0.40  # efficiency lost per squared relative distance from the best flow
MOTOR_EFFICIENCY: Final = 0.93
STANDBY_KW: Final = 0.12  # of a frequency converter whose pump stands
FULL_LOAD_KW: Final = 60.0
VOLTS: Final = 400.0  # between phases
BAR_PER_METRE: Final = 0.0981  # water
KW_PER_FLOW_HEAD: Final = 9.81 / 3600.0  # hydraulic kW of 1 m3/h over 1 m


def speed_for(flow: FloatArray, pumps: FloatArray, static: FloatArray) -> FloatArray:
    """Return the speed at which so many equal pumps deliver a flow against a static head; undoes `flow_at`."""
    speed: FloatArray = np.sqrt((static + (MAIN_LOSS + PUMP_LOSS / pumps**2) * flow**2) / SHUT_OFF_HEAD)
    return speed


def flow_at(speed: FloatArray, pumps: FloatArray, static: FloatArray) -> FloatArray:
    """Return the flow where the characteristic of the pumps meets that of the main; 0 below the static head."""
    spare = np.maximum(SHUT_OFF_HEAD * speed**2 - static, 0.0)
    flow: FloatArray = np.sqrt(spare / (MAIN_LOSS + PUMP_LOSS / pumps**2))
    return flow


def head_at(flow: FloatArray, static: FloatArray) -> FloatArray:
    """Return the head at the foot of the main."""
    return static + MAIN_LOSS * flow**2


def efficiency(flow: FloatArray, speed: FloatArray) -> FloatArray:
    """Return a running pump's efficiency; by the affinity laws the best flow goes with the speed."""
    distance = flow / (BEST_FLOW * np.maximum(speed, 0.1)) - 1.0
    return BEST_EFFICIENCY * np.maximum(1.0 - OFF_DESIGN * distance**2, 0.3)


def electrical_power(flow: FloatArray, head: FloatArray, efficiency: FloatArray) -> FloatArray:
    """Return the kW that a pump draws; a standing one draws `STANDBY_KW`."""
    return STANDBY_KW + KW_PER_FLOW_HEAD * flow * head / (efficiency * MOTOR_EFFICIENCY)


def current(power: FloatArray) -> FloatArray:
    """Return the ampere of a three-phase motor, whose power factor falls with its load."""
    factor = 0.66 + 0.2 * np.minimum(power / FULL_LOAD_KW, 1.0)
    ampere: FloatArray = 1000.0 * power / (np.sqrt(3.0) * VOLTS * factor)
    return ampere
