"""The plant as a play: days of history, hours of live operation with one fault of each kind, and then for ever.

A pure function of seed and clock: event times end with `now`, so that nothing is ever ahead of it. By the plant's own
local time the live part always begins at the same hour, so that a seed gives the same values at every time of day.

Not here: the plant itself (``detector.app.plant``); real data (``replay``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from detector.app.demo.play import WARM_UP_WINDOWS, Event, Message, Play, Tick
from detector.app.plant import DAY_SECONDS, NEW_SENSOR, SENSORS, Chunk, Fault, Kind, Plant, PlantSpec, RecordWriter

EVERY_SECONDS: Final = 10
WINDOW_SECONDS: Final = 60
LATENESS_SECONDS: Final = 60
HISTORY_SECONDS: Final = 3 * 86_400
LIVE_SECONDS: Final = 150 * 60
SPEED: Final = 200.0  # the live part then takes 45 s
LOCAL_BEGIN: Final = 18 * 3600.0  # local time of day of the live part's begin: loads change, and no pump stands still
CLOSING_SECONDS: Final = LATENESS_SECONDS + WINDOW_SECONDS  # from the live part's end to the records that close it
AFTER_STEPS: Final = 30  # made at a time once the plant goes on; they are played as the clock comes to them


class Part(NamedTuple):
    """One fault of the play.

    Attributes
    ----------
    kind : str
        As `Fault` has it.
    first, last : float
        Minutes of the live part.
    place : str
        An asset; "duty" is the pump that runs all the time, "other" the other one.
    sensors : tuple
        Of which the seed chooses one; None for a fault of the process.
    size : float
        As `Fault` has it.
    """

    kind: Kind
    first: float
    last: float
    place: str
    sensors: tuple[str | None, ...]
    size: float = 0.0


# Faults begin and end within a window, as they would: the window that holds a beginning or an end belongs to them.
_INTO_WINDOW: Final = 20 / 60
# None begins on an asset before the one there is resolved.
SCRIPT: Final = (
    Part("spike", 22, 22 + EVERY_SECONDS / 60, "outlet", ("flow", "level", "conductivity"), 16.0),
    Part("level shift", 30, 44, "intake", ("temperature", "level", "inflow"), 10.0),
    Part("stuck", 48, 62, "duty", ("bearing_temperature",)),
    Part("noise burst", 56, 67, "outlet", ("level", "temperature", "conductivity"), 4.0),
    Part("broken correlation", 72, 102, "duty", (None,), 0.12),
    Part("drift", 82, 112, "intake", ("temperature", "turbidity"), 70.0),
    Part("silence", 104, 116, "other", ("vibration", "bearing_temperature")),
    Part("noise burst", 124, 136, NEW_SENSOR.asset_id, (NEW_SENSOR.sensor_id,), 20.0),
)
NOT_COVERED: Final = ("broken correlation", "silence")
# Each cannot be decoded for a reason of its own; the last is ahead of every clock.
BROKEN: Final = (
    b"\xff\xfe not text",
    b'{"asset_id": "pump-1", "sensor_id": "vibration", "timesta',
    b'{"asset_id": "pump-1", "sensor_id": "vibration", "value": 1.8}',
    b'{"asset_id": "pump-1", "sensor_id": "vibration", "timestamp": 1700000000000, "value": NaN}',
    b'{"sensor_id": "vibration", "timestamp": 1700000000000, "value": 1.8}',
    b'{"asset_id": "pump-1", "sensor_id": "vibration", "timestamp": 4102444800000, "value": 1.8}',
)
NOTES: Final = (
    f"{NEW_SENSOR.key} is newly commissioned: it has no history, so the model of all other sensors judges it.",
    "Not covered yet: silence of a sensor, sensors that each look usual but no longer fit together.",
)


def plant_play(seed: int, speed: float | None, now: float) -> Play:
    """Return the plant as a play whose closing tick is at `now` or up to a window before.

    Parameters
    ----------
    seed : int
        Of the plant, and of which sensors fail.
    speed : float or None
        Event time over real time; None is `SPEED`.
    now : float
        The clock, epoch seconds.
    """
    run = _Run(seed, now)
    return Play(
        title=f"a pumping station, {len(SENSORS)} sensors on 4 assets and a new one, seed {seed}",
        notes=NOTES,
        settings=(
            f"windows.length={WINDOW_SECONDS}s",
            f"windows.lateness={LATENESS_SECONDS}s",
            "records.timestamp_format=epoch_ms",
            "model.false_alarm_rate=0.0001",
            "model.fit_share=0.6",  # calibration then sees more than one whole day
        ),
        window_seconds=WINDOW_SECONDS,
        speed=speed or SPEED,
        history=run.history,
        live=run.live,
        history_ticks=HISTORY_SECONDS // EVERY_SECONDS,
        live_from=run.live_from,
        live_to=run.live_to,
        broken=len(BROKEN),
        events=tuple(_event(fault) for fault in run.faults),
        after=run.after,
        sensors=(*SENSORS, NEW_SENSOR),
    )


class _Run:
    """One plant, run as far as it was asked for.

    Attributes
    ----------
    live_from, live_to : float
        Epoch seconds.
    faults : list of Fault
        In order of their beginning.
    """

    def __init__(self, seed: int, now: float) -> None:
        self.live_to = float(int(now) // WINDOW_SECONDS * WINDOW_SECONDS - CLOSING_SECONDS)
        self.live_from = self.live_to - LIVE_SECONDS
        spec = PlantSpec(
            seed,
            self.live_from - HISTORY_SECONDS,
            EVERY_SECONDS,
            commissioned=self.live_from,
            utc_offset=(LOCAL_BEGIN - self.live_from) % DAY_SECONDS,
        )
        self._plant = Plant(spec)
        self._writer = RecordWriter(spec)
        self._past = self._plant.run(HISTORY_SECONDS // EVERY_SECONDS)
        self.faults = _faults(seed, self.live_from, self._plant.duty_pump())
        for fault in self.faults:
            self._plant.inject(fault)

    def history(self) -> Iterator[Tick]:
        return self._ticks(self._past)

    def live(self) -> Iterator[Tick]:
        warm_up = WARM_UP_WINDOWS * WINDOW_SECONDS // EVERY_SECONDS
        yield from self._ticks(Chunk(self._past.times[-warm_up:], self._past.values[-warm_up:]))
        steps = LIVE_SECONDS // EVERY_SECONDS
        yield from self._with_broken(self._ticks(Chunk(self._present.times[:steps], self._present.values[:steps])))
        yield from self._ticks(Chunk(self._present.times[-1:], self._present.values[-1:]))

    def after(self) -> Iterator[Tick]:
        """Yield what comes after the live part, without what its closing records made late."""
        begun = Chunk(self._present.times[:-1], self._present.values[:-1])
        for tick in self._ticks(begun):
            if tick.time >= self.live_to + CLOSING_SECONDS - LATENESS_SECONDS:
                yield tick
        plant = copy.deepcopy(self._plant)  # each call goes on from the same instant
        while True:
            yield from self._ticks(plant.run(AFTER_STEPS))

    @cached_property
    def _present(self) -> Chunk:
        """The live part and on to the instant of the closing records, that instant included."""
        return self._plant.run((LIVE_SECONDS + CLOSING_SECONDS) // EVERY_SECONDS + 1)

    def _ticks(self, chunk: Chunk) -> Iterator[Tick]:
        for time, values in zip(chunk.times.tolist(), chunk.values, strict=True):
            yield Tick(time, tuple(Message(key, value) for key, value in self._writer.records(time, values)))

    def _with_broken(self, ticks: Iterator[Tick]) -> Iterator[Tick]:
        """Spread the broken records over the live part."""
        distance = LIVE_SECONDS // EVERY_SECONDS // (len(BROKEN) + 1)
        for number, tick in enumerate(ticks):
            place, rest = divmod(number, distance)
            if rest == 0 and 1 <= place <= len(BROKEN):
                yield tick._replace(messages=(*tick.messages, Message(b"broken", BROKEN[place - 1])))
            else:
                yield tick


def _faults(seed: int, live_from: float, duty: str) -> list[Fault]:
    rng = np.random.default_rng((seed, 1))  # another stream than the plant's
    other = next(asset for asset in ("pump-1", "pump-2") if asset != duty)
    places = {"duty": duty, "other": other}
    found = []
    for part in SCRIPT:
        sensor = part.sensors[int(rng.integers(len(part.sensors)))]
        start, end = (live_from + round(60 * (minute + _INTO_WINDOW)) for minute in (part.first, part.last))
        found.append(Fault(part.kind, places.get(part.place, part.place), sensor, start, end, part.size))
    return sorted(found, key=lambda fault: fault.start)


def _event(fault: Fault) -> Event:
    """Return what is known of a fault."""
    covered = fault.kind not in NOT_COVERED
    return Event(fault.kind, fault.asset_id, fault.sensor_id, fault.start, fault.end, covered)
