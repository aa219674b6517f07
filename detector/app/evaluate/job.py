"""Evaluate: every portion to windows, the population's model, then entity by entity to scores and incidents.

Not here: what happens to a portion (``portion``), to an entity (``entity``), what is evaluated (``plan``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from pyspark.sql import SparkSession

from detector.app.evaluate.entity import EntityResult
from detector.app.evaluate.files import ResultFiles
from detector.app.evaluate.outcome import Labels, Outcome, against
from detector.app.evaluate.plan import Portion, Subject
from detector.app.evaluate.portion import Closed, close_portion
from detector.app.series import LABELS
from detector.app.train import training_config
from detector.settings import Settings
from models.population import Population, PopulationSample, fit_population
from models.training import TrainingConfig

Progress = Callable[[str, int, int], None]  # stage, records done, records in all
STAGES: Final = ("windows", "scores")

_NOTHING: Final = EntityResult([], [], [], 0, 0, 0, 0.0, 0.0)  # of an entity without a valid record


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and where the result goes.

    Attributes
    ----------
    data : Path
        Directory of the series; its labels are met when all scores are there.
    portions : sequence of Portion
        Those of one length of window follow each other.
    out : Path
        Directory of the two files.
    """

    data: Path
    portions: Sequence[Portion]
    out: Path

    @property
    def records(self) -> int:
        """Records of all, as the manifest has it."""
        return sum(portion.records for portion in self.portions)


@dataclass
class Report:
    """What an evaluation did.

    Attributes
    ----------
    config : TrainingConfig
        With which every entity was trained and judged.
    outcomes : list of Outcome
        One an entity.
    records, windows : int
        Records read, and windows of them.
    rejected : Counter of str
        Records that did not decode, by reason.
    seconds : Counter of str
        Of each stage; those whose name says so are summed over cores.
    """

    config: TrainingConfig
    outcomes: list[Outcome] = field(default_factory=list)
    records: int = 0
    windows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of what happens inside."""
        began = time.perf_counter()
        yield
        self.spend(name, time.perf_counter() - began)

    def spend(self, name: str, seconds: float) -> None:
        """Add time to a stage."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def evaluate(spark: SparkSession, settings: Settings, wanted: Evaluation, progress: Progress) -> Report:
    """Judge series as they would have been live, and write what was said.

    An entity is a bucket of its own. Those whose windows have one length share a model of the population, as the
    sensors of one deployment do. Memory is bounded by the records of a portion and by the windows of one entity a
    core; windows wait on disk.

    Parameters
    ----------
    spark : SparkSession
        Where it runs.
    settings : Settings
        Of the model, and of deduplication.
    wanted : Evaluation
        What, and where to.
    progress : callable
        Told how far each of `STAGES` is; 0 records begin it.

    Raises
    ------
    ConfigError
        If a file is not of the form, or an entity has nothing to judge.
    StorageError
        If the files cannot be written.
    """
    report = Report(training_config(settings))
    with report.stage("read, decode, aggregate"):
        closed = _close(spark, settings, wanted, report, progress)
    with report.stage("population"):
        populations = _populations(closed, report.config)
    with report.stage("fit, score, write"), ResultFiles(wanted.out) as files:
        labels = Labels(wanted.data / LABELS) if (wanted.data / LABELS).exists() else None
        conclusion = _Conclusion(files, labels, report)
        done = 0
        progress(STAGES[1], done, wanted.records)
        for each in closed:
            results = each.judge(report.config, populations[each.portion.length_ms])
            each.release()
            for subject in each.portion.subjects:
                conclusion.add(subject, results.get(subject.entity.name, _NOTHING), each)
            done += each.portion.records
            progress(STAGES[1], done, wanted.records)
    return report


def _close(
    spark: SparkSession, settings: Settings, wanted: Evaluation, report: Report, progress: Progress
) -> list[Closed]:
    closed: list[Closed] = []
    done = 0
    progress(STAGES[0], done, wanted.records)
    for portion in wanted.portions:
        each = close_portion(spark, portion, settings.windows.dedup)
        closed.append(each)
        report.records += each.records
        report.windows += each.window_count
        report.rejected.update(each.rejected)
        done += portion.records
        progress(STAGES[0], done, wanted.records)
    return closed


def _populations(closed: Sequence[Closed], config: TrainingConfig) -> dict[int, Population | None]:
    """Fit the population's model of each length of window; None where there is none."""
    if not config.profile.population:
        return dict.fromkeys((each.portion.length_ms for each in closed), None)
    entities: Counter[int] = Counter()
    for each in closed:
        entities[each.portion.length_ms] += len(each.portion.subjects)
    samples: dict[int, list[PopulationSample]] = {length_ms: [] for length_ms in entities}
    for each in closed:
        length_ms = each.portion.length_ms
        samples[length_ms] += each.samples(config, entities[length_ms])
    return {length_ms: fit_population(drawn, config.seed) for length_ms, drawn in samples.items()}


@dataclass(frozen=True)
class _Conclusion:
    """Where everything that was said of an entity goes."""

    files: ResultFiles
    labels: Labels | None
    report: Report

    def add(self, subject: Subject, result: EntityResult, closed: Closed) -> None:
        """Write an entity's scores and incidents, and hold them against its labels."""
        name, train = subject.entity.name, subject.entity.train
        clock, timeline = closed.clocks[name], closed.timelines[name]
        score = timeline.hold(np.array(result.index, np.int64), np.array(result.score, np.float64))
        spans = [(first - train, last - train) for first, last in timeline.spans(result.incidents)]
        self.files.write(name, clock.text.slice(train), score, spans)
        label = None if self.labels is None else self.labels.at(name, clock.us[train:])
        outcome = Outcome(
            dataset=subject.dataset,
            sensors=result.sensors or subject.sensors,
            learning=result.learning if result.sensors else subject.sensors,
            timestamps=len(score),
            incidents=len(spans),
            against=None if label is None else against(label, score, [first for first, _ in spans]),
        )
        self.report.outcomes.append(outcome)
        self.report.spend("fit, summed over cores", result.fit_seconds)
        self.report.spend("score, summed over cores", result.score_seconds)
