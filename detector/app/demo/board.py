"""What the live view knows: the last values of each sensor, its incidents, the newest alerts and a few figures.

Not here: how it looks (``panel``), where alerts and figures come from (``watch``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from detector.app.demo.judge import Received
from detector.app.demo.play import Play, Tick
from detector.app.demo.watch import Readings

State = Literal["normal", "learning", "silent", "resolved", "minor", "major", "critical"]

SPARK_CELLS: Final = 24  # of a sparkline of usual width
SPARK_SECONDS: Final = 10.0  # real time that such a sparkline looks back: long enough to see a fault come and go
KEPT_CELLS: Final = 96  # of each sensor; the scale of its sparkline comes from all of them
KEPT_ALERTS: Final = 20  # more than the tallest terminal shows
CENTRE_SHARE: Final = 0.1  # of a finished cell in the running mean
SILENT_WINDOWS: Final = 4  # without a record: more than a gap


class _Reading(msgspec.Struct):
    asset_id: str
    sensor_id: str
    value: float
    unit: str = ""


@dataclass
class Incident:
    """An incident of one sensor, from the start of the window that opened it to the end of the one that resolved it.

    Parameters
    ----------
    incident_id : str
        Its identifier.
    severity : State
        When it opened.
    start, end : float
        Epoch seconds; the end is infinite while it is open.
    """

    incident_id: str
    severity: State
    start: float
    end: float = math.inf


@dataclass
class Sensor:
    """One sensor.

    A cell is a span of event time and holds that value of it which is farthest from the usual one: a mean would
    hide a short spike.

    Attributes
    ----------
    unit : str
        As the last record names it.
    learning : bool
        Whether it has no model of its own.
    first_seen : float
        Event time of the first record.
    value, seen : float
        The newest value and its event time.
    cells : dict of int to float
        Number of the span -> value; a span without records is missing.
    incidents : list of Incident
        In the order of their opening.
    """

    asset_id: str
    sensor_id: str
    learning: bool
    first_seen: float
    unit: str = ""
    value: float = math.nan
    seen: float = -math.inf
    cells: dict[int, float] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    _centre: float = math.nan
    _last: int = -1

    def add(self, cell: int, time: float, value: float) -> None:
        """Take a value in; times come in order."""
        self.value, self.seen = value, time
        if cell != self._last:
            self._finish_cell()
            self._last = cell
            self.cells[cell] = value
            if len(self.cells) > KEPT_CELLS:
                del self.cells[next(iter(self.cells))]
        elif abs(value - self._centre) > abs(self.cells[cell] - self._centre):
            self.cells[cell] = value

    def incident_at(self, start: float, end: float) -> Incident | None:
        """Return the newest incident that overlaps a span."""
        return next((each for each in reversed(self.incidents) if each.start < end and each.end > start), None)

    def _finish_cell(self) -> None:
        if self._last in self.cells:
            finished = self.cells[self._last]
            known = not math.isnan(self._centre)
            self._centre = self._centre + CENTRE_SHARE * (finished - self._centre) if known else finished


class Board:
    """Everything that the live view shows; used by one thread.

    Parameters
    ----------
    play : Play
        What is played.
    without_model : collection of str
        ``asset/sensor`` with too little history for a model. Sensors that first appear in the live part have none
        either.

    Attributes
    ----------
    sensors : dict of (str, str) to Sensor
        By asset and sensor, in the order of their first record.
    alerts : deque of Received
        The newest first.
    alerts_seen : int
        How many there were.
    position : float
        Event time of the newest record.
    readings : Readings or None
        What ``/metrics`` said last.
    records_per_second, batch_age : float
        Over the last seconds; seconds since the last batch, NaN before it is known.
    """

    def __init__(self, play: Play, without_model: Collection[str] = ()) -> None:
        self.play = play
        self.sensors: dict[tuple[str, str], Sensor] = {}
        self.alerts: deque[Received] = deque(maxlen=KEPT_ALERTS)
        self.alerts_seen = 0
        self.position = -math.inf
        self.readings: Readings | None = None
        self.records_per_second = 0.0
        self.batch_age = math.nan
        self._without_model = frozenset(without_model)
        windows = SPARK_SECONDS * play.speed / play.window_seconds / SPARK_CELLS
        self.cell_seconds = play.window_seconds * max(1, math.ceil(windows))

    @property
    def progress(self) -> float:
        """How much of the live part has been sent, 0 to 1."""
        span = self.play.live_to - self.play.live_from
        return min(1.0, max(0.0, (self.position - self.play.live_from) / span))

    @property
    def open_incidents(self) -> int:
        """Incidents that were opened and not resolved."""
        return sum(each.end == math.inf for sensor in self.sensors.values() for each in sensor.incidents)

    def cell(self, time: float) -> int:
        """Return the number of the span that an event time lies in."""
        return int(time // self.cell_seconds)

    def sent(self, ticks: Iterable[Tick]) -> None:
        """Take in what was sent; records that cannot be decoded are for the application to reject."""
        for tick in ticks:
            self.position = max(self.position, tick.time)
            for message in tick.messages:
                try:
                    reading = msgspec.json.decode(message.value, type=_Reading)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if message.key == f"{reading.asset_id}/{reading.sensor_id}".encode():  # else it is broken on purpose
                    sensor = self._sensor(reading.asset_id, reading.sensor_id, tick.time)
                    sensor.unit = reading.unit
                    sensor.add(self.cell(tick.time), tick.time, reading.value)

    def alerted(self, received: Received) -> None:
        """Take in an alert."""
        alert = received.alert
        self.alerts.appendleft(received)
        self.alerts_seen += 1
        start, end = received.window
        sensor = self._sensor(alert["asset_id"], alert["sensor_id"], start)
        if received.opening:
            sensor.incidents.append(Incident(alert["incident_id"], alert["severity"], start))
            return
        for incident in sensor.incidents:
            if incident.incident_id == alert["incident_id"]:
                incident.end = end

    def state(self, sensor: Sensor) -> State:
        """Return what to say of a sensor: the severity of an open incident comes before everything."""
        lately = sensor.incident_at(self.position - SPARK_CELLS * self.cell_seconds, math.inf)
        if lately is not None and lately.end == math.inf:
            return lately.severity
        if self.position - sensor.seen > SILENT_WINDOWS * self.play.window_seconds:
            return "silent"
        if lately is not None:
            return "resolved"
        return "learning" if sensor.learning else "normal"

    def _sensor(self, asset_id: str, sensor_id: str, time: float) -> Sensor:
        known = self.sensors.get((asset_id, sensor_id))
        if known is None:
            learning = time >= self.play.live_from or f"{asset_id}/{sensor_id}" in self._without_model
            known = self.sensors[asset_id, sensor_id] = Sensor(asset_id, sensor_id, learning, time)
        return known
