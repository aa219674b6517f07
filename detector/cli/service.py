"""``tidemark setup``, ``broker``, ``run`` and ``config check``: what it takes to run the service.

Not here: Spark and Kafka, which are imported by the commands that need them, so that help is instant.
"""

from __future__ import annotations

import importlib.metadata
import signal
from enum import Enum
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


class Nodes(Enum):
    """How many nodes `tidemark broker` may have."""

    ONE = "1"
    THREE = "3"


@app.command()
def broker(
    port: Annotated[
        int,
        typer.Option(
            help="Port on 127.0.0.1, with three nodes the first of three; 0 takes free ones.", min=0, max=65_533
        ),
    ] = 9092,
    topics: Annotated[
        list[str] | None,
        typer.Option("--topic", help="Create this topic, with 4 partitions, unless it exists; repeatable."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep data here over restarts; default: a temporary directory.")
    ] = None,
    nodes: Annotated[
        Nodes, typer.Option(help="With 3, topics have three copies and any one node may be killed.")
    ] = Nodes.ONE,
) -> None:
    """Run an embedded Kafka on 127.0.0.1 until Ctrl-C, for trying out and tests."""
    from threading import Event

    from detector.kafka.broker import EmbeddedBroker
    from detector.kafka.connection import KafkaConnection
    from detector.kafka.preflight import Preflight

    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    count: Final = 3 if nodes is Nodes.THREE else 1
    with EmbeddedBroker(directory, nodes=count, port=port, progress=jar_progress) as running:
        preflight = Preflight(KafkaConnection(running.bootstrap_servers))
        for topic in topics or ():
            preflight.ensure(topic, BROKER_PARTITIONS, count, {})
        out.print(
            f"Kafka is ready on [bold]{running.bootstrap_servers}[/bold], data in {running.directory}. Ctrl-C stops it."
        )
        if count > 1:
            out.print(f"Process ids of the nodes: {', '.join(map(str, running.pids.values()))}.")
        living = running.pids
        while 2 * len(living) > count and not stopped.wait(0.5):
            for node in living.keys() - running.pids.keys():
                err.print(f"Node {node} ended by itself; its log is {running.log_paths[node - 1]}")
            living = running.pids
        if not stopped.is_set():
            raise DetectorError("Kafka cannot go on: too few nodes are left. Start it again")


@app.command()
def run(
    config: ConfigOption = None,
    overrides: SetOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Fence an instance with another checkpoint that seems alive.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Let an empty checkpoint carry on where a lost one ended, exactly once."),
    ] = False,
) -> None:
    """Run the detector: read, score and publish alerts until SIGTERM or Ctrl-C, then drain and exit 0."""
    from detector.app.lifecycle import Application
    from detector.observability import logs

    settings = load_settings(config, overrides)
    logs.configure(settings.log.level, settings.log.format)
    application = Application(settings, take_over=take_over, adopt=adopt)
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
