"""Made data: a few machines with simple cycles and noise, and one fault of each kind in their live part.

A pure function of seed and time of day: values depend on the seed alone, event times end with `now`.

Not here: real data (``replay``). A machine here is no simulation of one: its sensors do not act on each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.app.demo.play import WARM_UP_WINDOWS, Event, Message, Play, Tick

ASSETS: Final = ("pump-1", "pump-2", "compressor-1", "fan-1")
# Quantity: unit, usual level, height of its cycle, standard deviation of its noise, minutes of a cycle. The cycles
# are days in small, so that a history of hours holds some.
QUANTITIES: Final = {
    "temperature": ("degC", 62.0, 3.0, 0.6, 40),
    "pressure": ("bar", 6.2, 0.2, 0.05, 25),
    "flow": ("m3/h", 48.0, 2.5, 0.7, 30),
    "vibration": ("mm/s", 2.4, 0.15, 0.12, 20),
    "current": ("A", 31.0, 1.5, 0.4, 35),
    "speed": ("rpm", 1480.0, 6.0, 2.5, 45),
}
SENSORS: Final = tuple((asset, quantity) for asset in ASSETS for quantity in QUANTITIES)

WINDOW_SECONDS: Final = 10
LATENESS_SECONDS: Final = 10
HISTORY_SECONDS: Final = 3 * 3600  # a model needs some hundred windows to fit and to calibrate
LIVE_SECONDS: Final = 30 * 60
SPEED: Final = 60.0  # the live part then takes half a minute

# Kind: minute of the live part at which it begins, how many seconds it lasts, its size in standard deviations of the
# sensor's noise (of what that means see `_apply`).
FAULTS: Final = {
    "spike": (3, 3, 12.0),
    "level shift": (6, 150, 14.0),
    "noise burst": (11, 120, 5.0),
    "stuck": (15, 180, 0.0),
    "drift": (19, 300, 16.0),
    "silence": (26, 120, 0.0),
}
# Each cannot be decoded for a reason of its own; the last is ahead of every clock.
BROKEN: Final = (
    b"\xff\xfe not text",
    b'{"asset_id": "pump-1", "sensor_id": "temperature", "timesta',
    b'{"asset_id": "pump-1", "sensor_id": "temperature", "value": 61.5}',
    b'{"asset_id": "pump-1", "sensor_id": "temperature", "timestamp": 1700000000000, "value": NaN}',
    b'{"sensor_id": "temperature", "timestamp": 1700000000000, "value": 61.5}',
    b'{"asset_id": "pump-1", "sensor_id": "temperature", "timestamp": 4102444800000, "value": 61.5}',
)
NOTE: Final = (
    "Not covered yet: silence of a sensor, drift slower than the windows that the models look back on, one incident "
    "for faults that belong together (each sensor alerts for itself)."
)


@dataclass(frozen=True)
class Made:
    """The values of all sensors, one a second, and the faults in them.

    Attributes
    ----------
    values : ndarray of float64, shape (seconds, sensors)
        NaN where a sensor is silent; columns as in `SENSORS`.
    faults : tuple of Event
        Times in seconds since the first row.
    """

    values: NDArray[np.float64]
    faults: tuple[Event, ...]


def make(seed: int) -> Made:
    """Make history, live part and one more second after it, which closes the last windows."""
    rng = np.random.default_rng(seed)
    seconds = HISTORY_SECONDS + LIVE_SECONDS + 1
    values = np.column_stack([_signal(quantity, seconds, rng) for _, quantity in SENSORS])
    faults = []
    columns = rng.choice(len(SENSORS), size=len(FAULTS), replace=False)
    for (kind, (minute, lasting, size)), column in zip(FAULTS.items(), columns, strict=True):
        asset_id, sensor_id = SENSORS[column]
        start = HISTORY_SECONDS + minute * 60
        part = values[start : start + lasting, column]
        part[:] = _apply(kind, part, size * QUANTITIES[sensor_id][3], rng)
        faults.append(Event(kind, asset_id, sensor_id, float(start), float(start + lasting), kind != "silence"))
    return Made(values, tuple(faults))


def made_play(seed: int, speed: float | None, now: float) -> Play:
    """Return the made data as a play whose closing tick is at `now` or up to a window before.

    Nothing is ever ahead of the clock: history and live part lie in the past as they are sent.
    """
    made = make(seed)
    live_to = int(now) // WINDOW_SECONDS * WINDOW_SECONDS - LATENESS_SECONDS - WINDOW_SECONDS
    live_from = live_to - LIVE_SECONDS
    first = live_from - HISTORY_SECONDS
    warm_up = HISTORY_SECONDS - WARM_UP_WINDOWS * WINDOW_SECONDS

    def live() -> Iterator[Tick]:
        end = HISTORY_SECONDS + LIVE_SECONDS
        yield from _with_broken(_ticks(made, first, range(warm_up, end)), live_from)
        closing = Tick(float(live_to + LATENESS_SECONDS + WINDOW_SECONDS), ())
        yield closing._replace(messages=_messages(made.values[end], closing.time))

    return Play(
        title=f"{len(SENSORS)} made sensors of {len(ASSETS)} machines, seed {seed}",
        notes=(NOTE,),
        settings=(
            f"windows.length={WINDOW_SECONDS}s",
            f"windows.lateness={LATENESS_SECONDS}s",
            "records.timestamp_format=epoch_ms",
            "model.false_alarm_rate=0.0001",
        ),
        window_seconds=WINDOW_SECONDS,
        speed=speed or SPEED,
        history=lambda: _ticks(made, first, range(HISTORY_SECONDS)),
        live=live,
        history_ticks=HISTORY_SECONDS,
        live_from=live_from,
        live_to=live_to,
        broken=len(BROKEN),
        events=tuple(replace(fault, start=first + fault.start, end=first + fault.end) for fault in made.faults),
    )


def _signal(quantity: str, seconds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    _, level, height, noise, minutes = QUANTITIES[quantity]
    angle = 2 * np.pi * (np.arange(seconds) / (60 * minutes) + rng.random())
    usual = level * rng.uniform(0.95, 1.05)
    cycle: NDArray[np.float64] = usual + height * np.sin(angle) + noise * rng.standard_normal(seconds)
    return cycle


def _apply(kind: str, part: NDArray[np.float64], size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the values of a fault; `size` is in the sensor's unit."""
    match kind:
        case "spike" | "level shift":
            return part + size
        case "noise burst":
            return part + size * rng.standard_normal(len(part))
        case "stuck":
            return np.full(len(part), part[0])
        case "drift":
            return part + np.linspace(0.0, size, len(part))
        case _:
            return np.full(len(part), np.nan)


