"""Measured values as Kafka records: the form that the README describes, with ``epoch_ms`` timestamps.

Not here: sending them.
"""

from __future__ import annotations

import msgspec

from detector.app.plant.sensors import COLUMNS
from detector.app.plant.station import PlantSpec
from models.features import FloatArray


class RecordWriter:
    """Writes the records of a plant.

    What is the same in all records of a sensor is encoded once: a record then costs one text of two numbers.

    Parameters
    ----------
    spec : PlantSpec
        Whose assets it names.
    """

    def __init__(self, spec: PlantSpec) -> None:
        self._keys: list[bytes] = []
        self._forms: list[str] = []
        for station in range(spec.stations):
            for sensor in COLUMNS:
                asset_id = spec.asset_id(station, sensor.asset_id)
                self._keys.append(f"{asset_id}/{sensor.sensor_id}".encode())
                head = msgspec.json.encode({"asset_id": asset_id, "sensor_id": sensor.sensor_id}).decode()
                unit = msgspec.json.encode(sensor.unit).decode()
                # Names have no per cent signs: they are ours.
                self._forms.append(f'{head[:-1]},"timestamp":%d,"value":%r,"unit":{unit}}}')

    def records(self, time: float, values: FloatArray) -> list[tuple[bytes, bytes]]:
        """Return (key, value) of every sensor that has a value.

        Parameters
        ----------
        time : float
            Epoch seconds.
        values : ndarray of float64, shape (S, columns)
            NaN where there is none.
        """
        stamp = round(time * 1000)
        rows = zip(self._keys, self._forms, values.ravel().tolist(), strict=True)
        return [(key, (form % (stamp, value)).encode()) for key, form, value in rows if value == value]  # noqa: PLR0124 - NaN is silence
