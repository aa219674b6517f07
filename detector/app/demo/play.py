"""What a demonstration plays: its records in order of event time, and the events that are known to be in them.

Not here: where they come from (``plant``, ``replay``), sending them (``feed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from detector.app.plant import Sensor

# Windows of history that the live topic begins with: members that look back see what came before, as they would in
# a running plant. Twice what the longest-looking member needs, so that gaps in a series do not matter.
BROKER_DIRECTORY: Final = "broker"  # of the demonstration's own directory
WARM_UP_WINDOWS: Final = 64


@dataclass(frozen=True)
class DemoSpec:
    """What to demonstrate.

    Parameters
    ----------
    data : Path or None
        Directory of real series; None plays the simulated plant.
    entities : tuple of str
        With `data`: which series; empty is the first of the manifest.
    speed : float or None
        Event time over real time, at least 1; None chooses one that fits the data.
    seed : int
        Of the plant.
    keep_files : Path or None
        New or empty directory for everything that is written; None is a temporary one, removed at the end.
    keep : bool
        Stay up after the verdict, until Ctrl-C.
    picture : Path or None
        SVG file to draw what was shown into.
    """

    data: Path | None = None
    entities: tuple[str, ...] = ()
    speed: float | None = None
    seed: int = 1
    keep_files: Path | None = None
    keep: bool = False
    picture: Path | None = None


class Message(NamedTuple):
    """One Kafka record."""

    key: bytes
    value: bytes


class Tick(NamedTuple):
    """The records of one instant of event time, epoch seconds."""

    time: float
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Event:
    """A stretch of event time in which something is known to be wrong.

    Parameters
    ----------
    kind : str
        What is wrong.
    asset_id : str
        Where.
    sensor_id : str or None
        Which sensor; None where only the asset is known.
    start, end : float
        Epoch seconds, end exclusive.
    covered : bool
        Whether Tidemark has anything yet that could find it.
    """

    kind: str
    asset_id: str
    sensor_id: str | None
    start: float
    end: float
    covered: bool = True


@dataclass(frozen=True)
class Play:
    """Everything that is played, and how to set Tidemark up for it.

    Parameters
    ----------
    title : str
        One line: what it is.
    notes : tuple of str
        What a viewer should know of it.
    settings : tuple of str
        ``key.path=value`` on top of those of every demonstration.
    window_seconds : float
        Length of a window.
    speed : float
        Event time over real time.
    history, live : callable
        Ticks in order of time. The live ones begin before `live_from` with the end of the history, and end with a
        closing tick after `live_to`: windows close only when something newer arrives.
    history_ticks : int
        How many ticks the history has.
    live_from, live_to : float
        Epoch seconds; the span that is paced.
    broken : int
        Live records that cannot be decoded, on purpose.
    events : tuple of Event or None
        None where the data say nothing about them.
    after : callable or None
        Ticks that go on from `live_to`, each at its own event time, for ever; None where the data end.
        The first ones lie in the past.
    sensors : tuple of Sensor
        Units and descriptions; empty where nothing is known of them.
    """

    title: str
    notes: tuple[str, ...]
    settings: tuple[str, ...]
    window_seconds: float
    speed: float
    history: Callable[[], Iterator[Tick]]
    live: Callable[[], Iterator[Tick]]
    history_ticks: int
    live_from: float
    live_to: float
    broken: int
    events: tuple[Event, ...] | None
    after: Callable[[], Iterator[Tick]] | None = None
    sensors: tuple[Sensor, ...] = ()


def epoch(text: str) -> float:
    """Return the epoch seconds of an ISO 8601 text."""
    return datetime.fromisoformat(text).timestamp()
