"""The nodes of the embedded broker: their ports, the files that each starts from, and where its data is.

Everything that depends on the number of nodes is here: `server_properties` takes the node and all voters.

Not here: processes (``broker_process``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.kafka.ports import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INTERNAL_PARTITIONS: Final = 5  # of Kafka's own topics; 50, the default, are 50 directories to open at start
SESSION_TIMEOUT_MS: Final = 4000  # a killed broker's successor is refused for so long; Kafka's default is 9 s
HEARTBEAT_MS: Final = 1000  # a quarter of it, so that one pause of the JVM does not fence the node

_LOG4J2: Final = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}} %-5p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True)
class Node:
    """One Kafka process that is broker and controller.

    Attributes
    ----------
    node_id : int
        1 or higher.
    directory : Path
        Holds everything of the node.
    port, controller_port : int
        Where clients and where controllers connect, on 127.0.0.1.
    proxied_port, proxy_port : int
        A second listener for clients, and the port that it sends its clients to: that of a proxy in front of it.
        0 for none.
    """

    node_id: int
    directory: Path
    port: int
    controller_port: int
    proxied_port: int = 0
    proxy_port: int = 0

    @property
    def data(self) -> Path:
        """Kafka's log directory."""
        return self.directory / "data"

    @property
    def formatted(self) -> Path:
        """What Kafka writes when it formats the log directory."""
        return self.data / "meta.properties"

    @property
    def properties(self) -> Path:
        """Kafka's configuration file."""
        return self.directory / "server.properties"

    @property
    def logging(self) -> Path:
        """Configuration of Kafka's own log."""
        return self.directory / "log4j2.properties"

    @property
    def log(self) -> Path:
        """Kafka's own log; rolled at 10 MB, two old files are kept."""
        return self.directory / "broker.log"

    @property
    def console(self) -> Path:
        """What the JVM wrote to its standard streams since its last start: normally nothing."""
        return self.directory / "console.log"


def plan_nodes(directory: Path, count: int, port: int, proxy_port: int) -> list[Node]:
    """Return the nodes of a cluster, numbered from 1.

    Parameters
    ----------
    directory : Path
        Holds a directory for each node.
    count : int
        How many nodes.
    port, proxy_port : int
        The first of `count` consecutive ports, of clients and of proxies; 0 for free ones, and for no proxies.
    """
    taken = [first + number for first in (port, proxy_port) if first for number in range(count)]

    def free() -> int:
        taken.append(free_port(*taken))
        return taken[-1]

    return [
        Node(
            node_id=number + 1,
            directory=directory / f"node-{number + 1}",
            port=port + number if port else free(),
            controller_port=free(),
            proxied_port=free() if proxy_port else 0,
            proxy_port=proxy_port + number if proxy_port else 0,
        )
        for number in range(count)
    ]


def write_files(node: Node, voters: Sequence[Node]) -> None:
    """Create a node's directory and write what it starts from; data that is there stays."""
    node.directory.mkdir(parents=True, exist_ok=True)
    node.properties.write_text(server_properties(node, voters))
    node.logging.write_text(_LOG4J2.format(log=_escaped(node.log)))


def server_properties(node: Node, voters: Sequence[Node]) -> str:
    """Return the configuration of one node of a cluster.

    Parameters
    ----------
    node : Node
        Whose configuration it is.
    voters : sequence of Node
        All nodes of the cluster, `node` included.
    """
    copies = min(3, len(voters))
    in_sync = max(1, copies - 1)
    proxied = f",PROXIED://{HOST}:{node.proxied_port}" if node.proxied_port else ""
    advertised = f",PROXIED://{HOST}:{node.proxy_port}" if node.proxied_port else ""
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": ",".join(f"{n.node_id}@{HOST}:{n.controller_port}" for n in voters),
        "listeners": f"PLAINTEXT://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}{proxied}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.port}{advertised}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        "log.dirs": _escaped(node.data),
        "auto.create.topics.enable": "false",  # a mistyped topic is an error, not an empty topic
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": INTERNAL_PARTITIONS,
        "group.initial.rebalance.delay.ms": 0,  # there is no crowd of consumers to wait for
        "broker.session.timeout.ms": SESSION_TIMEOUT_MS,
        "broker.heartbeat.interval.ms": HEARTBEAT_MS,
        # Recorded series carry old timestamps: with a retention by age they would vanish once written.
        "log.retention.ms": -1,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _escaped(path: Path) -> str:
    """Write a path for a Java properties file, where a backslash begins an escape."""
    return str(path).replace("\\", "\\\\")
