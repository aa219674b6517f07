"""Which alerts belong to which event, and which to none.

Not here: reading alerts (``watch``), showing the result (``view``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.app.demo.play import Event, epoch


@dataclass(frozen=True)
class Received:
    """An alert as it came.

    Parameters
    ----------
    alert : mapping
        Its JSON value.
    at : float
        When it came (`time.time`).
    """

    alert: Mapping[str, Any]
    at: float

    @property
    def opening(self) -> bool:
        """Whether it opens an incident."""
        return bool(self.alert["event"] == "opened")

    @property
    def name(self) -> str:
        """``asset/sensor``."""
        return f"{self.alert['asset_id']}/{self.alert['sensor_id']}"

    @property
    def window(self) -> tuple[float, float]:
        """Start and end of its window, epoch seconds."""
        return epoch(self.alert["window"]["start"]), epoch(self.alert["window"]["end"])


@dataclass(frozen=True)
class Verdict:
    """What became of one event.

    Parameters
    ----------
    event : Event
        Which.
    openings : int
        Incidents that were opened by a window that overlaps it; 0 is a miss.
    alerts : int
        All alerts of these incidents.
    first : Received or None
        The opening that the earliest of these windows brought.
    event_delay : float or None
        Seconds of event time from its start to the end of the first such window.
    real_delay : float or None
        Seconds from the moment its first record was sent until the alert came.
    """

    event: Event
    openings: int
    alerts: int
    first: Received | None = None
    event_delay: float | None = None
    real_delay: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What became of all events, and the openings that belong to none."""

    verdicts: tuple[Verdict, ...]
    false_openings: tuple[Received, ...]


def judge(events: Sequence[Event], received: Sequence[Received], sent_at: Callable[[float], float]) -> Judgement:
    """Match alerts to events by place and time.

    Parameters
    ----------
    events : sequence of Event
        What was wrong.
    received : sequence of Received
        All alerts.
    sent_at : callable
        When the records of an event time were sent.
    """
    openings = [each for each in received if each.opening]
    verdicts = [_verdict(event, openings, received, sent_at) for event in events]
    false = tuple(each for each in openings if not any(_belongs(each, event) for event in events))
    return Judgement(tuple(verdicts), false)


def _belongs(opening: Received, event: Event) -> bool:
    start, end = opening.window
    place = opening.alert["asset_id"] == event.asset_id and event.sensor_id in (None, opening.alert["sensor_id"])
    return place and start < event.end and end > event.start


def _verdict(
    event: Event, openings: Sequence[Received], received: Sequence[Received], sent_at: Callable[[float], float]
) -> Verdict:
    own = [each for each in openings if _belongs(each, event)]
    if not own:
        return Verdict(event, 0, 0)
    incidents = {each.alert["incident_id"] for each in own}
    first = min(own, key=lambda each: (each.window[1], each.at))
    return Verdict(
        event=event,
        openings=len(own),
        alerts=sum(each.alert["incident_id"] in incidents for each in received),
        first=first,
        event_delay=first.window[1] - event.start,
        real_delay=first.at - sent_at(event.start),
    )
