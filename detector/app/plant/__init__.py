"""A simulated pumping station: physics that hold together, transmitters with noise, and faults that are known.

An inlet well takes a varying inflow; two variable-speed pumps lift it to a tank, which empties over a weir.

Not here: what is done with the records: the demonstration (``detector.app.demo``), ``tidemark simulate``.
"""

from detector.app.plant.faults import KINDS, Fault, Kind
from detector.app.plant.inputs import DAY_SECONDS
from detector.app.plant.records import RecordWriter
from detector.app.plant.schedule import Schedule
from detector.app.plant.sensors import ASSETS, NEW_SENSOR, SENSORS, Sensor
from detector.app.plant.station import Chunk, Plant, PlantSpec

__all__ = [
    "ASSETS",
    "DAY_SECONDS",
    "KINDS",
    "NEW_SENSOR",
    "SENSORS",
    "Chunk",
    "Fault",
    "Kind",
    "Plant",
    "PlantSpec",
    "RecordWriter",
    "Schedule",
    "Sensor",
]
