"""The machine: settings, Python packages, Java, jars, the port.

Not here: Kafka and the disk.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import platform
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from detector.app import class_archive
from detector.app.doctor.deployment import Deployment
from detector.app.doctor.findings import Finding, failed, not_checked, warning, well
from detector.app.doctor.wording import counted, names
from detector.errors import ConfigError, UnavailableError
from detector.kafka.jars import absent, cache_directory, locked_jars, provide
from detector.kafka.java import require_java
from detector.settings import config_digest

PROBE_SECONDS: Final = 2.0  # for an answer from this machine's own port
CONNECTOR: Final = "spark-sql-kafka-0-10_2.13"
REINSTALL: Final = "Run make setup, or install Tidemark anew into an environment of its own"


def settings(deployment: Deployment) -> Iterator[Finding]:
    """See whether the settings are valid."""
    found = deployment.settings
    yield well(f"valid: {found.app.name}.{found.app.deployment}, digest {config_digest(found)[:12]}")


def packages(_: Deployment) -> Iterator[Finding]:
    """See whether the Python packages are those that Tidemark declares."""
    try:
        declared = importlib.metadata.metadata("tidemark")
    except importlib.metadata.PackageNotFoundError:
        yield not_checked("Tidemark itself is not installed, so what it needs is not known", REINSTALL)
        return
    python = platform.python_version()
    if not SpecifierSet(declared["Requires-Python"] or "").contains(python):
        yield failed(UnavailableError, f"Python {python} is not {declared['Requires-Python']}", REINSTALL)
    wanted = [Requirement(line) for line in declared.get_all("Requires-Dist") or ()]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    wrong = [text for each in wanted if (text := _wrong(each))]
    if wrong:
        yield failed(UnavailableError, f"not as declared: {names(wrong)}", REINSTALL)
        return
    spark, kafka = importlib.metadata.version("pyspark"), importlib.metadata.version("confluent-kafka")
    yield well(
        f"{counted(len(wanted), 'package')} as declared; Python {python}, Spark {spark}, confluent-kafka {kafka}"
    )


def _wrong(wanted: Requirement) -> str:
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    return (
        ""
        if wanted.specifier.contains(version, prereleases=True)
        else f"{wanted.name} {version}, not {wanted.specifier}"
    )


def java(_: Deployment) -> Iterator[Finding]:
    """See whether there is a Java that runs Spark."""
    found = require_java()
    fast = "" if class_archive.exists(found) else "; tidemark setup would make Spark start some seconds sooner"
    yield well(f"version {found.version} at {found.home}{fast}")


def jars(_: Deployment) -> Iterator[Finding]:
    """See whether the jars of Spark's Kafka connector are there, whole, and of the installed Spark."""
    wanted, directory = locked_jars("connector"), cache_directory() / "jars"
    versions = {jar.coordinate.artifact: jar.coordinate.version for jar in wanted}
    spark = importlib.metadata.version("pyspark")
    if versions[CONNECTOR] != spark:
        yield failed(UnavailableError, f"the connector is of Spark {versions[CONNECTOR]}, not {spark}", REINSTALL)
    if missing := absent(wanted, directory):
        what = f"{len(missing)} of {len(wanted)} are not in {directory}"
        yield warning(what, "The next start downloads them; tidemark setup does it now")
        return
    provide(wanted, directory)  # verifies; all are present, so nothing is written
    yield well(f"{len(wanted)} of the connector verified, Kafka client {versions['kafka-clients']}, in {directory}")


def port(deployment: Deployment) -> Iterator[Finding]:
    """See whether the application can listen, or does already."""
    http = deployment.settings.http
    where = f"{http.host}:{http.port}"
    if http.port == 0:
        yield well("a free one is chosen at each start (http.port is 0)")
        return
    refused = _refusal(http.host, http.port)
    if refused is None:
        yield well(f"{where} is free")
    elif refused.errno != errno.EADDRINUSE:
        yield failed(
            ConfigError, f"{where} cannot be listened on ({refused.strerror})", "Correct http.host and http.port"
        )
    elif (said := _readiness(http.host, http.port)) is None:
        yield failed(UnavailableError, f"{where} is taken by another program", "Stop it, or set another http.port")
    elif deployment.in_use:
        yield well(f"{where} is served by the instance that runs: {said}")
    else:
        what = f"{where} is served by a Tidemark that does not run from this checkpoint: {said}"
        yield failed(UnavailableError, what, "Give each instance of this machine its own http.port")


def _refusal(host: str, number: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server binds
        try:
            probe.bind((host, number))
        except OSError as error:
            return error
    return None


def _readiness(host: str, number: int) -> str | None:
    """Return what a Tidemark that listens there says of itself; None if it is none."""
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared
    try:
        with urllib.request.urlopen(f"http://{near}:{number}/readyz", timeout=PROBE_SECONDS) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read()
    except OSError:
        return None
    try:
        told = json.loads(said)
        return f"{told['status']}, {told['reason']}"
    except (ValueError, KeyError, TypeError):
        return None
