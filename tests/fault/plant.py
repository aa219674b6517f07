"""The plant of the fault tests: a history and its model, then one stretch of live records after another, with faults.

Not here: what is done to the process meanwhile (``kills``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from models.artifact import population_to_bytes, shard_to_bytes
from models.registry import Registry
from tests.e2e.deployment import SENSORS, Deployment

ASSETS = ("pump-1", "pump-2", "kiln", "mill")
KEYS = tuple(f"{asset}/{sensor}" for asset in ASSETS for sensor in SENSORS)
HISTORY = 2_400  # seconds
WARM_UP = 60  # seconds of live records before the first stretch
STRETCH = 60  # seconds: a fault, and what closes its first windows
FAULT = range(10, 40)  # seconds of a stretch
SHIFT = 40.0  # standard deviations of the sensors' noise
CLOSING = 120  # seconds after the last stretch, in which the last incidents are resolved

POISON = b"no record: "

Event = tuple[str, str, str, str]  # asset, sensor, opened or resolved, start of the window


@dataclass(frozen=True)
class Model:
    """A model of the plant, which runs on any broker can use.

    Attributes
    ----------
    registry : Path
    version : str
    seed : int
        Of all that is random in training.
    """

    registry: Path
    version: str
    seed: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """What a run needs to use it."""
        settings = (
            f"model.registry={self.registry}",
            f"model.version={self.version}",
            f"model.seed={self.seed}",
        )
        return tuple(part for setting in settings for part in ("--set", setting))

    def twin(self) -> Model:
        """Publish what says the same and is another model, under another setting, to markers and checkpoints."""
        registry, seed = Registry(self.registry), self.seed + 1
        manifest = registry.manifest(self.version)
        loaded = ((bucket, registry.load_shard(self.version, bucket)) for bucket in manifest.shards)
        shards = [(bucket, shard_to_bytes(shard, manifest.profile)) for bucket, shard in loaded if shard]
        population = registry.load_population(self.version)
        other = replace(manifest, training={**manifest.training, "seed": seed})
        version = registry.publish(other, shards, population_to_bytes(population) if population else None)
        return Model(self.registry, version, seed)


def train(directory: Path, servers: str) -> Model:
    """Return a model from a directory; the first call for it writes a history and trains."""
    registry = directory / "registry"
    if not (versions := Registry(registry).versions()):
        history = Deployment.with_topics(directory, servers, "history")
        history.produce(range(HISTORY), assets=ASSETS)
        versions = [history.train()["version"]]
    return Model(registry, versions[0])


def produce_warm_up(deployment: Deployment) -> None:
    """Write what comes before the first stretch."""
    deployment.produce(range(HISTORY, HISTORY + WARM_UP), assets=ASSETS)


def produce_stretch(deployment: Deployment, number: int) -> None:
    """Write a stretch of live records."""
    first = _first(number)
    deployment.produce(range(first, first + STRETCH), assets=ASSETS, fault=_fault)


def produce_closing(deployment: Deployment, stretches: int) -> None:
    """Write what resolves all that is open after so many stretches."""
    first = _first(stretches)
    deployment.produce(range(first, first + CLOSING), assets=ASSETS)


def produce_part(deployment: Deployment, number: int, part: int, parts: int) -> None:
    """Write one of so many equal parts of a stretch."""
    first = _first(number) + part * STRETCH // parts
    deployment.produce(range(first, first + STRETCH // parts), assets=ASSETS, fault=_fault)


def produce_poison(deployment: Deployment, number: int) -> None:
    """Write what cannot be read, before a stretch."""
    deployment.write(POISON + b"%d" % number)


def faulty(number: int) -> str:
    """Return the asset/sensor that a stretch has a fault of."""
    return KEYS[number % len(KEYS)]


def event(alert: Mapping[str, Any]) -> Event:
    """Return what an alert says, without what differs between two deployments."""
    return alert["asset_id"], alert["sensor_id"], alert["event"], alert["window"]["start"]


def opens(alert: Mapping[str, Any], number: int) -> bool:
    """Tell whether an alert opens the incident of a stretch's fault."""
    return alert["event"] == "opened" and f"{alert['asset_id']}/{alert['sensor_id']}" == faulty(number)


def place(letter: Message) -> tuple[bytes, ...]:
    """Return topic, partition and offset of the record that a dead letter holds."""
    return tuple(value or b"" for name, value in letter.headers() or [] if name in ("topic", "partition", "offset"))


def _first(number: int) -> int:
    return HISTORY + WARM_UP + number * STRETCH


def _fault(key: str, second: int) -> float:
    number, within = divmod(second - HISTORY - WARM_UP, STRETCH)
    return SHIFT if within in FAULT and key == faulty(number) else 0.0
