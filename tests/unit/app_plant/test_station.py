"""The plant as a whole: what it measures, and that nothing but seed, start and sampling decides about it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.app.plant import NEW_SENSOR, SENSORS, Fault, Plant, PlantSpec, RecordWriter
from detector.app.plant.faults import Kind
from models.features import FloatArray

START = 1_795_370_400.0  # 18:00 UTC
KEYS = [sensor.key for sensor in (*SENSORS, NEW_SENSOR)]
HOUR = 360  # values


def measured(plant: Plant, steps: int) -> FloatArray:
    return plant.run(steps).values[:, 0]


def column(values: FloatArray, key: str) -> FloatArray:
    return values[:, KEYS.index(key)]


def in_pieces(plant: Plant, sizes: Sequence[int]) -> FloatArray:
    return np.concatenate([plant.run(size).values for size in sizes])


FAULTS: tuple[tuple[Kind, str, str | None, float], ...] = (
    ("stuck", "outlet", "level", 0.0),
    ("noise burst", "intake", "level", 4.0),
    ("drift", "outlet", "flow", 60.0),
    ("broken correlation", "pump-1", None, 0.1),
)


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    every=st.sampled_from([0.5, 10.0, 60.0, 150.0]),
    stations=st.integers(1, 3),
)
def test_values_do_not_depend_on_how_they_are_cut_into_chunks(sizes: list[int], every: float, stations: int) -> None:
    spec = PlantSpec(7, START, every, stations, commissioned=START + 20 * every)
    one, other = Plant(spec), Plant(spec)
    for plant in (one, other):
        for kind, asset, sensor_id, size in FAULTS:
            start = START + 10 * every
            plant.inject(Fault(kind, spec.asset_id(0, asset), sensor_id, start, start + 50 * every, size))
    np.testing.assert_array_equal(one.run(sum(sizes)).values, in_pieces(other, sizes))


def test_the_same_seed_gives_the_same_values_and_another_one_others() -> None:
    values = measured(Plant(PlantSpec(1, START)), 50)
    np.testing.assert_array_equal(values, measured(Plant(PlantSpec(1, START)), 50))
    assert not np.array_equal(values, measured(Plant(PlantSpec(2, START)), 50), equal_nan=True)


def test_stations_differ_from_each_other_and_their_assets_have_names_of_their_own() -> None:
    spec = PlantSpec(1, START, stations=2)
    values = Plant(spec).run(50).values
    assert not np.array_equal(values[:, 0], values[:, 1], equal_nan=True)
    assert spec.asset_id(1, "pump-1") == "station-002.pump-1"


def test_a_value_of_every_sensor_comes_at_every_instant() -> None:
    plant = Plant(PlantSpec(1, START, 10.0))
    chunk = plant.run(30)
    assert chunk.times.tolist() == [START + 10 * step for step in range(30)]
    assert plant.next_time == START + 300
    assert np.isfinite(chunk.values[:, :, : len(SENSORS)]).all()


def test_the_new_sensor_has_no_values_before_it_is_commissioned() -> None:
    values = measured(Plant(PlantSpec(1, START, 10.0, commissioned=START + 100)), 20)
    assert np.isnan(column(values, NEW_SENSOR.key)).tolist() == [True] * 10 + [False] * 10


def test_values_have_the_resolution_of_their_transmitter() -> None:
    values = measured(Plant(PlantSpec(3, START)), 200)
    for sensor in SENSORS:
        steps = column(values, sensor.key) / sensor.resolution
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_the_noise_of_a_sensor_is_that_of_its_transmitter() -> None:
    values = measured(Plant(PlantSpec(3, START)), 3 * HOUR)
    for sensor in SENSORS:
        if sensor.asset_id in {"intake", "outlet"}:
            noise = np.diff(column(values, sensor.key)).std() / np.sqrt(2)
            assert 0.8 * sensor.noise < noise < 1.5 * sensor.noise, sensor.key


@pytest.mark.parametrize(
    ("kind", "size"),
    [("spike", 14.0), ("level shift", -9.0), ("drift", 60.0), ("noise burst", 5.0), ("stuck", 0.0), ("silence", 0.0)],
)
def test_a_fault_of_a_sensor_changes_its_values_while_it_lasts_and_nothing_else(kind: Kind, size: float) -> None:
    usual, faulty = Plant(PlantSpec(5, START)), Plant(PlantSpec(5, START))
    faulty.inject(Fault(kind, "outlet", "conductivity", START + 500, START + 1000, size))
    changed = measured(usual, 150) != measured(faulty, 150)
    changed[:, KEYS.index(NEW_SENSOR.key)] = False  # never there: NaN in both
    rows, columns = np.nonzero(changed)
    assert set(columns.tolist()) == {KEYS.index("outlet/conductivity")}
    assert set(rows.tolist()) <= set(range(50, 100))
    assert len(rows) > 40


def test_faults_do_to_the_values_what_their_names_say() -> None:
    noise = next(sensor.noise for sensor in SENSORS if sensor.key == "outlet/conductivity")
    usual = column(measured(Plant(PlantSpec(5, START)), 100), "outlet/conductivity")

    def difference(kind: Kind, size: float) -> FloatArray:
        plant = Plant(PlantSpec(5, START))
        plant.inject(Fault(kind, "outlet", "conductivity", START + 500, START + 1000, size))
        return (column(measured(plant, 100), "outlet/conductivity") - usual)[50:]

    np.testing.assert_allclose(difference("level shift", 10.0), 10.0 * noise, atol=0.11)
    np.testing.assert_allclose(difference("drift", 50.0), 50.0 * noise * np.arange(50) / 50, atol=0.11)
    assert 3.0 < difference("noise burst", 5.0).std() / noise < 5.0
    assert np.isnan(difference("silence", 0.0)).all()


def test_what_is_stuck_repeats_its_last_value_also_over_chunks() -> None:
    plant = Plant(PlantSpec(5, START))
    plant.inject(Fault("stuck", "intake", "level", START + 500, START + 1000))
    level = in_pieces(plant, (50, 20, 60))[:, 0, KEYS.index("intake/level")]
    assert (level[50:100] == level[49]).all()
    assert np.ptp(level[100:]) > 0


def test_a_broken_correlation_costs_power_while_each_sensor_stays_in_its_usual_range() -> None:
    spec = PlantSpec(5, START)
    day = measured(Plant(spec), 24 * HOUR)
    usual, worn = Plant(spec), Plant(spec)
    pump = usual.duty_pump()
    worn.inject(Fault("broken correlation", pump, None, START + 600, START + 4200, 0.1))
    before, after = measured(usual, 2 * HOUR), measured(worn, 2 * HOUR)
    there = np.isfinite(before)
    changed = {KEYS[number].split("/")[1] for number in np.nonzero((before != after) & there)[1].tolist()}
    assert changed == {"power", "current", "bearing_temperature"}
    ratio = column(after, f"{pump}/power")[200:300] / column(before, f"{pump}/power")[200:300]
    np.testing.assert_allclose(ratio, 1 / 0.9, rtol=0.01)
    for name in changed:
        assert column(after, f"{pump}/{name}").max() < column(day, f"{pump}/{name}").max()


def test_a_fault_that_has_begun_or_has_no_place_is_refused() -> None:
    plant = Plant(PlantSpec(1, START))
    plant.run(10)
    with pytest.raises(ValueError, match="begins"):
        plant.inject(Fault("stuck", "outlet", "level", START + 50, START + 500))
    for asset, sensor_id in (("outlet", "speed"), ("cellar", "level")):
        with pytest.raises(ValueError, match="no place"):
            plant.inject(Fault("stuck", asset, sensor_id, START + 500, START + 600))
    with pytest.raises(ValueError, match="no place"):
        plant.inject(Fault("broken correlation", "intake", None, START + 500, START + 600))


def test_records_have_the_form_that_the_readme_describes() -> None:
    spec = PlantSpec(1, START, stations=2)
    writer = RecordWriter(spec)
    chunk = Plant(spec).run(1)
    records = writer.records(START, chunk.values[0])
    assert len(records) == 2 * len(SENSORS)
    key, value = records[0]
    assert key == b"station-001.intake/level"
    assert json.loads(value) == {
        "asset_id": "station-001.intake",
        "sensor_id": "level",
        "timestamp": int(START * 1000),
        "value": chunk.values[0, 0, 0],
        "unit": "m",
    }
