"""An embedded Kafka (KRaft) of one or three nodes, started from its published jars: for demo, tests and development.

The nodes listen on 127.0.0.1 without authentication; each is broker and controller. One node keeps one copy of
everything. Three keep three and acknowledge what two have: any one of them may die. Both survive SIGKILL: the next
start on the same directory recovers what was acknowledged.

Not here: the process of a node (``broker_process``), its configuration (``broker_files``), jars (``jars``) and the
command (``detector.cli``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from detector.errors import UnavailableError
from detector.kafka.broker_files import plan_nodes
from detector.kafka.broker_process import BrokerProcess
from detector.kafka.jars import broker_jars
from detector.kafka.java import require_java

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from detector.kafka.ivy import Progress

NodeCount = Literal[1, 3]

HEAP_MEGABYTES: Final = 512  # 300,000 records/s of 60 bytes need less than half of it
START_TIMEOUT: Final = 90.0  # seconds; 3 s on an idle machine, recovery after a kill may add some
PROBE_SECONDS: Final = 0.5  # one wait for an answer, between looks at whether the process still lives
LOOK_SECONDS: Final = 0.05  # between two answers that are not the wanted one
CLUSTER_FILE: Final = "cluster.json"  # identity of the cluster in a directory, and its number of nodes


class EmbeddedBroker:
    """A Kafka cluster that lives at most as long as the process that starts it.

    As a context manager it is started on entry; on exit it is stopped and a temporary directory removed.

    Parameters
    ----------
    directory : Path, optional
        Where data, logs and configuration are kept, one directory a node; created where needed, continued where it
        has data. Default is a temporary directory.
    nodes : {1, 3}
        How many nodes; they are numbered from 1.
    port : int
        Port on 127.0.0.1, the first of as many as there are nodes; 0 chooses free ones, which then stay the same over
        restarts of this object.
    proxy_port : int
        Port of a TCP proxy that tests put in front of the first node; the ports after it are for the other nodes. Each
        node then also listens where `proxied_ports` says, and sends the clients of that listener to the proxies.
        0 for none.
    heap_megabytes : int
        Upper bound of the heap of each node's JVM.
    progress : callable, optional
        Told about jars as they are downloaded (first use only).
    """

    def __init__(  # noqa: PLR0913 - options, named by the caller
        self,
        directory: Path | None = None,
        *,
        nodes: NodeCount = 1,
        port: int = 0,
        proxy_port: int = 0,
        heap_megabytes: int = HEAP_MEGABYTES,
        progress: Progress | None = None,
    ) -> None:
        self._temporary = None
        if directory is None:
            # Kafka may still delete files while the directory goes.
            self._temporary = tempfile.TemporaryDirectory(prefix="tidemark-broker-", ignore_cleanup_errors=True)
            directory = Path(self._temporary.name)
        self.directory = directory.absolute()
        planned = plan_nodes(self.directory, nodes, port, proxy_port)
        self._processes = [BrokerProcess(node, planned, heap_megabytes) for node in planned]
        self._progress = progress
        self._claim: IO[str] | None = None

    def __enter__(self) -> Self:
        """Start the cluster."""
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the cluster and remove its directory if that is temporary."""
        try:
            self.stop()
        finally:
            self._clean_up()

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all nodes for clients, ``host:port`` joined by commas."""
        return ",".join(process.address for process in self._processes)

    @property
    def proxied_ports(self) -> list[int]:
        """Where the proxy in front of each node must lead to; empty without proxies."""
        return [process.node.proxied_port for process in self._processes if process.node.proxied_port]

    @property
    def log_paths(self) -> list[Path]:
        """Kafka's own log of each node."""
        return [process.node.log for process in self._processes]

    @property
    def pids(self) -> dict[int, int]:
        """Process ids of the nodes that run, by node."""
        return {process.node.node_id: pid for process in self._processes if (pid := process.pid) is not None}

    @property
    def running(self) -> bool:
        """Whether the processes of all nodes live."""
        return len(self.pids) == len(self._processes)

    def start(self, node: int | None = None) -> None:
        """Start the nodes that do not run, or one of them, on the data they have.

        Returns when they answer and have caught up with the others.

        Raises
        ------
        UnavailableError
            If Java or a jar is absent, a port is taken, the directory cannot be written or holds another number of
            nodes, or Kafka does not come up; the message then carries the last lines of its log.
        """
        starting = [process for process in self._chosen(node) if process.pid is None]
        if not starting:
            return
        java, jars = require_java(), broker_jars(self._progress)
        try:
            claim, cluster = self._claimed_directory(), self._cluster_id()
            with ThreadPoolExecutor(len(starting)) as pool:  # each may have to format its storage first
                for started in [pool.submit(each.start, cluster, java, jars, claim) for each in starting]:
                    started.result()
            for process in starting:
                self._await_answer(process, cluster)
        except BaseException as error:
            self._kill(starting)
            if isinstance(error, OSError):
                advice = f"cannot write in {self.directory}: {error}; choose another directory"
                raise UnavailableError(advice) from error
            raise

    def stop(self) -> None:
        """Stop the nodes in order; kill those that take too long. Data stays."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()
        self._kill(self._processes)

    def kill(self, node: int | None = None) -> None:
        """End all nodes, or one, at once, as a crash would (SIGKILL). Data stays; `start` recovers it."""
        self._kill(self._chosen(node))

    def _kill(self, processes: Sequence[BrokerProcess]) -> None:
        for process in processes:
            process.kill()
        if self._claim is not None and not self.pids:
            self._claim.close()
            self._claim = None

    def _chosen(self, node: int | None) -> list[BrokerProcess]:
        return [process for process in self._processes if node in {None, process.node.node_id}]

    def _clean_up(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    def _claimed_directory(self) -> int:
        """Lock the directory; each node's process inherits the descriptor, so the lock lives as long as any of them."""
        if self._claim is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle = (self.directory / ".lock").open("w")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                raise UnavailableError(
                    f"cannot start Kafka on the data in {self.directory}: another broker runs on it. "
                    "Stop that one, or choose another directory."
                ) from None
            self._claim = handle
        return self._claim.fileno()

    def _cluster_id(self) -> str:
        """Return the identity of the cluster in the directory, made at its first start."""
        path, count = self.directory / CLUSTER_FILE, len(self._processes)
        if not path.exists():
            # Kafka ids are 128 bits in URL-safe base64; a leading hyphen would be read as an option.
            made = "t" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
            path.write_text(json.dumps({"cluster_id": made, "nodes": count}))
            return made
        try:
            found = json.loads(path.read_text())
            cluster, nodes = str(found["cluster_id"]), int(found["nodes"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(f"{path} is damaged ({error}); choose another directory") from error
        if nodes != count:
            raise UnavailableError(
                f"the data in {self.directory} are those of a cluster of {nodes}, not of {count}: start it with "
                f"{nodes} (--nodes {nodes}), or choose another directory"
            )
        return cluster

    def _await_answer(self, process: BrokerProcess, cluster: str) -> None:
        """Wait until the node tells a client that it belongs to exactly this cluster and is in sync with the others."""
        client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": process.address,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,  # refused connections are expected while Kafka starts
        }
        admin = AdminClient(client)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            process.check_alive()
            try:
                answer = admin.list_topics(timeout=PROBE_SECONDS)
            except KafkaException:
                continue
            if answer.cluster_id == cluster and _in_sync(answer, set(self.pids)):
                return
            time.sleep(LOOK_SECONDS)
        raise process.failure(f"no answer within {START_TIMEOUT:.0f} s")


def _in_sync(cluster: ClusterMetadata, living: set[int]) -> bool:
    """Tell whether the living nodes are known, and every partition is led and has all its copies on them in sync."""
    partitions = [partition for topic in cluster.topics.values() for partition in topic.partitions.values()]
    return living <= cluster.brokers.keys() and all(
        partition.leader in living and living.intersection(partition.replicas) <= set(partition.isrs)
        for partition in partitions
    )
