"""One deployment of Tidemark for one part: settings file, topics, training by the command line.

All parts run under the defaults; what a part sets beside names and places is printed with its figures.

Not here: running the main job (``running``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka.admin import AdminClient

from detector.errors import DetectorError
from detector.kafka.connection import KafkaConnection

TRAIN_SECONDS: Final = 900.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Attributes
    ----------
    servers : str
        The broker that the bench has started.
    directory : Path
        Checkpoints, registries, logs; removed at the end.
    quick : bool
        Small counts, to see that everything works.
    peers : Path or None
        Folder of the peers' programs, None to leave them out.
    say : callable
        Told what is being done.
    """

    servers: str
    directory: Path
    quick: bool
    peers: Path | None
    say: Say


@dataclass(frozen=True)
class Deployment:
    """A name, the settings that differ from the defaults, and where things are.

    Attributes
    ----------
    bench : Bench
    name : str
        Begins the names of its topics.
    changed : mapping of str to Any
        Settings by their path, beside names and places.
    """

    bench: Bench
    name: str
    changed: Mapping[str, Any]

    @property
    def directory(self) -> Path:
        """Where everything of it is."""
        return self.bench.directory / self.name

    @property
    def registry(self) -> Path:
        """Its models."""
        return self.directory / "registry"

    @property
    def checkpoint(self) -> Path:
        """Its checkpoint."""
        return self.directory / "checkpoint"

    @property
    def alerts(self) -> str:
        """Topic of its alerts."""
        return f"{self.name}-alerts"

    def settings(self, topic: str) -> Path:
        """Write the settings for reading a topic, and return the file."""
        places = {
            "app.name": f"bench-{self.name}",
            "kafka.bootstrap_servers": self.bench.servers,
            "source.topics": [topic],
            "model.registry": str(self.registry),
            "state.checkpoint": str(self.checkpoint),
            "alerts.topic": self.alerts,
            "dead_letter.topic": f"{self.name}-dead-letters",
            "http.port": 0,
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{topic}.yaml"
        path.write_text(yaml.safe_dump(nested({**places, **self.changed})))
        return path

    def train(self, topic: str) -> dict[str, Any]:
        """Train on a whole topic with ``tidemark train``; return what it reports.

        Raises
        ------
        DetectorError
            If it fails; the message carries what it said.
        """
        tidemark = Path(sys.executable).with_name("tidemark")
        command = [str(tidemark), "train", "--json", "--config", str(self.settings(topic))]
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            command, capture_output=True, text=True, timeout=TRAIN_SECONDS, check=False
        )
        if done.returncode != 0:
            raise DetectorError(f"training for {self.name} failed with code {done.returncode}:\n{done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    def changed_text(self) -> str:
        """Say which settings differ from the defaults."""
        return ", ".join(f"`{name}={value}`" for name, value in self.changed.items()) or "none"


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"a.b": 1}`` into ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *sections, name = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return tree


def delete_topics(servers: str, *topics: str) -> None:
    """Delete topics that are no longer needed, to free the disk."""
    admin = AdminClient(KafkaConnection(servers).librdkafka())  # its answers come only while it lives
    for future in admin.delete_topics(list(topics)).values():
        future.result()


def bytes_below(directory: Path) -> int:
    """Return the size of all files below a directory; files that go meanwhile count nothing."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
