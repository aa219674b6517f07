"""An embedded one-node Kafka (KRaft), started from its published jars: for demo, tests and development.

The broker listens on 127.0.0.1 without authentication and keeps one copy of everything. It survives
SIGKILL: the next start on the same directory recovers what was acknowledged.

Not here: its configuration (``broker_files``), jars (``jars``) and the command (``detector.cli``).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from detector.errors import UnavailableError
from detector.kafka.broker_files import Node, write_files
from detector.kafka.jars import broker_jars
from detector.kafka.java import require_java
from detector.kafka.ports import HOST, free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from detector.kafka.ivy import Progress

HEAP_MEGABYTES: Final = 512  # 300,000 records/s of 60 bytes need less than half of it
START_TIMEOUT: Final = 90.0  # seconds; 3 s on an idle machine, recovery after a kill may add some
STOP_TIMEOUT: Final = 20.0  # seconds from SIGTERM to SIGKILL; a clean stop takes 2 s
FORMAT_TIMEOUT: Final = 60.0  # seconds to format storage; 1 s on an idle machine
PROBE_SECONDS: Final = 0.5  # one wait for an answer, between looks at whether the process still lives
LOG_LINES_ON_FAILURE: Final = 15
# Holds the read end of a pipe whose write end only the owner has: reading ends when the owner does, however
# it died. $0 is the broker's process.
_WATCHDOG: Final = """
read -r _; kill -TERM "$0" || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$0" || exit 0; done
kill -KILL "$0"
"""


class EmbeddedBroker:
    """A Kafka broker that lives at most as long as the process that starts it.

    As a context manager it is started on entry; on exit it is stopped and a temporary directory removed.

    Parameters
    ----------
    directory : Path, optional
        Where data, log and configuration are kept; created where needed, continued where it has data.
        Default is a temporary directory.
    port : int
        Port on 127.0.0.1; 0 chooses a free one, which then stays the same over restarts of this object.
    heap_megabytes : int
        Upper bound of the JVM's heap.
    progress : callable, optional
        Told about jars as they are downloaded (first use only).

    Attributes
    ----------
    bootstrap_servers : str
        What clients connect to.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int = 0,
        heap_megabytes: int = HEAP_MEGABYTES,
        progress: Progress | None = None,
    ) -> None:
        self._temporary = None
        if directory is None:
            # Kafka may still delete files while the directory goes.
            self._temporary = tempfile.TemporaryDirectory(prefix="tidemark-broker-", ignore_cleanup_errors=True)
            directory = Path(self._temporary.name)
        controller_port = free_port()
        self._node = Node(1, directory.absolute(), port or free_port(controller_port), controller_port)
        self._heap = f"-Xmx{heap_megabytes}m"
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the broker."""
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the broker and remove its directory if that is temporary."""
        try:
            self.stop()
        finally:
            self._clean_up()

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, ``host:port``."""
        return f"{HOST}:{self._node.port}"

    @property
    def directory(self) -> Path:
        """Where everything of the broker is."""
        return self._node.directory

    @property
    def log_path(self) -> Path:
        """Kafka's own log."""
        return self._node.log

    @property
    def pid(self) -> int | None:
        """Process id of the running broker."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker, or start it again on the same data; return when it answers.

        Raises
        ------
        UnavailableError
            If Java or a jar is absent, the port is taken, the directory cannot be written, or Kafka does
            not come up; the message then carries the last lines of its log.
        """
        if self.running:
            return
        self._check_port()
        command = [str(require_java().executable), self._heap, "-XX:+ExitOnOutOfMemoryError"]
        command += ["-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={self._node.logging}"]
        command += ["-cp", os.pathsep.join(map(str, broker_jars(self._progress)))]
        try:
            with self._claimed_directory() as claim:
                write_files(self._node, [self._node])
                cluster = self._cluster_id() or self._format(command)
                self._launch([*command, "kafka.Kafka", str(self._node.properties)], claim)
            self._await_answer(cluster)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the broker in order; kill it if that takes longer than `STOP_TIMEOUT`. Data stays."""
        if self._process is not None and self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        self.kill()

    def kill(self) -> None:
        """End the broker at once, as a crash would (SIGKILL). Data stays; `start` recovers it."""
        # The watchdog first: it must not outlive the process id it watches.
        for process in (self._watchdog, self._process):
            if process is not None:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._watchdog = self._process = None

    def _clean_up(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    def _check_port(self) -> None:
        if not is_free(self._node.port):
            advice = "Stop what listens there, or choose another port (0 takes a free one)."
            raise UnavailableError(f"cannot start Kafka on {self.bootstrap_servers}: the port is taken. {advice}")

    @contextlib.contextmanager
    def _claimed_directory(self) -> Iterator[int]:
        """Lock the directory; the broker's process inherits the descriptor, so the lock lives as long as it."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / ".lock").open("w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield handle.fileno()
        except BlockingIOError:
            raise UnavailableError(
                f"cannot start Kafka on the data in {self.directory}: another broker runs on it. "
                "Stop that one, or choose another directory."
            ) from None
        except OSError as error:
            raise UnavailableError(f"cannot write in {self.directory}: {error}; choose another directory") from error

    def _cluster_id(self) -> str | None:
        """Return the id of the cluster whose data is in the directory, or None where there is none."""
        try:
            lines = (self._node.data / "meta.properties").read_text().splitlines()
        except FileNotFoundError:
            return None
        return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), None)

    def _format(self, command: list[str]) -> str:
        # Kafka ids are 128 bits in URL-safe base64; a leading hyphen would be read as an option.
        cluster = "t" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster,
            "--config",
            str(self._node.properties),
        ]
        with self._node.console.open("wb") as console:
            try:
                done = subprocess.run(  # noqa: S603  # our own command, no shell
                    [*command, *tool],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    timeout=FORMAT_TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._failure(f"formatting its storage took more than {FORMAT_TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            raise self._failure("its storage cannot be formatted")
        return cluster

    def _launch(self, command: list[str], claim: int) -> None:
        # Both get a session of their own: Ctrl-C at a terminal reaches the owner alone, which stops in order.
        with self._node.console.open("wb") as console:
            self._process = subprocess.Popen(  # noqa: S603  # our own command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[claim],
            )
        self._watchdog = subprocess.Popen(  # noqa: S603  # our own script
            ["/bin/sh", "-c", _WATCHDOG, str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _await_answer(self, cluster: str) -> None:
        """Wait until a client gets the metadata of exactly this cluster."""
        client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,  # refused connections are expected while Kafka starts
        }
        admin = AdminClient(client)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process is None or (code := self._process.poll()) is not None:
                raise self._failure(f"the process ended with code {code}")
            try:
                answer = admin.list_topics(timeout=PROBE_SECONDS)
            except KafkaException:
                continue
            if answer.cluster_id == cluster and answer.brokers:
                return
        raise self._failure(f"no answer within {START_TIMEOUT:.0f} s")

    def _failure(self, what: str) -> UnavailableError:
        # The console comes last: what a JVM says before Kafka's log begins must not be cut off.
        tail = [*_last_lines(self._node.log), *_last_lines(self._node.console)][-LOG_LINES_ON_FAILURE:]
        return UnavailableError(
            f"Kafka on {self.bootstrap_servers} did not start: {what}. "
            f"Its log is {self._node.log}; the last lines:\n" + "\n".join(tail)
        )


def _last_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-LOG_LINES_ON_FAILURE:]
    except FileNotFoundError:
        return []
