"""``tidemark simulate``: the plant into a topic of any Kafka, its past at once and then at the pace of the clock.

No record is ever sent before its event time: what would run ahead of the clock begins in the past instead.

Not here: the plant (``detector.app.plant``), options and looks of the command (``detector.cli``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from detector.app.demo.feed import Sender
from detector.app.demo.play import Message, Tick
from detector.app.plant import NEW_SENSOR, SENSORS, Fault, Plant, PlantSpec, RecordWriter, Schedule
from detector.errors import ConfigError, TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from detector.pipeline.instants import iso

CHUNK_RECORDS: Final = 50_000  # made at once while the past is sent: some tens of MB, and a look at Ctrl-C every second
AT_ONCE_SECONDS: Final = 0.5  # of real time that is sent together where the pace is fast
AWAY_SECONDS: Final = 5.0  # in which the broker takes nothing, until that is said
STOP_SECONDS: Final = 2.0  # the same, until an end that was asked for leaves what is on the way
READ_WITH: Final = "records.asset.source=field and records.timestamp_format=epoch_ms"


@dataclass(frozen=True)
class SimulationSpec:
    """What to simulate.

    Parameters
    ----------
    stations : int
        Pumping stations, 1 to 999.
    every : float
        Seconds of event time between two records of a sensor.
    history : float
        Seconds of event time that are sent at once, before the rest follows at its pace.
    speed : float
        Event time over real time, at least 1.
    length : float or None
        Seconds of event time at that pace; None is without end, which only goes with the speed of the clock.
    seed : int
        Of everything random.
    faults : bool
        Whether there are faults at random; never in the history, which a model may be trained on.
    partitions : int
        Of the topic, if it has to be made.
    replication : int
        Copies of it.
    """

    stations: int = 1
    every: float = 10.0
    history: float = 0.0
    speed: float = 1.0
    length: float | None = None
    seed: int = 1
    faults: bool = True
    partitions: int = 4
    replication: int = 1


@dataclass(frozen=True)
class Span:
    """When everything is.

    Parameters
    ----------
    first, paced_from, end : float
        Event times, epoch seconds: of the first record, of the first at the pace, and the end (exclusive).
    anchor : float
        When the record of `paced_from` is due, by the clock.
    speed : float
        Event time over real time.
    """

    first: float
    paced_from: float
    end: float
    anchor: float
    speed: float

    def due(self, event_time: float) -> float:
        """Return when a record is to be sent, never before its event time."""
        return self.anchor + (event_time - self.paced_from) / self.speed


def span(spec: SimulationSpec, now: float) -> Span:
    """Lay out a simulation that begins at `now` by the clock.

    Event times are whole multiples of `every`. At the speed of the clock each record is due at its event time. Faster
    ones begin so far in the past that their last record is due at its event time, and all others after theirs.

    Raises
    ------
    ConfigError
        If it would run ahead of the clock.
    """
    if spec.speed > 1 and spec.length is None:
        raise ConfigError(
            f"--speed {spec.speed:g} would run ahead of the clock sooner or later; say with --for how much event "
            "time there is (it then begins so far in the past), or leave out --speed"
        )
    length = math.inf if spec.length is None else spec.length
    lead = 0.0 if spec.speed == 1 else length * (1 - 1 / spec.speed)
    paced_from = math.floor((now - lead) / spec.every) * spec.every
    first = paced_from - math.floor(spec.history / spec.every) * spec.every
    return Span(first, paced_from, paced_from + length, paced_from + lead, spec.speed)


@dataclass(frozen=True)
class Moment:
    """How far a simulation is.

    Attributes
    ----------
    event_time : float
        Of the newest record, epoch seconds.
    records : int
        Sent so far.
    faults : int
        Going on.
    """

    event_time: float
    records: int
    faults: int


class Simulation:
    """One run.

    Parameters
    ----------
    connection : KafkaConnection
        Where to.
    topic : str
        Made unless it exists.
    spec : SimulationSpec
        What.
    say : callable
        Takes lines that stay.
    show : callable
        Takes how far it is, whenever records were sent.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        spec: SimulationSpec,
        say: Callable[[str], None],
        show: Callable[[Moment], None],
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._spec = spec
        self._say = say
        self._show = show
        self._active: list[Fault] = []
        self._stopping = Event()
        self._away = False  # the broker, which was said

    def stop(self) -> None:
        """Ask for an end; what was produced is still flushed, if the broker takes it."""
        self._stopping.set()

    def run(self) -> int:
        """Send everything, until the end or `stop`; return the number of records that Kafka has taken.

        Once it has begun it waits for a Kafka that is away, and then sends what has become due.

        Raises
        ------
        ConfigError
            If the spec would run ahead of the clock.
        TransientError
            If Kafka does not answer at the beginning, or refuses records.
        """
        spec = self._spec
        when = span(spec, time.time())
        if Preflight(self._connection).ensure(self._topic, spec.partitions, spec.replication, {}):
            self._say(f"topic {self._topic} created with {spec.partitions} partitions")
        plant = Plant(PlantSpec(spec.seed, when.first, spec.every, spec.stations, commissioned=when.paced_from))
        writer = RecordWriter(plant.spec)
        sender = Sender(self._connection, self._topic, patient=self._patient)
        self._say(self._title(when))
        try:
            self._send_history(plant, writer, sender, when)
            self._send_paced(plant, writer, sender, when)
        except TransientError:
            if not self._stopping.is_set():
                raise
        return sender.taken

    def _patient(self, silence: float) -> bool:
        """Wait for a broker that takes nothing, and say so once."""
        if silence > AWAY_SECONDS and not self._away:
            self._away = True
            self._say(f"Kafka has taken nothing for {silence:.0f} s: waiting for it, Ctrl-C ends this")
        return not self._stopping.is_set() or silence < STOP_SECONDS

    def _send_history(self, plant: Plant, writer: RecordWriter, sender: Sender, when: Span) -> None:
        steps = max(1, CHUNK_RECORDS // (self._spec.stations * len(SENSORS)))
        while plant.next_time < when.paced_from and not self._stopping.is_set():
            self._send(sender, _ticks(plant, writer, min(steps, _steps(plant, when.paced_from))))
        if sender.records:
            self._say(f"history sent: {sender.records:,} records from {iso(when.first)} on")

    def _send_paced(self, plant: Plant, writer: RecordWriter, sender: Sender, when: Span) -> None:
        schedule = Schedule(plant, self._spec.seed) if self._spec.faults else None
        at_once = max(1, int(AT_ONCE_SECONDS * when.speed / self._spec.every))
        late = AT_ONCE_SECONDS if at_once > 1 else 0.0  # what is sent together is sent when the last of it is due
        if self._spec.speed > 1:  # sending the past took its time, and only the clock's own speed makes up for it
            late = max(late, time.time() - when.anchor)
        while plant.next_time < when.end:
            if self._stopping.wait(max(0.0, when.due(plant.next_time) + late - time.time())):
                return
            steps = min(at_once, _steps(plant, when.end))
            self._end(plant.next_time)
            if schedule is not None:
                while schedule.next_start <= plant.next_time:
                    self._begin(schedule.begin())
                steps = min(steps, _steps(plant, schedule.next_start))
            self._send(sender, _ticks(plant, writer, steps))

    def _title(self, when: Span) -> str:
        spec = self._spec
        plants = "1 station" if spec.stations == 1 else f"{spec.stations} stations"
        end = "" if when.end == math.inf else f" until {iso(when.end)}"
        sensors = spec.stations * (len(SENSORS) + 1)
        new = NEW_SENSOR.key if spec.stations == 1 else f"{NEW_SENSOR.key} of each"
        return (
            f"{plants}, {sensors:,} sensors, into topic {self._topic} every {spec.every:g} s "
            f"from {iso(when.first)}{end}; {new} from {iso(when.paced_from)}. Read them with {READ_WITH}"
        )

    def _send(self, sender: Sender, ticks: list[Tick]) -> None:
        for tick in ticks:
            sender.send(tick)
        sender.flush()
        if self._away:
            self._away = False
            self._say("Kafka takes records again")
        self._show(Moment(ticks[-1].time, sender.records, len(self._active)))

    def _begin(self, fault: Fault | None) -> None:
        if fault is not None:
            self._active.append(fault)
            self._say(f"{iso(fault.start)} fault begins: {_described(fault)}, until {iso(fault.end)}")

    def _end(self, now: float) -> None:
        for fault in sorted((each for each in self._active if each.end <= now), key=lambda each: each.end):
            self._active.remove(fault)
            self._say(f"{iso(fault.end)} fault ended: {_described(fault)}")


def _steps(plant: Plant, until: float) -> int:
    """Return how many values come before a time, at least one."""
    return max(1, math.ceil(min((until - plant.next_time) / plant.spec.every, CHUNK_RECORDS)))


def _ticks(plant: Plant, writer: RecordWriter, steps: int) -> list[Tick]:
    chunk = plant.run(steps)
    return [
        Tick(at, tuple(Message(key, value) for key, value in writer.records(at, values)))
        for at, values in zip(chunk.times.tolist(), chunk.values, strict=True)
    ]


def _described(fault: Fault) -> str:
    where = fault.asset_id if fault.sensor_id is None else f"{fault.asset_id}/{fault.sensor_id}"
    return f"{fault.kind} of {where}"
