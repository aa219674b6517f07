"""``tidemark train``: its options, and the table it prints.

Not here: the training (``detector.app.train``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from detector.cli.console import ConfigOption, JsonOption, SetOption, app, err, load_settings, out, print_json
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.app.train import TrainingResult
    from detector.settings import Settings

SHOWN_SENSORS: Final = 10  # sensors without a model that are listed by name


@app.command()
def train(
    config: ConfigOption = None,
    overrides: SetOption = None,
    event_from: Annotated[
        datetime | None, typer.Option("--from", help="First event time, e.g. 2026-11-01T00:00:00 (UTC). Default: all.")
    ] = None,
    event_to: Annotated[datetime | None, typer.Option("--to", help="Event time to end before (UTC).")] = None,
    again: Annotated[
        str | None,
        typer.Option("--again", metavar="VERSION", help="Train on the offsets that this version's manifest names."),
    ] = None,
    promote: Annotated[bool, typer.Option(help="Point the alias 'champion' at the new version.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Train a model from the history in the source topics and publish it in the registry."""
    from detector.app import session
    from detector.app import train as job
    from detector.app.model_registry import open_registry, require_signed

    settings = load_settings(config, overrides)
    registry = open_registry(settings)
    if promote:
        require_signed(settings)
    if again is not None and (event_from or event_to):
        raise ConfigError("--again names its own range; leave out --from and --to")
    if again is not None:
        wanted = job.range_of(registry.manifest(registry.resolve(again)))
    else:
        wanted = job.find_range(settings, utc(event_from), utc(event_to))
    with err.status("starting Spark") as status:

        def say(text: str) -> None:
            status.update(text)
            if not err.is_terminal:  # a status line is for a terminal
                err.print(text, highlight=False)

        spark = session.build(settings)
        result = job.train(spark, settings, wanted, say)
        spark.stop()
    if promote:
        registry.set_alias("champion", result.version)
    if as_json:
        print_json({**vars(result), "missing": dict(result.missing), "champion": promote})
    else:
        _print_training(result, settings, promoted=promote)


def utc(instant: datetime | None) -> datetime | None:
    """Return an instant of an option, which is in UTC unless it says otherwise."""
    if instant is None:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _print_training(result: TrainingResult, settings: Settings, *, promoted: bool) -> None:
    table = Table(title=f"Model {result.version}", title_justify="left", show_header=False)
    for name, value in (
        ("registry", str(settings.model.registry)),
        ("alias", "champion" if promoted else "none (--no-promote)"),
        ("digest", result.digest),
        ("signed with", str(settings.model.signing_key or "nothing")),
        ("records", f"{result.records:,} read, {result.rejected:,} rejected"),
        ("windows", f"{result.windows:,}"),
        ("sensors", f"{result.sensors:,} with a model, {len(result.missing):,} without"),
    ):
        table.add_row(name, value)
    out.print(table)
    worst = sorted(result.missing.items(), key=lambda item: (item[1], item[0]))
    for sensor, short in worst[:SHOWN_SENSORS]:
        out.print(f"  {sensor} needs {short:,} more windows of history", highlight=False)
    if len(worst) > SHOWN_SENSORS:
        out.print(f"  and {len(worst) - SHOWN_SENSORS:,} more sensors")
