"""Physics: what flows in and out, what follows from what, and what the control does over days."""

from __future__ import annotations

from functools import cache

import numpy as np

from detector.app.plant import hydraulics
from detector.app.plant.control import TANK_AREA, WELL_AREA, WELL_LEVEL
from detector.app.plant.process import Course, Process

START = 1_795_370_400.0
EVERY = 10.0
DAY = 8640  # values


@cache
def days(seed: int = 1, stations: int = 2, count: int = 3) -> Course:
    process = Process(stations, START, EVERY, np.random.SeedSequence(seed))
    times = START + EVERY * np.arange(count * DAY)
    return process.run(times, np.zeros((len(times), stations, 2)))


def test_what_flows_into_the_well_and_not_out_of_it_raises_it() -> None:
    course = days()
    gained = (course.inputs.inflow - course.water.flow) * EVERY / 3600 / WELL_AREA
    np.testing.assert_allclose(np.diff(course.water.well, axis=0), gained[1:], atol=1e-9)


def test_what_flows_into_the_tank_and_not_out_of_it_raises_it() -> None:
    course = days()
    gained = (course.flow.sum(axis=2) - course.water.outflow) * EVERY / 3600 / TANK_AREA
    np.testing.assert_allclose(np.diff(course.water.tank, axis=0), gained[1:], atol=1e-9)


def test_over_days_all_water_that_comes_in_goes_out() -> None:
    course = days()
    np.testing.assert_allclose(course.water.outflow.mean(axis=0), course.inputs.inflow.mean(axis=0), rtol=0.01)


def test_the_control_holds_the_well_and_the_tank_never_runs_dry() -> None:
    water = days().water
    assert np.abs(water.well - WELL_LEVEL).max() < 0.6
    assert water.tank.min() > 1.0
    assert water.tank.max() < 5.0


def test_a_pump_always_runs_and_a_second_joins_by_day_and_goes_at_night() -> None:
    running = (days().water.share > 0).sum(axis=2)
    assert running.min() == 1
    joined = (np.diff(running, axis=0) > 0).sum(axis=0)
    assert ((joined >= 2) & (joined <= 6)).all()  # some once a day, not a flutter


def test_the_duty_passes_from_pump_to_pump() -> None:
    share = days().water.share
    alone = [share[:, :, pump].min(axis=0) > 0 for pump in (0, 1)]
    assert not np.any(alone)  # neither pump runs through all days


def test_a_standing_pump_delivers_nothing_and_turns_not_at_all() -> None:
    course = days()
    stands = course.water.share == 0
    assert (course.flow[stands] == 0).all()
    assert (course.speed[stands] == 0).all()
    np.testing.assert_allclose(course.power[stands], hydraulics.STANDBY_KW)


def test_power_rises_with_flow_and_speed_with_both() -> None:
    course = days()
    alone = (course.water.share[:, 0] > 0).sum(axis=1) == 1
    pump = course.water.share[:, 0].argmax(axis=1)[alone]
    flow, power, speed = (
        np.take_along_axis(values[alone, 0], pump[:, None], axis=1)[:, 0]
        for values in (course.flow, course.power, course.speed)
    )
    assert np.corrcoef(flow, power)[0, 1] > 0.95
    assert np.corrcoef(flow, speed)[0, 1] > 0.95


def test_the_head_is_the_static_one_and_the_friction_of_the_flow() -> None:
    course = days()
    friction = course.head - course.water.static
    np.testing.assert_allclose(friction, hydraulics.MAIN_LOSS * course.water.flow**2)


def test_a_bearing_follows_the_power_of_its_pump_later() -> None:
    course = days()
    power, bearing = course.power[:, 0, 0], course.bearing[:, 0, 0]
    lags = {lag: np.corrcoef(power[: -lag or None], bearing[lag:])[0, 1] for lag in (0, 90, 180)}
    assert lags[90] > lags[0]
    assert bearing.max() < 70


def test_the_inflow_follows_the_hour_of_the_day_in_utc() -> None:
    hours = ((START + EVERY * np.arange(3 * DAY)) % 86_400) / 3600
    inflow = days().inputs.inflow.mean(axis=1)
    night, day = inflow[(hours > 2) & (hours < 4)].mean(), inflow[(hours > 9) & (hours < 19)].mean()
    assert day > 1.5 * night


def test_the_speed_for_a_flow_gives_that_flow() -> None:
    flows, pumps, static = np.array([150.0, 300.0, 450.0]), np.array([1.0, 1.5, 1.96]), np.array([17.0, 18.0, 18.5])
    speed = hydraulics.speed_for(flows, pumps, static)
    np.testing.assert_allclose(hydraulics.flow_at(speed, pumps, static), flows)


def test_a_pump_below_the_static_head_delivers_nothing() -> None:
    assert hydraulics.flow_at(np.array([0.5]), np.array([1.0]), np.array([18.0])).tolist() == [0.0]


def test_a_pump_is_most_efficient_at_its_best_flow() -> None:
    flows = np.array([120.0, hydraulics.BEST_FLOW, 440.0])
    assert hydraulics.efficiency(flows, np.ones(3)).argmax() == 1
