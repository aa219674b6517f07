"""A process that stood still while another one took over its deployment.

Not here: processes that are killed (``test_kills``), the protocol at every other moment
(``tests/unit/kafka_edge/test_exactly_once.py``).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from detector import failpoints
from detector.errors import FencedError
from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import DEADLINE, Deployment, Run
from tests.fault import plant
from tests.fault.kills import java_of, wait_until
from tests.fault.reader import Reader


def send(run: Run, number: signal.Signals) -> None:
    for process in (run.process.pid, java_of(run.process.pid)):
        os.kill(process, number)


def ends_fenced(run: Run) -> None:
    send(run, signal.SIGCONT)
    assert run.process.wait(DEADLINE) == FencedError.exit_code, run.log()


def opens(deployment: Deployment, reader: Reader, run: Run, number: int) -> None:
    """Write a stretch and wait until its fault is announced."""
    plant.produce_stretch(deployment, number)
    reader.wait_for(run, lambda alert: plant.opens(alert, number))


@pytest.mark.timeout(400)
def test_who_wakes_up_after_another_took_over_ends_with_64_and_publishes_nothing(
    tmp_path: Path, broker: EmbeddedBroker, model: plant.Model
) -> None:
    deployment = Deployment.with_topics(tmp_path, broker.bootstrap_servers, "zombie")
    plant.produce_warm_up(deployment)
    held = {failpoints.ENVIRONMENT: f"alerts produced:{tmp_path}"}
    with (
        Reader(deployment) as reader,
        deployment.running(*model.options) as first,
    ):
        opens(deployment, reader, first, 0)
        send(first, signal.SIGSTOP)  # between two batches, or anywhere in one
        with deployment.running(*model.options, "--take-over", environment=held) as second:
            opens(deployment, reader, second, 1)
            ends_fenced(first)
            (tmp_path / failpoints.ARMED).touch()
            plant.produce_stretch(deployment, 2)
            wait_until((tmp_path / failpoints.REACHED).exists, second)
            send(second, signal.SIGSTOP)  # with its alerts in a transaction that is open
            with deployment.running(*model.options, "--take-over") as third:
                reader.wait_for(third, lambda alert: plant.opens(alert, 2))
                (tmp_path / failpoints.RESUME).touch()
                ends_fenced(second)
                opens(deployment, reader, third, 3)
                assert third.stop() == 0, third.log()
        during = [alert for _, alert in reader.alerts]
    after = deployment.alert_values(deployment.read_all(deployment.alerts))
    assert set(Counter((alert["incident_id"], alert["event"]) for alert in after).values()) == {1}
    assert {alert["alert_id"] for alert in during} <= {alert["alert_id"] for alert in after}
    assert len({alert["alert_id"] for alert in during}) == len(during)
