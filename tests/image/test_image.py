"""The image at work, as deploy/compose.yaml has it: a plant's past, a model of it, the live plant, alerts, a restart.

Every container is read-only, has no capabilities and no network but that of the broker. The tests are one story and
run in their order.

Not here: what alerts say and when (``tests/e2e``): here it is enough that they come.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.image.conftest import CONSUMER, PROBE, PROCESS
from tests.image.stack import Stack

pytestmark = pytest.mark.timeout(240)

FAST = ("--speed", "60", "--for", "4h")  # a window a second, for four minutes


@pytest.fixture(scope="module")
def plant(stack: Stack) -> Stack:
    """A broker, the plant's past, and a model of it."""
    stack.start("kafka")
    stack.wait_until("kafka", "healthy", lambda: stack.healthy("kafka"))
    stack.run("history")
    stack.run("train")
    return stack


@pytest.fixture(scope="module")
def live(plant: Stack) -> Stack:
    """The detector, and then the live plant."""
    run(plant)
    plant.start("simulator", *FAST)
    return plant


def run(stack: Stack) -> None:
    stack.start("tidemark")
    served(stack)


def served(stack: Stack, *past: str) -> dict[str, Any]:
    """Return what the detector serves, once it is ready and past a batch."""
    return dict(json.loads(stack.python("tidemark", PROBE, *past)))


def events(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [event for event in stack.events("tidemark") if event["event"] == name]


def test_without_settings_the_container_ends_with_the_code_of_a_wrong_setting_and_names_it(stack: Stack) -> None:
    code, said = stack.fail()
    assert code == 78
    assert "source.topics" in said


def test_a_fault_of_the_plant_becomes_an_alert(live: Stack) -> None:
    *_, alert = [json.loads(line) for line in live.python("tidemark", CONSUMER).splitlines()]
    assert alert["event"] == "opened"
    assert alert["score"] >= alert["threshold"]


def test_the_service_is_healthy_ready_and_measured(live: Stack) -> None:
    seen = served(live)
    assert (seen["livez"], seen["readyz"]) == (200, 200)
    assert live.healthy("tidemark")
    assert seen["metrics"]["tidemark_windows_scored_total"] > 0
    assert seen["metrics"]["tidemark_alerts_published_total"] > 0
    assert seen["metrics"]["tidemark_records_rejected_total"] == 0


def test_the_process_has_no_rights_that_it_does_not_need(live: Stack) -> None:
    home = "/var/lib/tidemark"
    kept = f"{home}/checkpoint"
    seen = json.loads(live.python("tidemark", PROCESS, "/", "/opt/tidemark", home, f"{home}/models-registry", kept))
    assert seen == {"uid": 185, "capabilities": 0, "no_new_privileges": 1, "writable": [kept]}


def test_a_stopped_container_has_drained_and_the_next_one_goes_on_from_its_checkpoint(live: Stack) -> None:
    before = served(live)["metrics"]["tidemark_last_committed_batch_id"]
    assert live.stop("tidemark") == 0
    run(live)
    served(live, str(before))
    (owner,) = events(live, "owner")
    assert owner["published_batch"] >= 0  # left out where nothing was published
    assert live.stop("tidemark") == 0
    ids = [json.loads(line)["alert_id"] for line in live.python("kafka", CONSUMER, "end").splitlines()]
    assert len(set(ids)) == len(ids) > 0
