"""What is said of the machine."""

from __future__ import annotations

import importlib.metadata
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from detector.app.checkpoint_lock import locked
from detector.app.doctor import machine
from detector.app.doctor.findings import Status
from detector.errors import ConfigError, UnavailableError
from tests.unit.app_doctor.site import Site, worst


class Server:
    """Something that listens and answers every request alike."""

    def __init__(self, answer: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(503)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def tidemark() -> Iterator[int]:
    server = Server(json.dumps({"status": "not ready", "reason": "the query is starting"}).encode())
    yield server.server.server_port
    server.close()


@pytest.fixture
def stranger() -> Iterator[int]:
    server = Server(b"hello")
    yield server.server.server_port
    server.close()


def test_the_installed_packages_are_as_declared(tmp_path: Path) -> None:
    (found,) = machine.packages(Site(tmp_path).deployment())

    assert found.status is Status.WELL
    assert f"Spark {importlib.metadata.version('pyspark')}" in found.found


def test_valid_settings_are_named_by_application_and_digest(tmp_path: Path) -> None:
    (found,) = machine.settings(Site(tmp_path, ("app.deployment=north",)).deployment())

    assert found.status is Status.WELL
    assert "valid: tidemark.north, digest " in found.found


def test_jars_that_are_not_there_are_a_warning_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_CACHE", str(tmp_path))

    (found,) = machine.jars(Site(tmp_path).deployment())

    assert (found.status, "tidemark setup" in found.advice) == (Status.WARNING, True)
    assert not (tmp_path / "jars").exists()


def test_a_free_port_is_free(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
    (found,) = machine.port(Site(tmp_path, (f"http.port={number}",)).deployment())

    assert found.found == f"127.0.0.1:{number} is free"


def test_a_port_that_another_program_has_is_a_failure(tmp_path: Path, stranger: int) -> None:
    (found,) = machine.port(Site(tmp_path, (f"http.port={stranger}",)).deployment())

    assert (found.kind, found.found) == (UnavailableError, f"127.0.0.1:{stranger} is taken by another program")


def test_a_port_that_the_running_instance_has_is_well_and_tells_its_readiness(tmp_path: Path, tidemark: int) -> None:
    site = Site(tmp_path, (f"http.port={tidemark}",))
    site.use_checkpoint()
    with locked(site.checkpoint.directory):
        (found,) = machine.port(site.deployment())

    assert found.status is Status.WELL
    assert found.found.endswith("served by the instance that runs: not ready, the query is starting")


def test_a_port_that_another_deployment_has_is_a_failure(tmp_path: Path, tidemark: int) -> None:
    (found,) = machine.port(Site(tmp_path, (f"http.port={tidemark}",)).deployment())

    assert found.kind is UnavailableError
    assert "a Tidemark that does not run from this checkpoint" in found.found


def test_an_address_of_another_machine_is_a_wrong_setting(tmp_path: Path) -> None:
    found = worst(machine.port(Site(tmp_path, ("http.host=192.0.2.1", "http.port=9108")).deployment()))

    assert (found.kind, "http.host" in found.advice) == (ConfigError, True)
