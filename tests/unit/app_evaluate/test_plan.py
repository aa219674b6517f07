"""What is evaluated: choice of entities, length of windows, portions; and what is wrong with a directory.

Not here: reading the series (``tests/unit/app/test_series.py``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from detector.app.evaluate.plan import PORTION_RECORDS, plan
from detector.errors import ConfigError
from tests.unit.app_demo.series import Entity, write_series

MILL, SAW = Entity("mill", rows=300, train=200), Entity("saw", rows=200, train=100, step=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_series(tmp_path, [SAW, MILL, replace(MILL, name="mill-two")])
    return tmp_path


def edited(folder: Path, **columns: object) -> Path:
    """Return the folder with columns of its manifest changed."""
    manifest = pd.read_csv(folder / "manifest.csv").assign(**columns)
    manifest.to_csv(folder / "manifest.csv", index=False)
    return folder


def test_a_window_is_one_step_of_the_data_unless_told_otherwise(folder: Path) -> None:
    assert [portion.length_ms for portion in plan(folder, "auto")] == [60_000, 300_000]


def test_entities_with_windows_of_one_length_stand_together_in_the_order_of_the_manifest(folder: Path) -> None:
    portions = plan(folder, "auto")

    assert [[each.entity.name for each in portion.subjects] for portion in portions] == [["mill", "mill-two"], ["saw"]]


def test_a_number_of_steps_is_a_length_by_the_step_of_each_entity(folder: Path) -> None:
    assert [portion.length_ms for portion in plan(folder, "8x")] == [480_000, 2_400_000]


def test_a_duration_is_the_length_of_all(folder: Path) -> None:
    (portion,) = plan(folder, "2m")

    assert portion.length_ms == 120_000
    assert len(portion.subjects) == 3


def test_entities_and_data_sets_can_be_chosen(folder: Path) -> None:
    edited(folder, dataset=["saws", "mills", "mills"])

    assert [s.entity.name for p in plan(folder, "1m", ["saw"]) for s in p.subjects] == ["saw"]
    assert [s.entity.name for p in plan(folder, "1m", [], ["mills"]) for s in p.subjects] == ["mill", "mill-two"]


def test_a_portion_ends_before_it_holds_too_many_records(folder: Path) -> None:
    edited(folder, timestamps=PORTION_RECORDS // 4, sensors=2)

    assert [len(portion.subjects) for portion in plan(folder, "1m")] == [2, 1]


def test_an_entity_larger_than_a_portion_is_one_by_itself(folder: Path) -> None:
    edited(folder, timestamps=[10, 2 * PORTION_RECORDS, 10])

    assert [len(portion.subjects) for portion in plan(folder, "1m")] == [1, 1, 1]


@pytest.mark.parametrize("window", ["8", "x", "0x", "soon", "0s", "-1s"])
def test_a_window_that_is_no_length_is_refused_with_the_forms_there_are(folder: Path, window: str) -> None:
    with pytest.raises(ConfigError, match="8x"):
        plan(folder, window)


def test_a_step_too_short_for_a_window_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="millisecond"):
        plan(edited(folder, step_seconds=0.0001), "auto")


def test_an_unknown_entity_or_data_set_is_refused_with_names_near_it(folder: Path) -> None:
    with pytest.raises(ConfigError, match="mill-two"):
        plan(folder, "auto", ["mill-tow"])
    with pytest.raises(ConfigError, match="dataset 'maid'; near it are: made"):
        plan(folder, "auto", [], ["maid"])


@pytest.mark.parametrize("column", ["entity", "dataset", "sensors", "timestamps", "train_timestamps", "step_seconds"])
def test_a_manifest_without_a_column_is_refused_by_its_name(folder: Path, column: str) -> None:
    pd.read_csv(folder / "manifest.csv").drop(columns=column).to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(ConfigError, match=column):
        plan(folder, "auto")


@pytest.mark.parametrize("column", ["sensors", "train_timestamps", "step_seconds"])
def test_a_manifest_with_words_for_numbers_is_refused(folder: Path, column: str) -> None:
    with pytest.raises(ConfigError, match="many"):
        plan(edited(folder, **{column: "many"}), "auto")


def test_an_entity_that_is_named_twice_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="twice"):
        plan(edited(folder, entity="mill"), "auto")


def test_a_directory_without_manifest_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"manifest\.csv does not exist"):
        plan(tmp_path, "auto")
