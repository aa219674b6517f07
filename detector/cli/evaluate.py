"""``tidemark evaluate``: its options, its progress, and the table it prints.

Not here: the evaluation (``detector.app.evaluate``).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
from rich import box
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from detector.cli.console import ConfigOption, JsonOption, SetOption, app, err, load_settings, out, print_json

if TYPE_CHECKING:
    from detector.app.evaluate.job import Report
    from detector.app.evaluate.outcome import Figures

# The settings name a source, which an evaluation does not have; a file with either kind of one is welcome.
NO_SOURCE: Final = ("source.topics=[series]", "source.topic_pattern=null")
DIGEST_SHOWN: Final = 12
COLUMNS: Final = ("data set", "series", "sensors", "learn", "scored", "opened", "/1,000")
LABELLED_COLUMNS: Final = ("AUC-PR", "events", "hit", "false")
LEGEND: Final = (
    "learn: sensors without a model of their own; scored: timestamps; opened: incidents, and per 1,000 timestamps"
)
LABELLED_LEGEND: Final = (
    "AUC-PR: mean over series, in total over data sets; hit: events in which an incident opened; false: incidents "
    "that opened outside of events"
)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Argument(help="Directory with manifest.csv and the series that it names.")],
    result: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where scores.csv.gz and incidents.csv.gz are written.")
    ],
    window: Annotated[
        str, typer.Option(help="Length of a window: a duration (60s), a number of steps (8x), or auto: one step.")
    ] = "auto",
    entity: Annotated[list[str] | None, typer.Option("--entity", help="Only this series; repeatable.")] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="Only this data set; repeatable.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge series with a training prefix as they would have been live; needs no Kafka.

    Each entity is trained on its prefix and scored on the rest, in order, by the functions that train and run use. Of
    the settings, model.*, windows.dedup, state.shuffle_partitions and spark.* count.
    """
    from detector.app import session
    from detector.app.evaluate.files import require_writable
    from detector.app.evaluate.job import Evaluation
    from detector.app.evaluate.job import evaluate as job
    from detector.app.evaluate.plan import plan

    began = time.monotonic()
    settings = load_settings(config, [*NO_SOURCE, *(overrides or ())])
    wanted = Evaluation(data, plan(data, window, entity or (), dataset or ()), result)
    require_writable(result)  # before minutes of reading
    with err.status("starting Spark"):
        spark = session.build(settings)
    started = time.monotonic() - began
    with _Shown() as shown:
        report = job(spark, settings, wanted, shown)
    spark.stop()
    report.seconds = {"start Spark": started, **report.seconds, "in all": time.monotonic() - began}
    if as_json:
        print_json(report_json(report, window, result))
    else:
        print_report(report, window, result)


class _Shown:
    """How far each stage is, with its rate and the time that remains: bars on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description:>8}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]:>18}"),
            TextColumn("remaining"),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave what is shown."""
        self._bars.stop()

    def __call__(self, stage: str, done: int, of: int) -> None:
        """Show that `done` of `of` records are through a stage; 0 begins it."""
        if not done:
            self._began[stage] = time.monotonic()
            self._tasks[stage] = self._bars.add_task(stage, total=of, rate="")
            return
        rate = done / (time.monotonic() - self._began[stage])
        self._bars.update(self._tasks[stage], completed=done, rate=f"{rate:,.0f} records/s")
        if not err.is_terminal:
            left = (of - done) / rate
            err.print(
                f"{stage}: {done:,} of {of:,} records, {rate:,.0f} records/s, {left:,.0f} s remaining", highlight=False
            )


def print_report(report: Report, window: str, result: Path) -> None:
    """Print a table of the data sets, and what it took."""
    from detector.app.evaluate.outcome import by_dataset, total

    per_set = by_dataset(report.outcomes)
    table = Table(
        title=f"Windows {window}, profile {report.config.profile.digest()[:DIGEST_SHOWN]}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    labelled = total(report.outcomes).events is not None
    table.add_column(COLUMNS[0], no_wrap=True)
    for name in (*COLUMNS[1:], *(LABELLED_COLUMNS if labelled else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for name, figures in per_set.items():
        table.add_row(f"{name} *" if figures.mostly_positive else name, *_cells(figures, labelled=labelled))
    table.add_section()
    table.add_row("total", *_cells(total(report.outcomes), labelled=labelled))
    out.print(table)
    out.print(LEGEND, highlight=False)
    if labelled:
        out.print(LABELLED_LEGEND, highlight=False)
    if any(figures.mostly_positive for figures in per_set.values()):
        out.print("* More than half of it is labelled: its AUC-PR is in no mean.", highlight=False)
    _print_facts(report, result)


def _print_facts(report: Report, result: Path) -> None:
    from detector.app.evaluate.files import INCIDENTS, SCORES

    rejected = ", ".join(f"{count:,} {reason}" for reason, count in sorted((+report.rejected).items()))
    out.print(
        f"{report.records:,} records, {report.windows:,} windows; rejected: {rejected or 'none'}", highlight=False
    )
    out.print("; ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items()), highlight=False)
    out.print(
        f"{result / SCORES} and {result / INCIDENTS} are written.",
        highlight=False,
        soft_wrap=True,
    )


def _cells(figures: Figures, *, labelled: bool) -> list[str]:
    counts = (figures.series, figures.sensors, figures.learning, figures.timestamps, figures.incidents)
    cells = [*(f"{count:,}" for count in counts), f"{figures.per_1000:.2f}"]
    if labelled:
        judged = (figures.events, figures.hit, figures.outside)
        auc = "" if figures.auc_pr is None else f"{figures.auc_pr:.3f}"
        cells += [auc, *("" if count is None else f"{count:,}" for count in judged)]
    return cells


def report_json(report: Report, window: str, result: Path) -> dict[str, Any]:
    """Return the same as one JSON object."""
    from detector.app.evaluate.files import INCIDENTS, SCORES
    from detector.app.evaluate.outcome import by_dataset, total

    return {
        "window": window,
        "profile_digest": report.config.profile.digest(),
        "training_digest": report.config.digest(),
        "data_sets": {name: asdict(figures) for name, figures in by_dataset(report.outcomes).items()},
        "total": asdict(total(report.outcomes)),
        "records": report.records,
        "windows": report.windows,
        "rejected": dict(+report.rejected),
        "seconds": {name: round(seconds, 3) for name, seconds in report.seconds.items()},
        "files": [str(result / name) for name in (SCORES, INCIDENTS)],
    }
