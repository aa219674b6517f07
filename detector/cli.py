"""The command line: ``tidemark COMMAND``.

Commands parse their options, call one job of `detector.app`, and print; `main` turns every error into a
message and its exit code.

Not here: the jobs themselves. Spark is imported by the commands that need it, so that help is instant.
"""

from __future__ import annotations

import importlib.metadata
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from detector.errors import ConfigError, DetectorError
from models.errors import ModelError

if TYPE_CHECKING:
    from detector.app.train import TrainingResult
    from detector.settings import Settings

MODEL_EXIT_CODE: Final = 66  # EX_NOINPUT: no usable model, or too little history to train one
BROKER_PARTITIONS: Final = 4  # of topics made by `tidemark broker --topic`
SHOWN_SENSORS: Final = 10  # sensors without a model that are listed by name

EXIT_CODES: Final = """[bold]Exit codes[/bold]

0 done or stopped on request · 2 wrong usage · 64 another instance owns this deployment · 65 a topic, checkpoint or
marker is not as it must be · 66 no usable model, or too little history · 69 Java or a jar is missing, or a port is
taken · 70 unexpected failure · 74 disk · 75 Kafka did not answer in time · 78 a setting is wrong
"""

app = typer.Typer(
    name="tidemark",
    help="Real-time anomaly detection for sensor streams: Kafka in, alerts on Kafka exactly once.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
app.add_typer(config_app, name="config")
out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings file (YAML). Environment TIDEMARK__SECTION__KEY and --set override it."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY.PATH=VALUE", help="Override one setting, e.g. windows.length=30s; repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(importlib.metadata.version("tidemark"))
        raise typer.Exit


@app.command()
def setup() -> None:
    """Fetch and verify what runs Kafka and Spark: Java and the jars. Later starts need no network."""
    from detector.kafka.jars import broker_jars, connector_jars
    from detector.kafka.java import ensure_java

    java = ensure_java(out.print)
    jars = [*broker_jars(_jar_progress), *connector_jars(_jar_progress)]
    out.print(f"Java {java.version} at {java.home}; {len(jars)} jars verified in {jars[0].parent}")


@app.command()
def broker(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 9092,
    topics: Annotated[
        list[str] | None,
        typer.Option("--topic", help="Create this topic, with 4 partitions, unless it exists; repeatable."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep data here over restarts; default: a temporary directory.")
    ] = None,
) -> None:
    """Run an embedded one-node Kafka on 127.0.0.1 until Ctrl-C, for trying out and tests."""
    from threading import Event

    from detector.kafka.broker import EmbeddedBroker
    from detector.kafka.connection import KafkaConnection
    from detector.kafka.preflight import Preflight

    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with EmbeddedBroker(directory, port=port, progress=_jar_progress) as running:
        preflight = Preflight(KafkaConnection(running.bootstrap_servers))
        for topic in topics or ():
            preflight.ensure(topic, BROKER_PARTITIONS, 1, {})
        out.print(
            f"Kafka is ready on [bold]{running.bootstrap_servers}[/bold], data in {running.directory}. Ctrl-C stops it."
        )
        while running.running and not stopped.wait(0.5):
            pass
        if not stopped.is_set():
            raise DetectorError(f"Kafka ended by itself; its log is {running.log_path}")


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
    from models.registry import Registry

    settings = _settings(config, overrides)
    registry = Registry(settings.model.registry)
    if again is not None and (event_from or event_to):
        raise ConfigError("--again names its own range; leave out --from and --to")
    if again is not None:
        wanted = job.range_of(registry.manifest(registry.resolve(again)))
    else:
        wanted = job.find_range(settings, _utc(event_from), _utc(event_to))
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
        _print_json({**vars(result), "missing": dict(result.missing), "champion": promote})
    else:
        _print_training(result, settings, promoted=promote)


@app.command()
def run(
    config: ConfigOption = None,
    overrides: SetOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Fence an instance with another checkpoint that seems alive.")
    ] = False,
) -> None:
    """Run the detector: read, score and publish alerts until SIGTERM or Ctrl-C, then drain and exit 0."""
    from detector.app.lifecycle import Application
    from detector.observability import logs

    settings = _settings(config, overrides)
    logs.configure(settings.log.level, settings.log.format)
    application = Application(settings, take_over=take_over)
    application.stop_on_signals()
    application.run()


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Replay labelled series from a directory with manifest.csv instead of made ones."),
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="With --data: which series; repeatable. Default: the first.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Event time over real time. Default: 60; with --data what makes the live part take 30 s.", min=1.0
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the made sensors and faults.", min=0)] = 1,
    keep_files: Annotated[
        Path | None,
        typer.Option(help="Keep model, checkpoint, logs and Kafka's data in this new directory.", metavar="DIR"),
    ] = None,
) -> None:
    """See it work: broker, history, training, live records with faults, alerts, and a table of what was found."""
    from detector.app.demo import DemoSpec, run_demo

    spec = DemoSpec(data=data, entities=tuple(entity or ()), speed=speed, seed=seed, keep_files=keep_files)
    run_demo(spec, out)


@config_app.command("check")
def config_check(config: ConfigOption = None, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and print what is in effect, secrets redacted."""
    from detector.settings import config_digest, effective, render

    settings = _settings(config, overrides)
    if as_json:
        _print_json({"settings": effective(settings), "config_digest": config_digest(settings)})
    else:
        out.print(render(settings), markup=False, highlight=False)
        err.print(f"The settings are valid; config digest {config_digest(settings)[:12]}.")


def main() -> None:
    """Run the command line; every error becomes one message and its documented exit code."""
    try:
        app()
    except DetectorError as error:
        _fail(str(error), error.exit_code)
    except ModelError as error:
        _fail(str(error), MODEL_EXIT_CODE)
    except Exception:  # noqa: BLE001 - the last resort: whatever it is, the exit code is a documented one
        err.print_exception()
        _fail("this is a defect of Tidemark; please report it with the lines above", DetectorError.exit_code)


def _fail(message: str, code: int) -> None:
    err.print("[bold red]tidemark:[/bold red]", end=" ")
    err.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def _settings(config: Path | None, overrides: list[str] | None) -> Settings:
    from detector.settings import load

    return load(config, overrides or ())


def _utc(instant: datetime | None) -> datetime | None:
    if instant is None:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _jar_progress(name: str, done: int, total: int) -> None:
    err.print(f"  {done}/{total} {name}", highlight=False)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")


def _print_training(result: TrainingResult, settings: Settings, *, promoted: bool) -> None:
    table = Table(title=f"Model {result.version}", title_justify="left", show_header=False)
    for name, value in (
        ("registry", str(settings.model.registry)),
        ("alias", "champion" if promoted else "none (--no-promote)"),
        ("digest", result.digest),
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
