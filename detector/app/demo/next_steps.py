"""What to look at while the demonstration stays up, and what is left when it ends: commands to copy.

Not here: the settings file that they name (``stage``).
"""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detector.app.demo.view import Screen
from detector.settings import Settings

# Prints what is on the topic, and ends when nothing came for five seconds.
CONSUMER: Final = (
    "from confluent_kafka import Consumer; "
    'c = Consumer({{"bootstrap.servers": "{servers}", "group.id": "reader", "auto.offset.reset": "earliest", '
    '"enable.auto.commit": False}}); '
    'c.subscribe(["{topic}"]); '
    "[print(m.value().decode()) for m in iter(lambda: c.poll(5), None) if not m.error()]"
)
STAYS: Final = "All of this stays up until Ctrl-C. Alerts that come are shown here."


@dataclass(frozen=True)
class Place:
    """Where everything of a running demonstration is.

    Parameters
    ----------
    directory : Path
        Where everything is written.
    config : Path
        The settings file.
    broker : Path
        Directory of the broker's data and log.
    logs : tuple of Path
        Logs of the application.
    history_topic : str
        What the model was trained on.
    """

    directory: Path
    config: Path
    broker: Path
    logs: tuple[Path, ...]
    history_topic: str


def show_next_steps(settings: Settings, url: str, place: Place, screen: Screen) -> None:
    """Show what can be done with the demonstration that stays up."""
    servers, topics = settings.kafka.bootstrap_servers, ", ".join(settings.source.topics or ())
    tidemark, config = tidemark_command(), shlex.quote(str(place.config))
    consumer = CONSUMER.format(servers=servers, topic=settings.alerts.topic)
    kcat = f"kcat -C -b {servers} -t {settings.alerts.topic} -o beginning -X isolation.level=read_committed"
    screen.heading("What to look at next")
    screen.line(f"Kafka on {servers}")
    outputs = f"{settings.alerts.topic}, {settings.dead_letter.topic}, {settings.alerts.commits_topic}"
    screen.line(f"topics: {place.history_topic}, {topics} -> {outputs}")
    screen.gap()
    screen.copy("metrics", f"curl -s {url}/metrics | grep ^tidemark_")
    screen.copy("whether it is ready", f"curl -s {url}/readyz")
    screen.copy("alerts, with kcat", f"{kcat} -f '%k %s\\n'")
    screen.copy("alerts, with Python", f"{shlex.quote(sys.executable)} -c {shlex.quote(consumer)}")
    screen.copy("the settings it runs with", f"{tidemark} config check --config {config}")
    again = f"{tidemark} train --config {config} --set source.topics={shlex.quote(f'[{place.history_topic}]')}"
    screen.copy("training again: the same history gives the same model, under the same name", again)
    more = f"{tidemark} simulate --config {config} --stations 2"
    screen.copy("two more stations with faults, all of whose sensors are new", more)
    screen.copy("logs", f"tail -n 20 {' '.join(shlex.quote(str(path)) for path in place.logs)}")
    screen.gap()
    screen.line(STAYS)


def show_kept(settings: Settings, place: Place, screen: Screen) -> None:
    """Show what is left, and how to go on with it."""
    port = settings.kafka.bootstrap_servers.rpartition(":")[2]
    tidemark = tidemark_command()
    screen.gap()
    screen.copy("model, checkpoint, logs, settings and the broker's data are kept in", str(place.directory))
    screen.copy("its Kafka", f"{tidemark} broker --dir {shlex.quote(str(place.broker))} --port {port}")
    screen.copy("the application, in another terminal", f"{tidemark} run --config {shlex.quote(str(place.config))}")


def tidemark_command() -> str:
    """Return what to type for ``tidemark``: its path where the shell would not find this one."""
    own = Path(sys.executable).with_name("tidemark")
    found = shutil.which("tidemark")
    if found is not None and Path(found) == own:
        return "tidemark"
    return shlex.quote(str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own))
