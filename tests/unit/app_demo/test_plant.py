from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from detector.app.demo.plant import BROKEN, plant_play
from detector.app.demo.play import Play, Tick
from detector.app.plant import KINDS, NEW_SENSOR, SENSORS

NOW = 1_795_370_405.3


def values(tick: Tick) -> list[tuple[bytes, float | None]]:
    return [(message.key, _value(message.value)) for message in tick.messages]


def _value(record: bytes) -> float | None:
    return None if record in BROKEN else float(json.loads(record)["value"])


@pytest.fixture(scope="module")
def play() -> Play:
    return plant_play(seed=1, speed=None, now=NOW)


@pytest.fixture(scope="module")
def live(play: Play) -> list[Tick]:
    return list(play.live())


def keys(tick: Tick) -> set[str]:
    return {message.key.decode() for message in tick.messages}


def test_the_same_seed_and_clock_make_the_same_records(play: Play, live: list[Tick]) -> None:
    again = plant_play(seed=1, speed=None, now=NOW)
    assert list(again.live()) == live == list(play.live())
    assert next(iter(play.history())) == next(iter(again.history()))


def test_a_seed_gives_the_same_values_and_faults_at_every_hour(play: Play, live: list[Tick]) -> None:
    later = plant_play(seed=1, speed=None, now=NOW + 7.3 * 3600)
    shift = later.live_from - play.live_from
    assert shift > 7 * 3600
    for one, other in zip(live, later.live(), strict=True):
        assert values(one) == values(other)
        assert other.time == one.time + shift
    assert play.events is not None
    assert later.events is not None
    for event, again in zip(play.events, later.events, strict=True):
        assert again == replace(event, start=event.start + shift, end=event.end + shift)


def test_another_seed_makes_other_records(live: list[Tick]) -> None:
    assert next(iter(plant_play(seed=2, speed=None, now=NOW).live())) != live[0]


def test_the_speed_that_is_asked_for_is_played() -> None:
    assert plant_play(seed=1, speed=500.0, now=NOW).speed == 500.0


def test_every_kind_of_fault_is_in_the_live_part_and_never_two_on_one_asset(play: Play) -> None:
    assert play.events is not None
    assert {event.kind for event in play.events} == set(KINDS)
    assert all(play.live_from < event.start < event.end < play.live_to for event in play.events)
    for asset in {event.asset_id for event in play.events}:
        spans = sorted((event.start, event.end) for event in play.events if event.asset_id == asset)
        assert all(one[1] + 5 * play.window_seconds < other[0] for one, other in pairwise(spans))


def test_the_first_fault_begins_five_to_eight_seconds_into_the_live_part(play: Play) -> None:
    assert play.events is not None
    assert 5 < (play.events[0].start - play.live_from) / play.speed < 8
    assert 40 < (play.live_to - play.live_from) / play.speed < 50


def test_what_nothing_can_find_yet_is_marked(play: Play) -> None:
    assert play.events is not None
    unseen = {event.kind for event in play.events if not event.covered}
    assert unseen == {"broken correlation", "silence"}


def test_a_silent_sensor_leaves_no_records(play: Play, live: list[Tick]) -> None:
    assert play.events is not None
    (silence,) = (event for event in play.events if event.kind == "silence")
    key = f"{silence.asset_id}/{silence.sensor_id}"
    for tick in live:
        assert (key in keys(tick)) != (silence.start <= tick.time < silence.end)


def test_the_new_sensor_has_no_history(play: Play, live: list[Tick]) -> None:
    assert all(NEW_SENSOR.key not in keys(tick) for tick in play.history())
    assert all((NEW_SENSOR.key in keys(tick)) == (tick.time >= play.live_from) for tick in live)


def test_no_event_time_is_ahead_of_the_clock_and_the_last_is_about_now(play: Play, live: list[Tick]) -> None:
    times = [tick.time for tick in live]
    assert times == sorted(times)
    assert NOW - play.window_seconds < times[-1] <= NOW


def test_the_closing_records_come_later_than_lateness_and_a_window_after_the_live_part(
    play: Play, live: list[Tick]
) -> None:
    *_, before, closing = live
    assert before.time < play.live_to
    assert closing.time >= play.live_to + 2 * play.window_seconds
    assert len(closing.messages) == len(SENSORS) + 1


def test_the_live_topic_begins_with_the_end_of_the_history(play: Play, live: list[Tick]) -> None:
    history = list(play.history())
    assert len(history) == play.history_ticks
    warm_up = [tick for tick in live if tick.time < play.live_from]
    assert warm_up
    assert warm_up == history[-len(warm_up) :]
    assert warm_up[-1].time < play.live_from <= live[len(warm_up)].time


def test_after_the_live_part_the_plant_goes_on_without_end_and_without_what_would_be_late(
    play: Play, live: list[Tick]
) -> None:
    assert play.after is not None
    ticks = list(islice(play.after(), 200))
    times = [tick.time for tick in ticks]
    assert all(one < other for one, other in pairwise(times))
    assert times[0] >= live[-1].time - play.window_seconds  # the lateness, which is a window
    assert live[-1].time not in times
    assert list(islice(play.after(), 200)) == ticks


def test_all_broken_records_are_in_the_live_part_and_every_other_record_is_whole(play: Play, live: list[Tick]) -> None:
    found = []
    units = {sensor.key: sensor.unit for sensor in play.sensors}
    for tick in live:
        for message in tick.messages:
            if message.value in BROKEN:
                assert play.live_from < tick.time < play.live_to
                found.append(message.value)
            else:
                record = json.loads(message.value)
                assert message.key.decode() == f"{record['asset_id']}/{record['sensor_id']}"
                assert record["timestamp"] == tick.time * 1000
                assert record["unit"] == units[message.key.decode()]
    assert sorted(found) == sorted(BROKEN)
    assert play.broken == len(BROKEN)
