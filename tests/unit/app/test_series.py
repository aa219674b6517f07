"""Series of a directory as they are read.

Not here: the choice among them (``tests/unit/app_evaluate/test_plan.py``), replaying them (``tests/unit/app_demo``).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detector.app.series import Entity, clock_of, microseconds, read_series, record, runs
from detector.errors import ConfigError

FIRST_US = 1_577_836_800_000_000  # 2020-01-01


def written(directory: Path, text: str) -> Entity:
    (directory / "mill.csv").write_text(f"timestamp,sensor_id,value\n{text}")
    return Entity("mill", directory / "mill.csv", 1, 60.0)


def test_rows_come_in_the_order_of_time_and_sensors_without_their_entity(tmp_path: Path) -> None:
    entity = written(tmp_path, "2020-01-01T00:01:00Z,mill/a,2\n2020-01-01T00:00:00Z,mill/a,1\n2020-01-01,b,3\n")

    rows = read_series(entity).rows

    assert rows["us"].tolist() == [FIRST_US, FIRST_US, FIRST_US + 60_000_000]
    assert rows["sensor_id"].tolist() == ["a", "b", "a"]
    assert rows["value"].tolist() == [1.0, 3.0, 2.0]


def test_a_timestamp_without_a_value_counts_as_a_timestamp(tmp_path: Path) -> None:
    entity = written(tmp_path, "2020-01-01T00:00:00Z,a,1\n2020-01-01T00:01:00Z,a,\n")

    series = read_series(entity)

    assert np.isnan(series.rows["value"].iloc[1])
    assert clock_of(series.rows).text.to_pylist() == ["2020-01-01T00:00:00Z", "2020-01-01T00:01:00Z"]


def test_timestamps_of_any_iso_form_and_zone_are_instants() -> None:
    stamps = pd.Series(
        ["2020-01-01", "2020-01-01T01:00:00+01:00", "2020-01-01 00:00:00.000001", "1969-12-31T23:59:59Z"]
    )

    assert microseconds(stamps).tolist() == [FIRST_US, FIRST_US, FIRST_US + 1, -1_000_000]


@pytest.mark.parametrize("row", ["yesterday,a,1", ",a,1", "2020-01-01,a,much"])
def test_what_is_no_time_or_number_is_refused_by_the_file(tmp_path: Path, row: str) -> None:
    with pytest.raises(ConfigError, match=r"mill\.csv"):
        read_series(written(tmp_path, row + "\n"))


def test_a_record_is_what_the_service_reads() -> None:
    assert json.loads(record("mill", "a", "2020-01-01T00:00:00Z", 1.5)) == {
        "asset_id": "mill",
        "sensor_id": "a",
        "timestamp": "2020-01-01T00:00:00Z",
        "value": 1.5,
    }


@pytest.mark.parametrize(
    ("marked", "found"),
    [([], []), ([0, 0], []), ([1, 1], [(0, 1)]), ([0, 1, 1, 0, 1], [(1, 2), (4, 4)])],
)
def test_runs_are_the_stretches_of_marked_rows(marked: list[int], found: list[tuple[int, int]]) -> None:
    assert runs(pd.Series(marked, dtype=bool)) == found