def _ticks(made: Made, first: float, rows: range) -> Iterator[Tick]:
    for row in rows:
        time = float(first + row)
        yield Tick(time, _messages(made.values[row], time))


def _messages(values: NDArray[np.float64], time: float) -> tuple[Message, ...]:
    return tuple(
        Message(f"{asset}/{sensor}".encode(), _record(asset, sensor, time, value))
        for (asset, sensor), value in zip(SENSORS, values.tolist(), strict=True)
        if value == value  # noqa: PLR0124 - NaN is silence
    )


def _record(asset: str, sensor: str, time: float, value: float) -> bytes:
    record: dict[str, Any] = {
        "asset_id": asset,
        "sensor_id": sensor,
        "timestamp": round(time * 1000),
        "value": round(value, 4),
        "unit": QUANTITIES[sensor][0],
    }
    return msgspec.json.encode(record)


def _with_broken(ticks: Iterator[Tick], live_from: float) -> Iterator[Tick]:
    """Spread the broken records over the live part."""
    distance = LIVE_SECONDS // (len(BROKEN) + 1)
    for tick in ticks:
        number, rest = divmod(tick.time - live_from, distance)
        if rest == 0 and 1 <= number <= len(BROKEN):
            broken = Message(b"broken", BROKEN[int(number) - 1])
            yield tick._replace(messages=(*tick.messages, broken))
        else:
            yield tick
