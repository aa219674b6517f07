from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from detector.errors import ConfigError, UnavailableError
from detector.observability.health import HealthServer, Verdict


@dataclass
class Service:
    """A served registry and a verdict that a test can change."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    verdict: Verdict = field(default_factory=lambda: Verdict(ready=True, reason="all is well"))

    def serve(self, port: int = 0) -> HealthServer:
        return HealthServer("127.0.0.1", port, self.registry, lambda: self.verdict)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def server(service: Service) -> Iterator[HealthServer]:
    with service.serve() as running:
        yield running


def get(server: HealthServer, path: str, accept: str = "*/*") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def test_metrics_are_scraped_in_the_text_format(service: Service, server: HealthServer) -> None:
    Counter("waves", "Waves seen.", registry=service.registry).inc(3)
    status, content_type, body = get(server, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert status == 200
    assert content_type.startswith("text/plain")
    assert families["waves"].samples[0].value == 3


def test_metrics_are_scraped_as_openmetrics_on_request(server: HealthServer) -> None:
    _, content_type, body = get(server, "/metrics", "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_a_process_that_serves_is_alive_even_when_it_is_not_ready(service: Service, server: HealthServer) -> None:
    service.verdict = Verdict(ready=False, reason="the query has stopped")
    status, content_type, body = get(server, "/livez")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body)["status"] == "alive"


def test_readiness_answers_200_while_ready_and_503_with_the_reason_otherwise(
    service: Service, server: HealthServer
) -> None:
    assert get(server, "/readyz")[0] == 200
    service.verdict = Verdict(ready=False, reason="the query has stopped")
    status, _, body = get(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {"status": "not ready", "reason": "the query has stopped"}


def test_an_unknown_path_names_those_that_exist(server: HealthServer) -> None:
    status, _, body = get(server, "/")
    assert status == 404
    assert "/metrics" in json.loads(body)["reason"]


def test_the_address_names_the_port_that_the_system_chose(server: HealthServer) -> None:
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"


def test_a_taken_port_is_refused_with_the_way_out(service: Service, server: HealthServer) -> None:
    with pytest.raises(UnavailableError, match=f"http.port={server.port}.*another or 0"):
        service.serve(server.port)


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1.*http\.host"):
        HealthServer("192.0.2.1", 0, CollectorRegistry(), lambda: Verdict(ready=True, reason=""))


def test_a_host_name_that_does_not_resolve_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"host\.invalid"):
        HealthServer("host.invalid", 0, CollectorRegistry(), lambda: Verdict(ready=True, reason=""))


def test_a_closed_server_frees_its_port_and_may_be_closed_again(service: Service) -> None:
    server = service.serve()
    port = server.port
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    service.serve(port).close()


def test_an_open_connection_does_not_hold_up_the_end(service: Service) -> None:
    server = service.serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\n")  # never finished
        server.close()
