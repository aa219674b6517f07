"""The process of one node of the embedded Kafka: formatted, started, stopped and killed.

Not here: how many nodes there are and whether they answer (``broker``), their files (``broker_files``).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Final

from detector.errors import UnavailableError
from detector.kafka.broker_files import Node, write_files
from detector.kafka.ports import HOST, is_free

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from detector.kafka.java import Java

STOP_TIMEOUT: Final = 20.0  # seconds from SIGTERM to SIGKILL; a clean stop takes 2 s
FORMAT_TIMEOUT: Final = 60.0  # seconds to format storage; 1 s on an idle machine
LOG_LINES_ON_FAILURE: Final = 15
# Holds the read end of a pipe whose write end only the owner has: reading ends when the owner does, however
# it died. $0 is the node's process.
_WATCHDOG: Final = """
read -r _; kill -TERM "$0" || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$0" || exit 0; done
kill -KILL "$0"
"""


class BrokerProcess:
    """One Kafka process that lives at most as long as the process that starts it.

    Parameters
    ----------
    node : Node
        Ports and files.
    voters : sequence of Node
        All nodes of the cluster, `node` included.
    heap_megabytes : int
        Upper bound of the JVM's heap.
    """

    def __init__(self, node: Node, voters: Sequence[Node], heap_megabytes: int) -> None:
        self.node = node
        self._voters = voters
        self._heap = f"-Xmx{heap_megabytes}m"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Address for clients, ``host:port``."""
        return f"{HOST}:{self.node.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, cluster_id: str, java: Java, jars: Sequence[Path], claim: int) -> None:
        """Start the process, on formatted storage; it inherits the descriptor `claim`.

        Raises
        ------
        UnavailableError
            If the port is taken or the storage cannot be formatted.
        OSError
            If the directory cannot be written.
        """
        if not is_free(self.node.port):
            advice = "Stop what listens there, or choose another port (0 takes a free one)."
            raise UnavailableError(f"cannot start Kafka on {self.address}: the port is taken. {advice}")
        write_files(self.node, self._voters)
        command = [str(java.executable), self._heap, "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        command += [f"-Dlog4j2.configurationFile={self.node.logging}", "-cp", os.pathsep.join(map(str, jars))]
        if not self.node.formatted.exists():
            self._format(command, cluster_id)
        self._launch([*command, "kafka.Kafka", str(self.node.properties)], claim)

    def check_alive(self) -> None:
        """Raise an UnavailableError if the process has ended."""
        if self._process is None or (code := self._process.poll()) is not None:
            raise self.failure(f"the process ended with code {code}")

    def terminate(self) -> None:
        """Ask the process to stop in order."""
        if self._process is not None:
            self._process.terminate()

    def wait(self) -> None:
        """Wait for the end of a process that was asked to stop; kill it after `STOP_TIMEOUT`."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL)."""
        # The watchdog first: it must not outlive the process id it watches.
        for process in (self._watchdog, self._process):
            if process is not None:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._watchdog = self._process = None

    def failure(self, what: str) -> UnavailableError:
        """Return the error that says why this node did not start, with the last lines of its log."""
        # The console comes last: what a JVM says before Kafka's log begins must not be cut off.
        tail = [*_last_lines(self.node.log), *_last_lines(self.node.console)][-LOG_LINES_ON_FAILURE:]
        return UnavailableError(
            f"Kafka on {self.address} did not start: {what}. "
            f"Its log is {self.node.log}; the last lines:\n" + "\n".join(tail)
        )

    def _format(self, command: list[str], cluster_id: str) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id]
        with self.node.console.open("wb") as console:
            try:
                done = subprocess.run(  # noqa: S603  # our own command, no shell
                    [*command, *tool, "--config", str(self.node.properties)],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    timeout=FORMAT_TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self.failure(f"formatting its storage took more than {FORMAT_TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            raise self.failure("its storage cannot be formatted")

    def _launch(self, command: list[str], claim: int) -> None:
        # Both get a session of their own: Ctrl-C at a terminal reaches the owner alone, which stops in order.
        with self.node.console.open("wb") as console:
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


def _last_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-LOG_LINES_ON_FAILURE:]
    except FileNotFoundError:
        return []
