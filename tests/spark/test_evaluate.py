"""A tiny directory of series, evaluated end to end on Spark.

Not here: what an entity's scores should be beyond those of the models called directly (``tests/unit/app_evaluate``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detector.app.evaluate.entity import judge_entity
from detector.app.evaluate.files import INCIDENTS, SCORES
from detector.app.evaluate.job import STAGES, Evaluation, Report, evaluate
from detector.app.evaluate.plan import plan
from detector.app.evaluate.timeline import Timeline
from detector.app.series import entities, microseconds, read_manifest, read_series
from detector.app.train import training_config
from detector.errors import ConfigError
from detector.settings import Settings, load
from models.features import WindowBatch
from tests.unit.app_demo.series import Entity, write_series

ROWS, TRAIN, FAULT = 560, 500, range(520, 530)  # a history that is enough for a model of the population
SETTINGS = load(None, ["source.topics=[series]", "model.population=false", "model.quiet_windows=2"], {})
ENTITIES = [
    Entity("mill", ROWS, TRAIN, labelled=tuple(FAULT)),
    Entity("saw", 240, 180, step=300),
    Entity("young", 90, 40),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("series")
    write_series(directory, ENTITIES, jump=40.0)
    return directory


@pytest.fixture(scope="module")
def done(spark, folder: Path) -> tuple[Report, list[tuple[str, int, int]]]:
    told: list[tuple[str, int, int]] = []
    wanted = Evaluation(folder, plan(folder, "auto"), folder / "out")
    return evaluate(spark, SETTINGS, wanted, lambda *step: told.append(step)), told


def scores(folder: Path, entity: str, out: str = "out") -> pd.Series:
    table = pd.read_csv(folder / out / SCORES)
    return table[table["entity"] == entity].set_index("timestamp")["score"]


def direct(folder: Path, name: str, settings: Settings = SETTINGS) -> np.ndarray:
    """Return the scores of an entity by the models called directly: a window of one record is its value."""
    entity = next(each for each in entities(read_manifest(folder), folder) if each.name == name)
    rows = read_series(entity).rows
    value = rows["value"].to_numpy()
    still = np.zeros(len(rows))
    features = np.stack([still + 1, value, still, value, value, value, value, still], axis=1)
    length_us = int(entity.step_seconds * 1e6)
    keys = (name + "\x1f" + rows["sensor_id"]).to_numpy(object)
    batch = WindowBatch(keys, rows["us"].to_numpy() // length_us + 1, features)
    line = Timeline(rows["us"].unique(), entity.train, length_us)
    found = judge_entity(batch, line, training_config(settings), None, lambda: 0.0)
    return line.hold(np.array(found.index), np.array(found.score))


@pytest.mark.parametrize("entity", ["mill", "saw"])
def test_scores_are_those_of_the_models_called_directly(done, folder, entity):
    assert scores(folder, entity).to_numpy() == pytest.approx(direct(folder, entity), rel=1e-8)


def test_every_timestamp_after_the_prefix_has_a_score_also_where_nobody_can_judge(done, folder):
    series = pd.read_csv(folder / "series" / "mill.csv.gz")

    assert scores(folder, "mill").index.tolist() == series["timestamp"].unique()[TRAIN:].tolist()
    assert scores(folder, "young").tolist() == [0.0] * 50


def test_a_fault_is_an_incident_from_its_first_timestamp_on(done, folder):
    incidents = pd.read_csv(folder / "out" / INCIDENTS)
    series = pd.read_csv(folder / "series" / "mill.csv.gz")
    first = series["timestamp"].unique()[FAULT.start]

    assert first in incidents.loc[incidents["entity"] == "mill", "start"].tolist()
    assert (microseconds(incidents["end"]) >= microseconds(incidents["start"])).all()


def test_the_report_counts_what_was_read_judged_and_found(done):
    report, told = done
    by_dataset = {(each.dataset, each.timestamps): each for each in report.outcomes}

    assert report.records == report.windows == 2 * (ROWS + 240 + 90)
    assert +report.rejected == {}
    assert by_dataset["made", 50].learning == 2
    assert sorted(each.learning for each in report.outcomes) == [0, 0, 2]
    assert next(each.against for each in report.outcomes if each.incidents).hit == 1
    assert {stage for stage, _, _ in told} == {*STAGES}
    assert told[-1] == (STAGES[1], report.records, report.records)


def test_the_same_series_again_are_the_same_bytes_with_other_partitions(done, spark, folder):
    wide = spark.newSession()
    wide.conf.set("spark.sql.shuffle.partitions", "5")

    evaluate(wide, SETTINGS, Evaluation(folder, plan(folder, "auto"), folder / "again"), lambda *_: None)

    for name in (SCORES, INCIDENTS):
        assert (folder / "again" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_the_population_judges_what_has_too_little_history(spark, folder):
    settings = load(None, ["source.topics=[series]"], {})
    portions = plan(folder, "1m", ["young", "mill"])

    report = evaluate(spark, settings, Evaluation(folder, portions, folder / "helped"), lambda *_: None)

    assert sorted(each.learning for each in report.outcomes) == [0, 2]
    assert (scores(folder, "young", "helped") > 0).any()


def test_an_entity_with_nothing_to_judge_is_refused(spark, tmp_path):
    write_series(tmp_path, [Entity("mill", rows=100, train=100)])
    with pytest.raises(ConfigError, match="100 timestamps, 100 of them"):
        evaluate(spark, SETTINGS, Evaluation(tmp_path, plan(tmp_path, "auto"), tmp_path), lambda *_: None)
