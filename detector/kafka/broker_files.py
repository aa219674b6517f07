"""The files that a Kafka node of the embedded broker starts from, and where its data is.

Everything that depends on the number of nodes is here: `server_properties` takes the node and all voters.

Not here: processes (``broker``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.kafka.ports import HOST

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
    """

    node_id: int
    directory: Path
    port: int
    controller_port: int

    @property
    def data(self) -> Path:
        """Kafka's log directory."""
        return self.directory / "data"

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
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": ",".join(f"{n.node_id}@{HOST}:{n.controller_port}" for n in voters),
        "listeners": f"PLAINTEXT://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
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
