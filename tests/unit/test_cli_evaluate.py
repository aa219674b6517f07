"""The command ``tidemark evaluate`` without Spark: what it refuses, and what it prints.

Not here: the evaluation (``tests/unit/app_evaluate``, ``tests/spark/test_evaluate.py``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from detector.app.evaluate.job import Report
from detector.app.evaluate.outcome import Against, Outcome
from detector.cli import console
from detector.cli.evaluate import NO_SOURCE, print_report, report_json
from detector.settings import load
from models.training import TrainingConfig
from tests.unit.app_demo.series import Entity, write_series

QUIET = Against(auc_pr=0.25, positive=10, events=2, hit=1, outside=3)
TRAP = Against(auc_pr=0.9, positive=80, events=1, hit=1, outside=0)


def tidemark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from detector.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "COLUMNS": "200"}
    )


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
    done = tidemark("evaluate", str(tmp_path), "--out", str(tmp_path / "out"))

    assert done.returncode == 78
    assert "manifest.csv does not exist" in done.stderr


def test_a_window_that_is_none_ends_with_78(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=100, train=80)])

    done = tidemark("evaluate", str(tmp_path), "--out", str(tmp_path / "out"), "--window", "wide")

    assert done.returncode == 78
    assert "--window" in done.stderr
    assert "8x" in done.stderr


def test_a_wrong_setting_of_the_model_ends_with_78_and_names_it(tmp_path: Path) -> None:
    done = tidemark("evaluate", str(tmp_path), "--out", str(tmp_path), "--set", "model.min_windows=3")

    assert done.returncode == 78
    assert "model.min_windows" in done.stderr


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
