"""Kills and broken surroundings take minutes: a run of all tests leaves them out, two targets of make name them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from detector.kafka.broker import EmbeddedBroker
from tests.fault import plant

HERE = Path(__file__).parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    named = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker) -> plant.Model:
    """Train once, also where several workers need the model: the first trains, the others wait for it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with (root / "history.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return plant.train(root / "history", broker.bootstrap_servers)
