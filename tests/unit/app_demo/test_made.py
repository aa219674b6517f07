from __future__ import annotations

import json

import numpy as np
import pytest

from detector.app.demo.made import BROKEN, FAULTS, HISTORY_SECONDS, LIVE_SECONDS, QUANTITIES, SENSORS, made_play, make
from detector.app.demo.play import Event, Play, Tick

NOW = 1_700_000_005.3


@pytest.fixture(scope="module")
def play() -> Play:
    return made_play(seed=1, speed=None, now=NOW)


@pytest.fixture(scope="module")
def live(play: Play) -> list[Tick]:
    return list(play.live())


def _column(event: Event) -> int:
    return SENSORS.index((event.asset_id, event.sensor_id or ""))


def _span(event: Event) -> slice:
    return slice(int(event.start), int(event.end))


def test_the_same_seed_makes_the_same_records(play: Play, live: list[Tick]) -> None:
    again = made_play(seed=1, speed=None, now=NOW)
    assert list(again.live()) == live
    assert next(iter(play.history())) == next(iter(again.history()))


def test_another_seed_makes_other_values_and_other_sensors_fail() -> None:
    one, other = make(1), make(2)
    assert not np.allclose(one.values, other.values, equal_nan=True)
    assert {_column(fault) for fault in one.faults} != {_column(fault) for fault in other.faults}


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fault_has_a_sensor_of_its_own_and_lies_in_the_live_part(seed: int) -> None:
    faults = make(seed).faults
    assert [fault.kind for fault in faults] == list(FAULTS)
    assert len({_column(fault) for fault in faults}) == len(faults)
    assert all(HISTORY_SECONDS <= fault.start < fault.end <= HISTORY_SECONDS + LIVE_SECONDS for fault in faults)


@pytest.mark.parametrize("seed", range(5))
def test_faults_do_to_the_values_what_their_names_say(seed: int) -> None:
    made = make(seed)
    for fault in made.faults:
        noise = QUANTITIES[fault.sensor_id or ""][3]
        column = made.values[:, _column(fault)]
        during = column[_span(fault)]
        before = column[int(fault.start) - 60 : int(fault.start)]
        moved = during.mean() - before.mean()
        match fault.kind:
            case "spike" | "level shift":
                assert moved > 6 * noise
            case "noise burst":
                assert np.diff(during).std() > 3 * np.diff(before).std()
            case "stuck":
                assert np.ptp(during) == 0
            case "drift":
                assert during[-30:].mean() - during[:30].mean() > 6 * noise
            case "silence":
                assert np.isnan(during).all()


def test_only_silence_is_missing_values() -> None:
    made = make(3)
    silence = next(fault for fault in made.faults if fault.kind == "silence")
    assert np.isnan(made.values).sum() == silence.end - silence.start
    assert not silence.covered


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
    assert len(closing.messages) == len(SENSORS)


def test_history_and_live_part_follow_each_other_and_the_live_topic_begins_with_the_end_of_the_history(
    play: Play, live: list[Tick]
) -> None:
    history = list(play.history())
    assert len(history) == play.history_ticks
    assert history[-1].time == play.live_from - 1
    warm_up = [tick for tick in live if tick.time < play.live_from]
    assert warm_up
    assert warm_up == history[-len(warm_up) :]


def test_all_broken_records_are_in_the_live_part_and_every_other_record_is_whole(play: Play, live: list[Tick]) -> None:
    found = []
    for tick in live:
        for message in tick.messages:
            if message.value in BROKEN:
                assert play.live_from < tick.time < play.live_to
                found.append(message.value)
            else:
                record = json.loads(message.value)
                assert message.key.decode() == f"{record['asset_id']}/{record['sensor_id']}"
                assert record["timestamp"] == tick.time * 1000
    assert sorted(found) == sorted(BROKEN)
    assert play.broken == len(BROKEN)
