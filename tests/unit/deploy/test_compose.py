"""deploy/compose.yaml says only what the command line and the settings know, and gives no service more than it needs.

Not here: the services at work (``tests/image``).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from detector.cli import app
from detector.settings import load
from tests.image.compose import FILE, run_options, services
from tests.unit.docs.pages import ROOT, first_cells, section

MOUNTED = "/etc/tidemark/tidemark.yaml"
SERVICES = services()


def settings_file(service: str) -> Path:
    """Return what a service has mounted as its settings."""
    (source,) = (mount.split(":")[0] for mount in SERVICES[service]["volumes"] if f":{MOUNTED}:" in mount)
    return FILE.parent / str(source)


@pytest.mark.parametrize("service", SERVICES)
def test_every_command_is_one_of_the_command_line(service: str) -> None:
    name, *arguments = SERVICES[service]["command"]
    typer.main.get_command(app).commands[name].make_context(name, [*arguments])  # type: ignore[attr-defined]


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "kafka"])
def test_every_service_but_the_broker_reads_the_mounted_settings_which_are_valid(service: str) -> None:
    command = SERVICES[service]["command"]
    assert command[command.index("--config") + 1] == MOUNTED
    settings = load(settings_file(service), (), {})
    assert settings.source.topics
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_read_only_has_no_capabilities_and_bounded_memory(service: str) -> None:
    options = " ".join(run_options(SERVICES[service], "x-"))
    for wanted in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges:true",
        "--memory ",
        "--pids-limit ",
    ):
        assert wanted in options


def test_heap_and_state_leave_half_of_the_memory_of_the_container_to_everything_else() -> None:
    spark = load(settings_file("tidemark"), (), {}).spark
    state = int(spark.conf["spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB"])
    assert SERVICES["tidemark"]["mem_limit"] == "2g"
    assert int(spark.driver_memory.removesuffix("m")) + state <= 1024


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_page_names_every_service() -> None:
    assert first_cells(section(ROOT / "docs" / "containers.md", "## The plant")) == list(SERVICES)
