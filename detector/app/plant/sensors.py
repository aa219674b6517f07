"""The sensors of a station: what each measures, and how well its transmitter does so.

Not here: the true values (``process``), what a fault does to a measured one (``faults``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sensor:
    """One sensor.

    Attributes
    ----------
    asset_id, sensor_id : str
        Who it is.
    unit : str
        Of its values.
    description : str
        What it measures, in a few words.
    noise : float
        Standard deviation of its measurement noise, in its unit.
    resolution : float
        Smallest step of its values, in its unit.
    idle_noise : float
        Share of the noise that is left while its pump stands; 0 for what is then not there (a shaft that does not
        turn, a flow below the low-flow cut-off).
    """

    asset_id: str
    sensor_id: str
    unit: str
    description: str
    noise: float
    resolution: float
    idle_noise: float = 1.0

    @property
    def key(self) -> str:
        """``asset/sensor``."""
        return f"{self.asset_id}/{self.sensor_id}"


PUMPS: Final = ("pump-1", "pump-2")
ASSETS: Final = ("intake", *PUMPS, "outlet")


def _pump(asset_id: str) -> tuple[Sensor, ...]:
    return (
        Sensor(asset_id, "flow", "m3/h", "delivered flow", 1.5, 0.1, 0.0),
        Sensor(asset_id, "discharge_pressure", "bar", "pressure behind the check valve", 0.008, 0.001),
        Sensor(asset_id, "power", "kW", "electrical power drawn", 0.15, 0.01, 0.05),
        Sensor(asset_id, "current", "A", "motor current", 0.3, 0.01, 0.05),
        Sensor(asset_id, "speed", "rpm", "shaft speed", 1.5, 0.5, 0.0),
        Sensor(asset_id, "bearing_temperature", "degC", "temperature of the drive-end bearing", 0.08, 0.01),
        Sensor(asset_id, "vibration", "mm/s", "vibration velocity of the bearing housing, RMS", 0.05, 0.01, 0.1),
    )


# Noise and resolution are those of usual industrial transmitters: some 0.1 to 0.5 % of the measured span, more where
# the medium itself is restless (waves in the well, turbulence at the flow meter).
SENSORS: Final = (
    Sensor("intake", "level", "m", "water level in the inlet well", 0.006, 0.001),
    Sensor("intake", "inflow", "m3/h", "flow into the well", 3.0, 0.1),
    Sensor("intake", "temperature", "degC", "water temperature in the well", 0.03, 0.01),
    Sensor("intake", "turbidity", "NTU", "turbidity of the incoming water", 0.25, 0.01),
    Sensor("intake", "screen_pressure", "kPa", "pressure lost over the screen", 0.02, 0.001),
    *_pump("pump-1"),
    *_pump("pump-2"),
    Sensor("outlet", "level", "m", "water level in the tank", 0.004, 0.001),
    Sensor("outlet", "flow", "m3/h", "flow over the weir of the tank", 2.0, 0.1),
    Sensor("outlet", "pressure", "bar", "pressure in the rising main", 0.004, 0.001),
    Sensor("outlet", "temperature", "degC", "water temperature in the tank", 0.03, 0.01),
    Sensor("outlet", "conductivity", "uS/cm", "conductivity of the delivered water", 1.2, 0.1),
)
# Newly commissioned: there is a time before which it did not exist (`PlantSpec.commissioned`).
NEW_SENSOR: Final = Sensor("pump-2", "seal_pressure", "bar", "barrier-fluid pressure of the shaft seal", 0.02, 0.001)
COLUMNS: Final = (*SENSORS, NEW_SENSOR)
