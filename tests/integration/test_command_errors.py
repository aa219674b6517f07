"""How commands end when what they need is not there."""

from __future__ import annotations

from detector.kafka.ports import free_port
from tests.unit.test_cli import tidemark


def test_a_broker_that_is_not_there_ends_with_75() -> None:
    unused_port = free_port()
    done = tidemark(
        "train", "--set", "source.topics=[sensors]", "--set", f"kafka.bootstrap_servers=127.0.0.1:{unused_port}"
    )
    assert done.returncode == 75
    assert str(unused_port) in done.stderr


def test_a_simulation_without_a_broker_ends_with_75() -> None:
    unused_port = free_port()
    done = tidemark("simulate", "--topic", "sensors", "--set", f"kafka.bootstrap_servers=127.0.0.1:{unused_port}")
    assert done.returncode == 75
    assert str(unused_port) in done.stderr
