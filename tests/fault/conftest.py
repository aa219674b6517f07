"""Kills and broken surroundings take minutes: a run of all tests leaves this folder out, two targets of make name it.

``SEEDS`` in the environment says how many seeds are tried, ``FIRST_SEED`` which is the first.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.preflight import Preflight
from tests.e2e.deployment import Deployment
from tests.fault import plant

HERE = Path(__file__).parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    named = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = int(os.environ.get("FIRST_SEED", "0"))
        metafunc.parametrize("seed", range(first, first + int(os.environ.get("SEEDS", "1"))))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker) -> tuple[str, ...]:
    """Train once; return the options that a run needs to use the model, on whichever broker."""
    history = Deployment(tmp_path_factory.mktemp("history"), broker.bootstrap_servers, "model")
    assert Preflight(KafkaConnection(history.servers)).ensure(history.sensors, 2, 1, {})
    plant.produce_history(history)
    version = history.train()["version"]
    return ("--set", f"model.registry={history.directory / 'registry'}", "--set", f"model.version={version}")
