"""``tidemark setup``, ``broker``, ``run`` and ``config check``: what it takes to run the service.

Not here: Spark and Kafka, which are imported by the commands that need them, so that help is instant.
"""

from __future__ import annotations

import importlib.metadata
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from detector.cli.console import (
    ConfigOption,
    JsonOption,
    SetOption,
    app,
    config_app,
    err,
    jar_progress,
    load_settings,
    out,
    print_json,
)
from detector.errors import DetectorError

BROKER_PARTITIONS: Final = 4  # of topics made by `tidemark broker --topic`


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(importlib.metadata.version("tidemark"))
        raise typer.Exit


@app.command()
def setup() -> None:
    """Fetch and verify what runs Kafka and Spark: Java and the jars. Later starts need no network and are faster."""
    from detector.app import class_archive
    from detector.kafka.jars import broker_jars, connector_jars
    from detector.kafka.java import ensure_java

    java = ensure_java(out.print)
    jars = [*broker_jars(jar_progress), *connector_jars(jar_progress)]
    out.print(f"Java {java.version} at {java.home}; {len(jars)} jars verified in {jars[0].parent}")
    if not class_archive.exists(java):
        from detector.app import class_recording

        class_recording.prepare(java, out.print)


@app.command()
def broker(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)] = 9092,
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
    with EmbeddedBroker(directory, port=port, progress=jar_progress) as running:
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

    settings = load_settings(config, overrides)
    logs.configure(settings.log.level, settings.log.format)
    application = Application(settings, take_over=take_over)
    application.stop_on_signals()
    application.run()


@config_app.command("check")
def config_check(config: ConfigOption = None, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and print what is in effect, secrets redacted."""
    from detector.settings import config_digest, effective, render

    settings = load_settings(config, overrides)
    if as_json:
        print_json({"settings": effective(settings), "config_digest": config_digest(settings)})
    else:
        out.print(render(settings), markup=False, highlight=False)
        err.print(f"The settings are valid; config digest {config_digest(settings)[:12]}.")
