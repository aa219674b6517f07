"""The load gives what it says: event times, anomaly share, determinism, the peers' form."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.feed import payloads, sensor_ids
from bench.load import CHUNK, FIRST_MS, SHIFT, Load, faulty, levels

SMALL = Load(sensors=20, windows=30, window_ms=10_000, per_window=10, levels=20)


def everything(load: Load) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chunks = list(load.chunks())
    return tuple(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in chunks[0]._fields)


def test_the_same_arguments_give_the_same_records():
    again = Load(sensors=20, windows=30, window_ms=10_000, per_window=10, levels=20)
    assert all((one == other).all() for one, other in zip(everything(SMALL), everything(again), strict=True))
    assert (everything(replace(SMALL, seed=2))[2] != everything(SMALL)[2]).any()


def test_event_times_are_those_of_the_peers_load():
    load = replace(SMALL, sensors=2_000)
    record = np.arange(5_000)
    assert (load.event_ms(record) == FIRST_MS + record // 2_000 * 1000 + record % 997).all()


@settings(max_examples=30, deadline=None)
@given(
    sensors=st.integers(1, 50),
    windows=st.integers(1, 12),
    shape=st.sampled_from([(10_000, 10), (60_000, 1), (2_000, 4)]),
)
def test_every_sensor_has_all_its_records_in_every_window(sensors, windows, shape):
    load = Load(sensors=sensors, windows=windows, window_ms=shape[0], per_window=shape[1])
    sensor, event_ms, _ = everything(load)
    window = (event_ms - load.first_ms) // load.window_ms
    counts = np.bincount(window * sensors + sensor, minlength=sensors * windows)
    assert (counts == load.per_window).all()
    assert len(counts) == sensors * windows


def test_a_watermark_closes_what_ends_before_it():
    assert SMALL.closed_windows(0) == 20 * 29
    assert SMALL.closed_windows(30_000) == 20 * 26
    assert SMALL.closed_windows(10**9) == 0


def test_the_history_ends_where_the_load_begins_and_has_no_faults():
    history = SMALL.before(64)
    sensor, event_ms, reading = everything(history)
    assert event_ms.min() == SMALL.first_ms - 64 * 10_000
    assert event_ms.max() < SMALL.first_ms
    assert np.abs(reading - levels(20)[sensor]).max() < SHIFT


def test_a_fault_shifts_all_records_of_its_window_and_no_other():
    load = replace(SMALL, fault_share=0.05)
    sensor, event_ms, reading = everything(load)
    fault = faulty(sensor, event_ms // load.window_ms, load.fault_share, load.seed)
    off = reading - levels(20)[sensor]
    assert off[fault].min() > SHIFT / 2 > off[~fault].max()
    assert 0 < fault.mean() < 0.15


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 1.0])
def test_so_many_windows_carry_a_fault(share):
    sensor, window = np.divmod(np.arange(500_000), 250)
    assert faulty(sensor, window, share, 1).mean() == pytest.approx(share, rel=0.15)


def test_sensors_of_one_level_have_noise_of_their_own():
    load = Load(sensors=40, windows=100, window_ms=60_000, per_window=1, levels=20, fault_share=0.0)
    sensor, _, reading = everything(load)
    means = np.bincount(sensor, reading) / np.bincount(sensor)
    assert means[:20] == pytest.approx(means[20:], abs=0.8)
    assert (means[:20] != means[20:]).all()


def test_records_are_made_in_chunks_without_a_seam():
    load = Load(sensors=7, windows=CHUNK // 70 + 10, window_ms=10_000, per_window=10)
    sensor, event_ms, _ = everything(load)
    assert (sensor == np.arange(load.records) % 7).all()
    assert (event_ms == load.event_ms(np.arange(load.records))).all()


def test_a_record_is_json_of_the_peers_form():
    ids = pa.array(sensor_ids(np.array([3])))
    (value,) = payloads(ids, np.array([FIRST_MS]), np.array([54.25]))
    assert json.loads(value) == {"sensor_id": "sensor-0000003", "timestamp": FIRST_MS, "value": 54.25}
    assert value.startswith(b'{"sensor_id":"sensor-0000003","timestamp":1795')
