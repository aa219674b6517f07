"""The process is killed at every step of a micro-batch; each alert comes once all the same.

The oracle is a run over the same records that nobody disturbs. Alerts are read while the faults happen, and again
afterwards.

Not here: the protocol under every schedule of faults (``tests/unit/kafka_edge/test_exactly_once.py``).
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from detector.errors import DetectorError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from tests.e2e.deployment import Deployment
from tests.fault import plant
from tests.fault.kills import POINTS, Kill, kills
from tests.fault.plant import Event
from tests.fault.reader import Reader

STRETCHES = 2 * len(POINTS)  # one while the process is down, one in which it is killed
ALERT_PARTITIONS = 2
SEEDS_OF_MODELS = (0, 1)
FINISHED_FIRST = "a published batch is finished by its own judge first"


@dataclass
class Outcome:
    """What came of the kills of all seeds."""

    expected: int = 0
    lost: int = 0
    duplicated: int = 0
    restarts: int = 0
    first_alert: list[float] = field(default_factory=list)

    def add(self, expected: Counter[Event], *seen: Counter[Event]) -> None:
        """Count one seed, by what several readers have seen."""
        self.restarts += len(POINTS)
        self.expected += sum(expected.values())
        self.lost += max(sum((expected - each).values()) for each in seen)
        self.duplicated += max(sum((each - expected).values()) for each in seen)

    def __str__(self) -> str:
        """Return the row of the table in docs/guarantees.md."""
        median, worst = statistics.median(self.first_alert), max(self.first_alert)
        cells = (self.restarts, self.expected, self.lost, self.duplicated, f"{median:.1f} s", f"{worst:.1f} s")
        return (
            "| restarts | alerts expected | lost | duplicated | first alert, median | worst |\n"
            "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
            f"| {' | '.join(map(str, cells))} |"
        )


def new_deployment(directory: Path, broker: EmbeddedBroker, name: str) -> Deployment:
    deployment = Deployment(directory, broker.bootstrap_servers, name)
    preflight = Preflight(KafkaConnection(broker.bootstrap_servers))
    assert preflight.ensure(deployment.sensors, 2, 1, {})
    assert preflight.ensure(deployment.alerts, ALERT_PARTITIONS, 1, {})
    return deployment


@dataclass(frozen=True)
class Reference:
    """The models of all runs, what a run that nobody disturbs says of all stretches, and what came of the others.

    The two models differ in the seed of the population's model, which judges no sensor here: they say the same, but are
    two models under two settings to the marker and the checkpoint.
    """

    registry: Path
    versions: tuple[str, str]
    expected: Counter[Event]
    outcome: Outcome

    def options(self, judge: int = 0) -> tuple[str, ...]:
        """What a run needs to use one of the models."""
        settings = (
            f"model.registry={self.registry}",
            f"model.version={self.versions[judge]}",
            f"model.seed={SEEDS_OF_MODELS[judge]}",
        )
        return tuple(part for setting in settings for part in ("--set", setting))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker) -> Reference:
    directory = tmp_path_factory.mktemp("reference")
    history = new_deployment(directory / "history", broker, "history")
    plant.produce_history(history)
    first, second = (history.train("--set", f"model.seed={each}")["version"] for each in SEEDS_OF_MODELS)
    found = Reference(history.directory / "registry", (first, second), Counter(), Outcome())
    calm = new_deployment(directory / "calm", broker, "calm")
    plant.produce_warm_up(calm)
    with Reader(calm.servers, calm.alerts, ALERT_PARTITIONS) as reader, calm.running(*found.options()) as run:
        for number in range(STRETCHES):
            plant.produce_stretch(calm, number)
        plant.produce_closing(calm, STRETCHES)
        reader.wait_for(lambda alert: plant.opens(alert, STRETCHES - 1))
        reader.wait_for_count(2 * STRETCHES)
        assert run.stop() == 0, run.log()
        found.expected.update(plant.event(alert) for _, alert in reader.alerts)
    opened = {f"{asset}/{sensor}" for asset, sensor, what, _ in found.expected if what == "opened"}
    assert {plant.faulty(number) for number in range(STRETCHES)} <= opened
    return found


@pytest.mark.timeout(900)
def test_killed_at_every_step_each_alert_comes_once(
    seed: int, tmp_path: Path, broker: EmbeddedBroker, reference: Reference
) -> None:
    expected, outcome = reference.expected, reference.outcome
    deployment = new_deployment(tmp_path / "killed", broker, f"killed-{seed}")
    plant.produce_warm_up(deployment)
    with Reader(deployment.servers, deployment.alerts, ALERT_PARTITIONS) as reader:
        judge, finished_first = 0, 0
        adopting: tuple[str, ...] = ()
        for number, kill in enumerate(kills(seed, tmp_path)):
            options = (*reference.options(judge), *adopting)
            first_alert, log = _start_and_kill(deployment, options, reader, number, kill)
            assert not adopting or "adopting" in log
            outcome.first_alert += [first_alert] if number else []  # the first start is no restart
            finished_first += FINISHED_FIRST in log
            if kill.point.freeze_jvm:  # published, not finished by Spark: and now another model is promoted
                judge = 1
            adopting = ()
            if kill.loses_checkpoint:
                shutil.rmtree(deployment.directory / "checkpoint")
                adopting = ("--adopt", "--take-over")
        with deployment.running(*reference.options(judge), *adopting) as run:
            plant.produce_closing(deployment, STRETCHES)
            reader.wait_for_count(sum(expected.values()))
            assert run.stop() == 0, run.log()
            assert finished_first + (FINISHED_FIRST in run.log()) >= 1
        during = Counter(plant.event(alert) for _, alert in reader.alerts)
    after = deployment.alert_values(deployment.read_all(deployment.alerts))
    assert_dead_letters(deployment, reference.options(judge))
    outcome.add(expected, during, Counter(map(plant.event, after)))
    print(outcome)  # noqa: T201 - the table of docs/guarantees.md
    assert during == expected
    assert Counter(map(plant.event, after)) == expected
    assert len({alert["alert_id"] for alert in after}) == len(after)


def assert_dead_letters(deployment: Deployment, options: tuple[str, ...]) -> None:
    """Every record that cannot be read has a dead letter, and the audit finds no record unaccounted."""
    letters = {plant.place(message) for message in deployment.read_all(deployment.dead)}
    poison = {
        tuple(str(part).encode() for part in (message.topic(), message.partition(), message.offset()))
        for message in deployment.read_all(deployment.sensors)
        if (message.value() or b"").startswith(plant.POISON)
    }
    assert len(poison) == STRETCHES
    assert poison == letters
    audit = deployment.call("audit", "--json", *options)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def _start_and_kill(
    deployment: Deployment, options: tuple[str, ...], reader: Reader, number: int, kill: Kill
) -> tuple[float, str]:
    """Start on records that came meanwhile, and kill the process in a batch that publishes.

    Return the seconds from the start to the first alert, and what the process logged.
    """
    before = len(reader.alerts)
    plant.produce_poison(deployment, 2 * number)
    plant.produce_stretch(deployment, 2 * number)
    began = time.monotonic()
    with deployment.running(*options, environment=kill.environment) as run:
        came = reader.wait_for(lambda alert: plant.opens(alert, 2 * number), since=before)
        kill.arm()
        plant.produce_poison(deployment, 2 * number + 1)
        plant.produce_stretch(deployment, 2 * number + 1)
        kill.strike(run)
        if kill.target == "JVM":
            assert run.process.returncode == DetectorError.exit_code
            assert "Spark's JVM ended by signal 9" in run.log()
            assert "Traceback" not in run.log()
        return came - began, run.log()
