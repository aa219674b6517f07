"""``tidemark simulate``: its options, its lines and its progress.

Not here: the simulation (``detector.app.simulate``).
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from detector.cli.console import ConfigOption, SetOption, app, load_settings, out, speed_option
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.app.simulate import Moment
    from detector.settings import Settings

PLAIN_SECONDS: Final = 30.0  # between two progress lines where there is no terminal
LEAST_EVERY: Final = 0.1  # seconds
MOST_EVERY: Final = 600.0


@app.command()
def simulate(
    config: ConfigOption = None,
    overrides: SetOption = None,
    topic: Annotated[
        str | None, typer.Option(help="Topic to write to, created if missing. Default: the one of source.topics.")
    ] = None,
    stations: Annotated[
        int, typer.Option(help="Pumping stations of 24 sensors; several are named station-007.pump-1.", min=1, max=999)
    ] = 1,
    every: Annotated[str, typer.Option(help="Event time between two records of a sensor, 100ms to 10m.")] = "10s",
    history: Annotated[str, typer.Option(help="Event time that is sent at once before, without faults.")] = "0s",
    speed: Annotated[
        float, speed_option("Event time over real time. Above 1 it needs --for and begins in the past.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 1,
    faults: Annotated[
        bool,
        typer.Option(
            "--faults/--no-faults", help="Faults: the first after 3 minutes of event time, then about one in 10."
        ),
    ] = True,
    length: Annotated[
        str | None, typer.Option("--for", help="Stop after so much event time, e.g. 30m. Default: until Ctrl-C.")
    ] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic, if it is created.", min=1, max=10_000)] = 4,
) -> None:
    """Send the records of simulated pumping stations to Kafka, with a history and with faults that are announced."""
    from detector.app.simulate import Simulation, SimulationSpec
    from detector.settings import specs

    spacing = _seconds(every, "--every")
    if not LEAST_EVERY <= spacing <= MOST_EVERY:
        raise typer.BadParameter(f"{every} is outside what is allowed: 100ms to 10m", param_hint="--every")
    settings = _settings(config, overrides, topic)
    spec = SimulationSpec(
        stations=stations,
        every=spacing,
        history=_seconds(history, "--history"),
        speed=speed,
        length=None if length is None else _seconds(length, "--for"),
        seed=seed,
        faults=faults,
        partitions=partitions,
        replication=settings.kafka.replication_factor,
    )
    with _progress() as show:
        simulation = Simulation(specs.connection(settings), _target(settings), spec, _say, show)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: simulation.stop())
        records = simulation.run()
    _say(f"{records:,} records sent")


def _seconds(text: str, option: str) -> float:
    from detector.settings.values import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _settings(config: Path | None, overrides: list[str] | None, topic: str | None) -> Settings:
    from detector.settings.values import topic_name

    if topic is None:
        try:
            return load_settings(config, overrides)
        except ConfigError as error:
            if "source.topics" not in str(error):
                raise
            raise ConfigError(
                f"{error}\n  records go to the topic of source.topics, or to the one of --topic"
            ) from error
    try:
        named = topic_name(topic)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--topic") from error
    return load_settings(config, [*(overrides or ()), "source.topic_pattern=null", f"source.topics=[{named}]"])


def _target(settings: Settings) -> str:
    """Return the topic to write to.

    Raises
    ------
    ConfigError
        If the settings name none or several.
    """
    topics = settings.source.topics or ()
    if len(topics) != 1:
        named = ", ".join(topics) or f"the pattern {settings.source.topic_pattern}"
        raise ConfigError(f"source names {named}, and records go to one topic; choose it with --topic")
    return topics[0]


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Moment], None]]:
    """Show how far it is: on a terminal in one line that moves, else in a plain line now and then."""
    if out.is_terminal:
        with out.status("connecting") as status:
            yield lambda moment: status.update(_line(moment))
        return
    said = time.monotonic()

    def show(moment: Moment) -> None:
        nonlocal said
        if time.monotonic() - said >= PLAIN_SECONDS:
            said = time.monotonic()
            _say(_line(moment))

    yield show


def _line(moment: Moment) -> str:
    at = datetime.fromtimestamp(moment.event_time, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {moment.records:,} records sent, faults going on: {moment.faults}"
