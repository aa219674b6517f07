"""Alerts as they come from the topic, with the fields that the demonstration looks at."""

from __future__ import annotations

from typing import Any

from detector.app.demo.judge import Received
from detector.app.demo.play import Event, Message, Play, Tick
from detector.pipeline.instants import iso

T0 = 1_700_000_000.0 // 60 * 60
SHIFT = Event("level shift", "pump-1", "flow", T0 + 100, T0 + 200)


def alert(  # noqa: PLR0913 - a field of an alert each
    start: float,
    sensor: str = "flow",
    event: str = "opened",
    *,
    incident: str = "a",
    at: float = 0.0,
    severity: str = "major",
) -> Received:
    """Return an alert of `pump-1` whose window of ten seconds starts `start` seconds after `T0`."""
    value: dict[str, Any] = {
        "asset_id": "pump-1",
        "sensor_id": sensor,
        "event": event,
        "incident_id": incident,
        "severity": severity,
        "summary": f"pump-1/{sensor} is above what is normal: mean 60.2 m3/h, expected 54.20012 (53.9 to 54.4)",
        "window": {"start": iso(T0 + start), "end": iso(T0 + start + 10)},
    }
    return Received(value, at)


def play(events: tuple[Event, ...] = (SHIFT,), speed: float = 60.0) -> Play:
    """Return a play of ten minutes from `T0` on; its records are for the test to make."""

    def nothing() -> Any:
        return iter(())

    return Play(
        title="a test bench",
        notes=(),
        settings=(),
        window_seconds=10,
        speed=speed,
        history=nothing,
        live=nothing,
        history_ticks=0,
        live_from=T0,
        live_to=T0 + 600,
        broken=0,
        events=events,
    )


def tick(after: float, values: dict[tuple[str, str], float], unit: str = "m3/h") -> Tick:
    """Return the records of (asset, sensor) -> value, `after` seconds after `T0`."""
    return Tick(
        T0 + after,
        tuple(
            Message(
                f"{asset}/{sensor}".encode(),
                f'{{"asset_id":"{asset}","sensor_id":"{sensor}","timestamp":0,"value":{value},"unit":"{unit}"}}'.encode(),
            )
            for (asset, sensor), value in values.items()
        ),
    )
