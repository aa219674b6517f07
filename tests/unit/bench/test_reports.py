"""What is read from the job, from the peers and from the settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.deployment import Bench, Deployment, bytes_below, nested
from bench.latency import falls_behind
from bench.load import Load
from bench.machine import require_disk
from bench.mainrun import complaints, count
from bench.peers import parse_rate
from bench.processes import Sampler, tree
from bench.running import growth, parse_batch
from bench.stages import operator_seconds
from detector.errors import StorageError
from detector.settings import load

PROGRESS = {
    "batchId": 3,
    "numInputRows": 1000,
    "timestamp": "2026-11-22T10:00:00.000Z",
    "durationMs": {"triggerExecution": 2500, "addBatch": 2000},
    "stateOperators": [
        {"operatorName": "transformWithStateInPandasExec", "commitTimeMs": 40},
        {"operatorName": "stateStoreSave", "commitTimeMs": 100},
    ],
}
LOAD = Load(sensors=10, windows=20, window_ms=10_000, per_window=10)
RIGHT = {
    "tidemark_windows_scored_total": 160.0,
    "tidemark_records_consumed_total": 2000.0,
    "tidemark_records_rejected_total": 0.0,
    "tidemark_sensors_learning": 0.0,
}
PUBLISHED = {"alerts": 3, "distinct": 3, "opened": 2, "resolved": 1}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    bench = Bench("127.0.0.1:9092", tmp_path, quick=True, peers=None, say=lambda _: None)
    return Deployment(bench, "main", {"windows.length": "60s"})


def test_a_batch_is_read_from_sparks_report():
    batch = parse_batch(PROGRESS, {"x": 5.0})
    assert (batch.number, batch.rows, batch.seconds) == (3, 1000, 2.5)
    assert batch.ended - batch.started == 2.5
    assert operator_seconds("stateStoreSave", "commitTimeMs", batch) == 0.1
    assert operator_seconds("stateStoreSave", "allUpdatesTimeMs", batch) == 0
    assert growth([parse_batch(PROGRESS, {"x": 2.0}), batch], "x") == 3.0


@pytest.mark.parametrize(
    ("printed", "rate"),
    [
        ("raw consume 971234.5\n", 971234.5),
        ("flink 12.8 312500.0\nflink 8.6 465116.2\n", 465116.2),
        ("kafka streams exactly_once_v2 rocks: 344,000 records/s\n", 344_000.0),
        ("quix 37000.25\n", 37000.25),
        ("nothing to see\n", None),
    ],
)
def test_the_rate_is_the_last_number_that_a_peer_prints(printed, rate):
    assert parse_rate(printed) == rate


def test_a_run_that_is_right_gives_no_complaint():
    assert complaints(RIGHT, PUBLISHED, LOAD, 30_000) == []


@pytest.mark.parametrize(
    ("sums", "published", "what"),
    [
        ({"tidemark_windows_scored_total": 159.0}, {}, "159 windows scored, 160 expected"),
        ({"tidemark_records_consumed_total": 1999.0}, {}, "1,999 records read"),
        ({"tidemark_records_rejected_total": 1.0}, {}, "rejected"),
        ({"tidemark_late_rows_dropped_total": 1.0}, {}, "late"),
        ({"tidemark_sensors_learning": 1.0}, {}, "no model"),
        ({}, {"distinct": 2}, "3 alerts with 2 ids"),
        ({}, {"opened": 0}, "too few"),
    ],
)
def test_a_run_that_is_not_right_says_what_is_wrong(sums, published, what):
    (found,) = complaints({**RIGHT, **sums}, {**PUBLISHED, **published}, LOAD, 30_000)
    assert what in found


def test_alerts_are_counted_by_event_and_by_id():
    alerts = [
        {"alert_id": "a", "event": "opened"},
        {"alert_id": "a", "event": "opened"},
        {"alert_id": "b", "event": "resolved"},
    ]
    assert count(alerts) == {"alerts": 3, "distinct": 2, "opened": 2, "resolved": 1}


def test_a_part_changes_only_names_places_and_what_it_says(deployment):
    settings = load(deployment.settings("sensors"), [], {})
    defaults = load(None, ["source.topics=[sensors]", "windows.length=60s"], {})
    assert settings.model.false_alarm_rate == defaults.model.false_alarm_rate
    assert settings.windows == defaults.windows
    assert settings.records == defaults.records
    assert settings.alerts.topic == deployment.alerts == "main-alerts"
    assert deployment.changed_text() == "`windows.length=60s`"


def test_settings_by_path_become_sections():
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_a_directory_is_as_large_as_its_files(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "below" / "two").write_bytes(b"x" * 5)
    assert bytes_below(tmp_path) == 15


def test_too_small_a_disk_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(StorageError, match="--quick"):
        require_disk(tmp_path, 1e9)


def test_a_process_tree_begins_with_its_root_and_its_memory_is_counted():
    assert next(tree(os.getpid())) == os.getpid()
    with Sampler(os.getpid()) as sampler:
        pass
    assert sampler.peak().total > 1_000_000
    assert sampler.peak().memory["driver"] > 0


def test_growing_delays_are_a_backlog_and_steady_ones_are_not():
    assert falls_behind([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert not falls_behind([1.2, 0.9, 1.1, 1.0, 1.3, 0.8])
    assert not falls_behind([])
