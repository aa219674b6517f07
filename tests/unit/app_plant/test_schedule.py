from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from detector.app.plant import KINDS, Fault, Plant, PlantSpec, Schedule
from detector.app.plant.schedule import FIRST_SECONDS, MEAN_GAP_SECONDS

START = 1_795_370_400.0
EVERY = 60.0
HOURS = 20


def faults_of(seed: int, stations: int = 1) -> list[Fault]:
    plant = Plant(PlantSpec(seed, START, EVERY, stations))
    schedule = Schedule(plant, seed)
    found = []
    while plant.next_time < START + HOURS * 3600:
        while schedule.next_start <= plant.next_time:
            fault = schedule.begin()
            if fault is not None:
                found.append(fault)
        plant.run(max(1, int((schedule.next_start - plant.next_time) // EVERY)))
    return found


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert faults_of(1) == faults_of(1)
    assert faults_of(1) != faults_of(2)


def test_the_first_fault_comes_soon_and_is_one_that_is_easily_found() -> None:
    for seed in range(3):
        first = faults_of(seed, stations=2)[0]
        assert first.start - START == FIRST_SECONDS
        assert (first.kind, first.asset_id, first.sensor_id) == ("level shift", "station-001.intake", "temperature")
        assert first.size > 8


def test_every_kind_comes_and_about_as_often_as_is_said() -> None:
    found = faults_of(3, stations=20)
    assert {fault.kind for fault in found} == set(KINDS)
    expected = HOURS * 3600 / MEAN_GAP_SECONDS
    assert 0.7 * expected < len(found) < 1.3 * expected


def test_an_asset_has_never_two_faults_at_once() -> None:
    by_asset = defaultdict(list)
    for fault in faults_of(4):
        by_asset[fault.asset_id].append(fault)
    assert len(by_asset) > 2
    for faults in by_asset.values():
        assert all(one.end <= other.start for one, other in pairwise(faults))
