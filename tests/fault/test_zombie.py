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
from tests.e2e.deployment import DEADLINE, Run
from tests.e2e.test_main_job import HISTORY, deployment, severe_opening
from tests.fault.kills import java_of, wait_until

FAULTS = {"flow": 100, "pressure": 300, "temperature": 500}  # level shifts of 40 s, seconds after the history


def fault(key: str, second: int) -> float:
    start = HISTORY + FAULTS[key.removeprefix("pump-1/")]
    return 40.0 if start <= second < start + 40 else 0.0


def send(run: Run, number: signal.Signals) -> None:
    for process in (run.process.pid, java_of(run.process.pid)):
        os.kill(process, number)


def ends_fenced(run: Run) -> None:
    send(run, signal.SIGCONT)
    assert run.process.wait(DEADLINE) == FencedError.exit_code, run.log()


@pytest.mark.timeout(400)
def test_who_wakes_up_after_another_took_over_ends_with_64_and_publishes_nothing(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    plant = deployment(tmp_path, broker, "zombie")
    plant.produce(range(HISTORY))
    plant.train()
    (tmp_path / "held").mkdir()
    held = {failpoints.ENVIRONMENT: f"alerts produced:{tmp_path / 'held'}"}
    with plant.running() as first:
        plant.produce(range(HISTORY, HISTORY + 200), fault=fault)
        plant.read(plant.alerts, severe_opening("flow"))
        send(first, signal.SIGSTOP)  # between two batches, or anywhere in one
        with plant.running("--take-over", environment=held) as second:
            plant.produce(range(HISTORY + 200, HISTORY + 400), fault=fault)
            plant.read(plant.alerts, severe_opening("pressure"))
            ends_fenced(first)
            (tmp_path / "held" / failpoints.ARMED).touch()
            plant.produce(range(HISTORY + 400, HISTORY + 600), fault=fault)
            wait_until((tmp_path / "held" / failpoints.REACHED).exists, second)
            send(second, signal.SIGSTOP)  # with its alerts in a transaction that is open
            with plant.running("--take-over") as third:
                plant.read(plant.alerts, severe_opening("temperature"))
                (tmp_path / "held" / failpoints.RESUME).touch()
                ends_fenced(second)
                plant.produce(range(HISTORY + 600, HISTORY + 1_000))  # long enough for the lags to forget the faults
                third.wait_for_metric("tidemark_windows_scored_total", 3 * 40)
                assert third.stop() == 0, third.log()
    alerts = plant.alert_values(plant.read_all(plant.alerts))
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    events = Counter((alert["incident_id"], alert["event"]) for alert in alerts)
    assert set(events.values()) == {1}
    assert {incident for incident, event in events if event == "resolved"} == {incident for incident, _ in events}
