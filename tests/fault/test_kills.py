"""The process is killed at every step of a micro-batch; each alert comes once all the same.

The oracle is a run over the same records that nobody disturbs. Alerts are read while the faults happen, and again
afterwards. Some seeds are tried at a time: each has a process, a checkpoint and topics of its own on the one broker.

``SEEDS`` in the environment says how many seeds are tried, ``FIRST_SEED`` which is the first, ``AT_ONCE`` how many at a
time.

Not here: the protocol under every schedule of faults (``tests/unit/kafka_edge/test_exactly_once.py``).
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from detector.errors import DetectorError
from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import Deployment
from tests.fault import plant
from tests.fault.kills import POINTS, Kill, kills
from tests.fault.outcome import Outcome, table
from tests.fault.plant import Event, Model
from tests.fault.reader import Reader

FIRST_SEED = int(os.environ.get("FIRST_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("SEEDS", "1")))
AT_ONCE = int(os.environ.get("AT_ONCE", "2"))
# Those that are tried at a time share two cores, as CI has them.
SHARE = ("--set", f"spark.master=local[{max(1, 2 // AT_ONCE)},4]")
STRETCHES = 2 * len(POINTS)  # one while the process is down, one in which it is killed
FINISHED_FIRST = "a published batch is finished by its own judge first"


@dataclass(frozen=True)
class Trials:
    """What all seeds share.

    Attributes
    ----------
    directory : Path
        For what they leave behind.
    servers : str
        The broker.
    models : tuple of Model
        The second is promoted after the kill before Spark's commit. They say the same.
    expected : Future of Counter of Event
        What a run says that nobody disturbs.
    """

    directory: Path
    servers: str
    models: tuple[Model, Model]
    expected: Future[Counter[Event]]

    def outcome(self, seed: int) -> Outcome:
        """Do all the kills of a seed; keep files and topics only where something was lost or came twice."""
        began = time.monotonic()
        directory = self.directory / f"seed-{seed}"
        directory.mkdir()
        deployment = Deployment.with_topics(directory / "deployment", self.servers, f"killed-{seed}")
        plant.produce_warm_up(deployment)
        with Reader(deployment) as reader:
            last, first_alerts = self._kill_all(deployment, reader, kills(seed, directory))
            during = Counter(plant.event(alert) for _, alert in reader.alerts)
        assert FINISHED_FIRST in (deployment.directory / "run.log").read_text()
        alerts = deployment.alert_values(deployment.read_all(deployment.alerts))
        assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
        assert_dead_letters(deployment, last)
        after, expected = Counter(map(plant.event, alerts)), self.expected.result()
        found = Outcome(seed, expected, during, after, first_alerts, time.monotonic() - began)
        if not found.lost and not found.duplicated:
            deployment.delete_topics()
            shutil.rmtree(directory)
        return found

    def _kill_all(self, deployment: Deployment, reader: Reader, planned: list[Kill]) -> tuple[Model, list[float]]:
        """Return the last model, and the seconds from each start after a kill to its first alert."""
        model, first_alerts = self.models[0], []
        adopting: tuple[str, ...] = ()
        for number, kill in enumerate(planned):
            first_alert, log = _start_and_kill(deployment, (*model.options, *adopting), reader, number, kill)
            assert not adopting or "adopting" in log
            first_alerts += [first_alert] if number else []  # the first start is no restart
            if kill.point.freeze_jvm:  # published, not finished by Spark: and now another model is promoted
                model = self.models[1]
            adopting = ()
            if kill.loses_checkpoint:
                shutil.rmtree(deployment.directory / "checkpoint")
                adopting = ("--adopt", "--take-over")
        with deployment.running(*SHARE, *model.options, *adopting) as run:
            plant.produce_closing(deployment, STRETCHES)
            reader.wait_for_count(self.expected.result().total())
            assert run.stop() == 0, run.log()
        return model, first_alerts


def undisturbed(directory: Path, servers: str, model: Model) -> Counter[Event]:
    """Return what a run that nobody disturbs says of all stretches."""
    deployment = Deployment.with_topics(directory, servers, "undisturbed")
    plant.produce_warm_up(deployment)
    with Reader(deployment) as reader, deployment.running(*model.options) as run:
        for number in range(STRETCHES):
            plant.produce_stretch(deployment, number)
        plant.produce_closing(deployment, STRETCHES)
        reader.wait_for(run, lambda alert: plant.opens(alert, STRETCHES - 1))
        reader.wait_for_count(2 * STRETCHES)
        assert run.stop() == 0, run.log()
        events = Counter(plant.event(alert) for _, alert in reader.alerts)
    opened = {f"{asset}/{sensor}" for asset, sensor, what, _ in events if what == "opened"}
    assert {plant.faulty(number) for number in range(STRETCHES)} <= opened
    return events


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker, model: Model
) -> Iterator[Mapping[int, Future[Outcome]]]:
    """Try all seeds, some at a time; say in the end what came of all that were tried to their end."""
    directory, servers = tmp_path_factory.mktemp("kills"), broker.bootstrap_servers
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(AT_ONCE) as pool:
        expected = beside.submit(undisturbed, directory / "undisturbed", servers, model)
        trials = Trials(directory, servers, (model, model.twin()), expected)
        found = {seed: pool.submit(trials.outcome, seed) for seed in SEEDS}
        yield found
        pool.shutdown(cancel_futures=True)  # those that wait, where the tests end before they are tried
    done = [each for each in found.values() if not each.cancelled() and each.exception() is None]
    print(table([each.result() for each in done]) if done else "")  # noqa: T201 - the table of docs/guarantees.md


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_every_step_each_alert_comes_once(seed: int, outcomes: Mapping[int, Future[Outcome]]) -> None:
    outcome = outcomes[seed].result()
    print(outcome)  # noqa: T201 - the long loop goes on for hours
    assert outcome.during == outcome.expected
    assert outcome.after == outcome.expected


def assert_dead_letters(deployment: Deployment, model: Model) -> None:
    """Every record that cannot be read has a dead letter, and the audit finds no record unaccounted."""
    letters = {plant.place(message) for message in deployment.read_all(deployment.dead)}
    poison = {
        tuple(str(part).encode() for part in (message.topic(), message.partition(), message.offset()))
        for message in deployment.read_all(deployment.sensors)
        if (message.value() or b"").startswith(plant.POISON)
    }
    assert len(poison) == STRETCHES
    assert poison == letters
    audit = deployment.call("audit", "--json", *model.options)
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
    with deployment.running(*SHARE, *options, environment=kill.environment) as run:
        came = reader.wait_for(run, lambda alert: plant.opens(alert, 2 * number), since=before)
        kill.arm()
        plant.produce_poison(deployment, 2 * number + 1)
        plant.produce_stretch(deployment, 2 * number + 1)
        kill.strike(run)
        if kill.target == "JVM":
            assert run.process.returncode == DetectorError.exit_code
            assert "Spark's JVM ended by signal 9" in run.log()
            assert "Traceback" not in run.log()
        return came - began, run.log()
