"""Serves ``/metrics``, ``/livez`` and ``/readyz`` over HTTP, and decides when the service is ready.

Not here: the metrics themselves (``metrics``), and where to listen, which is a setting.
"""

from __future__ import annotations

import errno
import json
import socket
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import Lock, Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from detector.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

# Seconds that one client may take to send its request; a scraper needs milliseconds.
_REQUEST_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the service is ready, and why it is or is not, in words."""

    ready: bool
    reason: str


class Readiness:
    """Ready while the query is active, made progress lately, Kafka answers, and the service is not being stopped.

    Progress is a committed batch or a poll of the source that found nothing new. After an outage of Kafka there must be
    progress again before it is ready. Threads may share it.

    Parameters
    ----------
    stale_after_seconds : float
        Longest pause between two signs of progress, seconds. It must exceed the longest healthy batch and
        the interval of idle events (``spark.sql.streaming.noDataProgressEventInterval``, 10 s unless set).
    clock : callable
        Returns monotonic seconds.
    """

    def __init__(self, stale_after_seconds: float, clock: Callable[[], float]) -> None:
        self._stale_after = stale_after_seconds
        self._clock = clock
        self._lock = Lock()
        self._run_id: str | None = None
        self._progressed_at: float | None = None
        self._absent = "the query has not started"
        self._outage: str | None = None
        self._stopping = False

    def query_started(self, run_id: str) -> None:
        """Note that a run of the query began; it is ready once it has made progress of its own."""
        with self._lock:
            self._run_id, self._progressed_at = run_id, None

    def progressed(self, run_id: str) -> None:
        """Note a committed batch or an idle poll of the run; other runs than the latest are ignored."""
        with self._lock:
            if run_id == self._run_id:
                self._progressed_at = self._clock()

    def query_terminated(self, run_id: str, error: str | None) -> None:
        """Note the end of the run, with the kind of error if it failed; other runs are ignored."""
        with self._lock:
            if run_id == self._run_id:
                self._run_id = None
                self._absent = "the query has stopped" if error is None else f"the query failed: {error}"

    def outage(self, reason: str | None) -> None:
        """Note that what the query needs is away, in words, or, with None, that it is there again."""
        with self._lock:
            if reason is not None:
                self._progressed_at = None
            self._outage = reason

    def stopping(self) -> None:
        """Note that the service is being stopped; final."""
        with self._lock:
            self._stopping = True

    def verdict(self) -> Verdict:
        """Judge now."""
        with self._lock:
            if self._stopping:
                return Verdict(ready=False, reason="the service is stopping")
            if self._outage is not None:
                return Verdict(ready=False, reason=self._outage)
            if self._run_id is None:
                return Verdict(ready=False, reason=self._absent)
            if self._progressed_at is None:
                return Verdict(ready=False, reason="the query is starting or resuming: no batch has succeeded yet")
            pause = self._clock() - self._progressed_at
            if pause > self._stale_after:
                return Verdict(
                    ready=False,
                    reason=f"no batch has succeeded for {pause:.0f} s, over {self._stale_after:g} s",
                )
            return Verdict(ready=True, reason="the query is active and makes progress")


class HealthServer:
    """An HTTP server on a thread of its own; listens from construction until `close` or the end of ``with``.

    ``/metrics`` answers in the Prometheus text or OpenMetrics format, whichever is asked for. ``/livez``
    answers 200 while the process serves. ``/readyz`` answers 200 or 503. The latter two carry JSON:
    ``{"status": "ready", "reason": "..."}``.

    Parameters
    ----------
    host : str
        Address to bind, IPv4 or IPv6, or a host name of this machine.
    port : int
        Port to bind; 0 lets the system choose.
    registry : CollectorRegistry
        What ``/metrics`` shows.
    readiness : callable
        Returns the present `Verdict`.

    Raises
    ------
    UnavailableError
        If the port is taken.
    ConfigError
        If the address is not one of this machine or the port is not permitted.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, readiness: Callable[[], Verdict]) -> None:
        self._server = _listen(host, port, _application(registry, readiness))
        self._host = host
        self._thread = Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="tidemark-http",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The server's address, ``http://host:port``."""
        return f"http://[{self._host}]:{self.port}" if ":" in self._host else f"http://{self._host}:{self.port}"

    def close(self) -> None:
        """Stop serving and free the port; harmless when repeated."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        """Return the server, which is listening already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the server."""
        self.close()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a stuck scraper must not hold up the end of the process
    block_on_close = False


class _ThreadingServerV6(_ThreadingServer):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: probes and scrapes come every few seconds."""


def _listen(host: str, port: int, application: WSGIApplication) -> WSGIServer:
    server_class = _ThreadingServerV6 if ":" in host else _ThreadingServer
    try:
        return make_server(host, port, application, server_class, _QuietHandler)
    except OSError as error:
        where = f"http.host={host}, http.port={port}"
        if error.errno == errno.EADDRINUSE:
            raise UnavailableError(
                f"The port is taken ({where}); stop what uses it, or set http.port to another or 0."
            ) from error
        raise ConfigError(
            f"Cannot listen there ({where}): {error}; set http.host to an address of this machine, "
            "such as 127.0.0.1, and http.port to one this user may bind."
        ) from error


def _application(registry: CollectorRegistry, readiness: Callable[[], Verdict]) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/livez":
            return _answer(start_response, "200 OK", "alive", "the process serves")
        if path == "/readyz":
            verdict = readiness()
            if verdict.ready:
                return _answer(start_response, "200 OK", "ready", verdict.reason)
            return _answer(start_response, "503 Service Unavailable", "not ready", verdict.reason)
        return _answer(start_response, "404 Not Found", "unknown path", "try /metrics, /livez or /readyz")

    return application


def _answer(start_response: StartResponse, http_status: str, status: str, reason: str) -> Iterable[bytes]:
    body = json.dumps({"status": status, "reason": reason}).encode() + b"\n"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(http_status, headers)
    return [body]
