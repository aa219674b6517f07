"""The command ``tidemark evaluate`` without Spark: what it refuses, and what it prints.

Not here: the evaluation (``tests/unit/app_evaluate``, ``tests/spark/test_evaluate.py``).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.app.evaluate.job import Report
from detector.app.evaluate.outcome import Against, Outcome
from detector.cli import app, console
from detector.cli.evaluate import NO_SOURCE, print_report, report_json
from detector.errors import ConfigError
from detector.settings import load
from models.training import TrainingConfig
from tests.unit.app_demo.series import Entity, write_series

QUIET = Against(auc_pr=0.25, positive=10, events=2, hit=1, outside=3)
TRAP = Against(auc_pr=0.9, positive=80, events=1, hit=1, outside=0)


def refused(*arguments: str) -> str:
    """Run a command that must end with the error of a wrong setting; return its message (``main`` prints it)."""
    error = CliRunner().invoke(app, ["evaluate", *arguments]).exception
    assert isinstance(error, ConfigError)
    assert error.exit_code == 78
    return str(error)


def report(*, labelled: bool = True) -> Report:
    outcomes = [
        Outcome("mills", 2, 1, 1000, 4, QUIET if labelled else None),
        Outcome("trap", 50, 0, 100, 1, TRAP if labelled else None),
    ]
    seconds = {"start Spark": 2.5, "in all": 61.25}
    return Report(TrainingConfig(), outcomes, 2200, 2100, Counter(bad_timestamp=3, not_finite=0), seconds)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def show(shown: Report) -> str:
        monkeypatch.setattr(console.out, "width", 80)
        print_report(shown, "auto", Path("build/quality"))
        return capsys.readouterr().out

    return show


def test_a_directory_without_series_ends_with_78_and_says_what_is_missing(tmp_path: Path) -> None:
    assert "manifest.csv does not exist" in refused(str(tmp_path), "--out", str(tmp_path / "out"))


def test_a_window_that_is_none_ends_with_78(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=100, train=80)])

    said = refused(str(tmp_path), "--out", str(tmp_path / "out"), "--window", "wide")

    assert "--window" in said
    assert "8x" in said


def test_a_wrong_setting_of_the_model_ends_with_78_and_names_it(tmp_path: Path) -> None:
    assert "model.min_windows" in refused(str(tmp_path), "--out", str(tmp_path), "--set", "model.min_windows=3")


@pytest.mark.parametrize("source", ["source: {topics: [a, b]}", "source: {topic_pattern: 'plant-.*'}", "{}"])
def test_a_settings_file_may_name_any_source_or_none(tmp_path: Path, source: str) -> None:
    file = tmp_path / "tidemark.yaml"
    file.write_text(f"model: {{quiet_windows: 7}}\n{'' if source == '{}' else source}\n")

    assert load(file, NO_SOURCE, {}).model.quiet_windows == 7


def test_the_table_has_a_row_for_each_data_set_and_one_for_all(printed) -> None:
    shown = printed(report()).splitlines()

    mills, trap, total = (next(line for line in shown if name in line) for name in ("mills", "trap", "total"))
    assert mills.split() == ["mills", "1", "2", "1", "1,000", "4", "4.00", "0.250", "2", "1", "3"]
    assert "trap *" in trap
    assert "0.250" in total


def test_without_labels_nothing_is_said_of_events(printed) -> None:
    shown = printed(report(labelled=False))

    assert "AUC-PR" not in shown
    assert "mills" in shown


def test_rejected_records_times_and_files_are_told(printed) -> None:
    shown = printed(report())

    assert "3 bad_timestamp" in shown
    assert "not_finite" not in shown
    assert "in all 61.2 s" in shown
    assert "build/quality/scores.csv.gz" in shown
    assert TrainingConfig().profile.digest()[:12] in shown


def test_the_same_is_there_as_json() -> None:
    told = json.loads(json.dumps(report_json(report(), "8x", Path("out"))))

    assert told["window"] == "8x"
    assert told["profile_digest"] == TrainingConfig().profile.digest()
    assert told["data_sets"]["trap"]["mostly_positive"]
    assert told["total"]["auc_pr"] == 0.25
    assert told["rejected"] == {"bad_timestamp": 3}
    assert told["files"] == ["out/scores.csv.gz", "out/incidents.csv.gz"]
