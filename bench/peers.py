"""Peers on the same topic: each in an environment of its own, kept in the user's cache and made on demand.

The programs are not part of this repository; a folder that holds them is named on the command line.

Not here: what is compared (``throughput``).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detector.errors import UnavailableError
from detector.kafka.ivy import Coordinate, download
from detector.kafka.jars import cache_directory
from detector.kafka.java import require_java

INSTALL_SECONDS: Final = 1800.0
RUN_SECONDS: Final = 300.0
FEW: Final = 400_000  # records for peers of one Python process: 7 to 11 s
THREADS: Final = 2  # of Kafka Streams
_COMPLETE: Final = ".complete"  # written last: an environment without it is made anew

FLINK: Final = "apache-flink==2.2.0"
FLINK_CONNECTOR: Final = ("org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",)
BYTEWAX: Final = "bytewax[kafka]==0.21.1"
QUIX: Final = "quixstreams==3.28.1"
KAFKA_STREAMS: Final = (
    "org.apache.kafka:kafka-streams:4.2.0",
    "com.fasterxml.jackson.core:jackson-databind:2.19.2",
    "org.slf4j:slf4j-nop:1.7.36",
)

Command = tuple[Sequence[str], Mapping[str, str]]  # what is started, and the environment beside KAFKA


@dataclass(frozen=True)
class Peer:
    """A program that does some of the main job's work.

    Attributes
    ----------
    name : str
        As in the table.
    command : callable
        Makes its environment and returns how it is started; takes the folder of the programs and the number of
        records in the topic.
    few : bool
        Whether it reads only the first `FEW` records.
    assumes : int or None
        Records for which its program works out the rate, whatever it reads; None: what it has read.
    """

    name: str
    command: Callable[[Path, int], Command]
    few: bool = False
    assumes: int | None = None


def run(peer: Peer, folder: Path, servers: str, records: int) -> float:
    """Run a peer once and return its records/s, as it prints them; of several runs in one program the last.

    Raises
    ------
    UnavailableError
        If its environment cannot be made, or it fails; the message carries the end of what it said.
    """
    command, environment = peer.command(folder, records)
    with tempfile.TemporaryDirectory() as workspace:
        try:
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                command,
                cwd=workspace,
                env={**os.environ, **environment, "KAFKA": servers, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{peer.name} takes more than {RUN_SECONDS:.0f} s") from None
    rate = parse_rate(done.stdout)
    if done.returncode != 0 or rate is None:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise UnavailableError(f"{peer.name} ended with code {done.returncode}: {tail}")
    return rate * records / peer.assumes if peer.assumes else rate


def parse_rate(printed: str) -> float | None:
    """Return the last number that a program printed on a line of text and numbers, None if there is none."""
    numbers = re.findall(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(?: records/s)?\s*$", printed, re.MULTILINE)
    return float(numbers[-1].replace(",", "")) if numbers else None


def python_with(requirement: str) -> Path:
    """Return a Python that has one package, made where there is none yet."""
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    place = cache_directory() / "bench" / re.sub(r"[^\w.]+", "-", f"{requirement}-{version}")
    python = place / "bin" / "python"
    if not (place / _COMPLETE).exists():
        _call([sys.executable, "-m", "venv", "--clear", str(place)])
        _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])
        (place / _COMPLETE).touch()
    return python


def jars_of(name: str, coordinates: Sequence[str], *, transitive: bool) -> list[Path]:
    """Return jars, downloaded where they are not in the cache yet."""
    place = cache_directory() / "bench" / name
    if not (place / _COMPLETE).exists():
        place.mkdir(parents=True, exist_ok=True)
        wanted = [Coordinate.parse(text) for text in coordinates]
        with tempfile.TemporaryDirectory(dir=place) as workspace:
            found = download(wanted, Path(workspace), require_java(), transitive=transitive)
            for coordinate, path in found.items():
                path.rename(place / f"{coordinate.artifact}-{coordinate.version}.jar")
        (place / _COMPLETE).touch()
    return sorted(place.glob("*.jar"))


def _read_limit(folder: Path, records: int) -> Command:
    return [sys.executable, str(folder / "read_limit.py"), "sensors", str(records)], {}


def _flink(folder: Path, records: int) -> Command:  # noqa: ARG001 - it reads the whole topic
    (jar,) = jars_of("flink-connector-5.0.0-2.2", FLINK_CONNECTOR, transitive=False)
    environment = {"FLINK_KAFKA_JAR": str(jar), "JAVA_HOME": str(require_java().home)}
    return [str(python_with(FLINK)), str(folder / "flink_sql.py")], environment


def _kafka_streams(guarantee: str, store: str) -> Callable[[Path, int], Command]:
    def command(folder: Path, records: int) -> Command:
        jars = jars_of("kafka-streams-4.2.0", KAFKA_STREAMS, transitive=True)
        java = [str(require_java().executable), "-cp", os.pathsep.join(map(str, jars))]
        program = folder / "kafka_streams" / "Windows.java"
        return [*java, str(program), str(records), str(THREADS), guarantee, store], {}

    return command


def _quix(folder: Path, records: int) -> Command:  # noqa: ARG001 - it is slow: FEW
    return [str(python_with(QUIX)), str(folder / "quix.py"), str(FEW)], {}


def _bytewax(folder: Path, records: int) -> Command:  # noqa: ARG001 - FEW is in its program
    return [str(python_with(BYTEWAX)), "-m", "bytewax.run", "bytewax_flow:flow"], {"PYTHONPATH": str(folder)}


def _call(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{' '.join(command)} takes more than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


READ_LIMIT: Final = Peer("Kafka read limit (confluent-kafka, nothing else)", _read_limit)
PEERS: Final = (
    Peer("Flink SQL 2.2, windows alone, second run", _flink, assumes=4_000_000),
    Peer("Kafka Streams 4.2, windows alone, in memory, at least once", _kafka_streams("at_least_once", "memory")),
    Peer("Kafka Streams 4.2, windows alone, RocksDB, exactly once", _kafka_streams("exactly_once_v2", "rocks")),
    Peer("Bytewax 0.21, windows alone, one process", _bytewax, few=True),
    Peer("Quix Streams 3.28, windows alone, one process", _quix, few=True),
)


@dataclass(frozen=True)
class Measured:
    """What came of a peer: records/s of each run, or why there is none."""

    peer: Peer
    rates: tuple[float, ...]
    failure: str = ""


def measure(peers: Sequence[Peer], folder: Path, servers: str, records: int, rounds: int) -> list[Measured]:
    """Run peers one after another, all of them once in each round; who fails is left out of later rounds."""
    rates: dict[str, list[float]] = {peer.name: [] for peer in peers}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for peer in peers:
            if peer.name in failures:
                continue
            try:
                rates[peer.name].append(run(peer, folder, servers, records))
            except UnavailableError as error:
                failures[peer.name] = str(error)
            time.sleep(1.0)  # what it leaves behind ends
    return [Measured(peer, tuple(rates[peer.name]), failures.get(peer.name, "")) for peer in peers]
