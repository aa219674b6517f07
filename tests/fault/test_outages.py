"""Kafka is killed, and stands still, under a running application: it stays alive, says so, and goes on by itself.

Not here: one bad connection (``tests/integration/test_lost_replies.py``), kills of the application (``test_kills``).
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from detector import failpoints
from detector.app.checkpoint import Checkpoint
from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import DEADLINE, EPOCH, Deployment, Run
from tests.fault import plant
from tests.fault.kills import wait_until
from tests.fault.reader import Reader

FROZEN_SECONDS = float(os.environ.get("FROZEN_SECONDS", "12"))
AWAY_WITHIN = 12.0  # seconds until an outage is known: two questions without an answer, on a busy machine
READY_WITHIN = 10.0  # seconds from the first answer
STOPPED_WITHIN = 25.0  # seconds from SIGTERM; containers get 30 s
STRETCHES = 3  # before the broker is killed, after that, and after it stood still
LAST = 11  # the stretch after 480 s of quiet, in which those are resolved: a model remembers a fault for 320 s


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    """A broker that nobody else needs."""
    with EmbeddedBroker() as running:
        yield running


def status(run: Run, path: str) -> tuple[int, str]:
    """Ask a probe of the run: HTTP status and what it says."""
    try:
        with urllib.request.urlopen(f"{run.url()}{path}", timeout=DEADLINE) as answer:  # noqa: S310 - our own server
            return answer.status, json.loads(answer.read())["reason"]
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())["reason"]


def wait_for_readiness(run: Run, wanted: int, limit: float) -> str:
    """Wait until readiness is as wanted, alive all the time; return what it says."""
    deadline = time.monotonic() + limit
    while True:
        assert run.process.poll() is None, run.log()
        assert status(run, "/livez")[0] == 200
        code, reason = status(run, "/readyz")
        if code == wanted:
            return reason
        assert time.monotonic() < deadline, (reason, run.log())
        time.sleep(0.1)


def assert_away(run: Run, servers: str) -> None:
    reason = wait_for_readiness(run, 503, AWAY_WITHIN)
    assert reason.startswith(f"Kafka at {servers} does not answer since "), reason
    assert run.metrics()["tidemark_kafka_reachable"] == 0


def assert_back(run: Run) -> None:
    began = time.monotonic()
    wait_for_readiness(run, 200, READY_WITHIN)
    print(f"ready {time.monotonic() - began:.1f} s after Kafka was back")  # noqa: T201 - a figure of docs/guarantees.md
    assert run.metrics()["tidemark_kafka_reachable"] == 1


@pytest.mark.timeout(400)
def test_an_outage_of_kafka_is_survived_alive_and_a_stop_in_a_batch_loses_nothing(
    tmp_path: Path, own_broker: EmbeddedBroker, model: plant.Model
) -> None:
    deployment = Deployment.with_topics(tmp_path, own_broker.bootstrap_servers, "outage")
    environment = {failpoints.ENVIRONMENT: f"alerts produced:{tmp_path}"}
    quiet = (*model.options, "--set", "alerts.marker_interval=1h")  # the batch that is held is one with alerts
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    with Reader(deployment) as reader, deployment.running(*quiet, environment=environment) as run:
        plant.produce_warm_up(deployment)
        plant.produce_stretch(deployment, 0)
        incident(reader, run, 0)
        wait_for_readiness(run, 200, DEADLINE)

        own_broker.kill()
        assert_away(run, own_broker.bootstrap_servers)
        own_broker.start()
        assert_back(run)
        plant.produce_stretch(deployment, 1)
        incident(reader, run, 1)

        began = time.monotonic()
        os.kill(own_broker.pids[1], signal.SIGSTOP)
        assert_away(run, own_broker.bootstrap_servers)
        time.sleep(max(0.0, began + FROZEN_SECONDS - time.monotonic()))  # the fault itself
        assert status(run, "/readyz")[0] == 503
        os.kill(own_broker.pids[1], signal.SIGCONT)
        assert_back(run)
        plant.produce_stretch(deployment, 2)
        for number in range(STRETCHES, LAST, plant.CLOSING // plant.STRETCH):
            plant.produce_closing(deployment, number)
        for number in range(STRETCHES):
            wait_for_resolution(reader, run, incident(reader, run, number))

        (tmp_path / failpoints.ARMED).touch()
        plant.produce_stretch(deployment, LAST)
        wait_until((tmp_path / failpoints.REACHED).exists, run)
        held, before = checkpoint.last_batch(), len(deployment.read_all(deployment.alerts))
        stopped = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        run.wait_for_log("stopping at the next batch boundary")
        (tmp_path / failpoints.RESUME).touch()
        assert run.process.wait(DEADLINE) == 0, run.log()
        assert time.monotonic() - stopped < STOPPED_WITHIN
        assert "Traceback" not in run.log()
        after = deployment.alert_values(deployment.read_all(deployment.alerts))
        assert len(after) > before, run.log()  # those of the batch that was held
        reader.wait_for_count(len(after))
    for alerts in (after, [alert for _, alert in reader.alerts]):
        assert set(Counter((alert["incident_id"], alert["event"]) for alert in alerts).values()) == {1}
    assert checkpoint.last_committed() >= held, run.log()


def incident(reader: Reader, run: Run, number: int) -> str:
    """Wait for the incident that the fault of a stretch opens."""
    first = plant.HISTORY + plant.WARM_UP + number * plant.STRETCH

    def is_wanted(alert: dict[str, Any]) -> bool:
        second = datetime.fromisoformat(alert["window"]["start"]).timestamp() - EPOCH
        return plant.opens(alert, number) and first <= second < first + plant.STRETCH

    reader.wait_for(run, is_wanted)
    return next(str(alert["incident_id"]) for _, alert in reader.alerts if is_wanted(alert))


def wait_for_resolution(reader: Reader, run: Run, opened: str) -> None:
    """Wait for the other alert of an incident."""
    reader.wait_for(run, lambda alert: (alert["incident_id"], alert["event"]) == (opened, "resolved"))
