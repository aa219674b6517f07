from __future__ import annotations

import re

import pytest

from detector.settings import load, specs

BEATS = "plant.default.heartbeats"
SENSORS = "sensors"
ON = "source.heartbeat_after=1h"


@pytest.mark.parametrize(
    ("flags", "read", "topics"),
    [
        ((), (), (SENSORS,)),
        ((), (SENSORS,), (SENSORS,)),
        ((ON,), (), (SENSORS, BEATS)),
        ((), (SENSORS, BEATS), (SENSORS, BEATS)),  # switched off: Spark refuses to leave a topic that it has read
    ],
)
def test_heartbeats_are_read_when_there_are_any_and_for_ever_after(
    flags: tuple[str, ...], read: tuple[str, ...], topics: tuple[str, ...]
) -> None:
    settings = load(None, ("app.name=plant", f"source.topics=[{SENSORS}]", *flags), {})

    assert specs.stream_source(settings, read).topics == topics
    assert specs.source(settings).topics == (SENSORS,)  # what is trained on


def test_beside_a_pattern_of_topics_heartbeats_are_read_by_their_very_name() -> None:
    settings = load(None, ("app.name=plant", "source.topic_pattern=north|south", ON), {})
    pattern = specs.stream_source(settings, ()).topic_pattern or ""

    matching = [
        topic for topic in ("north", "south", BEATS, "plantxdefault.heartbeats") if re.fullmatch(pattern, topic)
    ]
    assert matching == ["north", "south", BEATS]
    assert specs.stream_source(load(None, ("source.topic_pattern=north|south",), {}), ()).topic_pattern == "north|south"
