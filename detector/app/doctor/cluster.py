"""The cluster: brokers, what this client may do, transactions, clock.

Not here: the topics (``topics``) and the marker (``state``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from detector.app.doctor.deployment import Deployment
from detector.app.doctor.findings import Finding, failed, not_checked, warning, well
from detector.app.doctor.wording import counted, names, span
from detector.errors import ConfigError, ContractError
from detector.settings import specs

TRANSACTION_TOPIC: Final = "__transaction_state"
IN_PRODUCTION: Final = 3  # copies that survive the loss of a broker while another one is being restarted
CLOCK_SECONDS: Final = 5.0  # by which clocks that are set over the network never differ
SOURCE_RIGHTS: Final = frozenset({"READ", "DESCRIBE", "DESCRIBE_CONFIGS"})
OUTPUT_RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "alerts.topic": frozenset({"WRITE", "DESCRIBE"}),
    "dead_letter.topic": frozenset({"WRITE", "DESCRIBE"}),
    "alerts.commits_topic": frozenset({"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}),
}


def brokers(deployment: Deployment) -> Iterator[Finding]:
    """See whether brokers answer, how fast, how many there are, and of which version."""
    cluster, kafka = deployment.cluster, deployment.settings.kafka
    count = len(cluster.brokers)
    yield well(
        f"{counted(count, 'broker')} at {kafka.bootstrap_servers}, cluster {cluster.cluster_id}, "
        f"a round trip takes {span(cluster.seconds)}"
    )
    yield well(f"version {_version(_any_broker_config(deployment))}")
    if kafka.replication_factor < IN_PRODUCTION <= count:
        what = f"topics that Tidemark creates get {counted(kafka.replication_factor, 'copy')} on {count} brokers"
        yield warning(what, f"Set kafka.replication_factor: {IN_PRODUCTION} in production")


def rights(deployment: Deployment) -> Iterator[Finding]:
    """See whether this client may read the source, write the outputs, and use the transactional id."""
    config = _any_broker_config(deployment)
    if config is not None and not config.get("authorizer.class.name"):
        yield well("the cluster has no access control: every client may do everything")
        return
    wanted = dict.fromkeys(deployment.source_names, SOURCE_RIGHTS)
    wanted |= {topic: OUTPUT_RIGHTS[setting] for setting, topic in deployment.outputs.items()}
    seen = {topic: deployment.topic_states[topic].operations for topic in wanted if topic in deployment.topic_states}
    lacking = {topic: sorted(wanted[topic] - operations) for topic, operations in seen.items()}
    for topic, operations in sorted(lacking.items()):
        if operations:
            what = f"topic {topic}: this client lacks {', '.join(operations)}"
            yield failed(ContractError, what, f"Allow {_principal(deployment)} to do so")
    if not any(lacking.values()) and seen:
        yield well(f"{counted(len(seen), 'topic')}: this client may read and write what it has to")
    absent = [topic for topic in deployment.outputs.values() if topic not in deployment.known_topics]
    if absent and "CREATE" not in deployment.cluster.operations:
        what = f"{names(absent)}: not there, or not to be seen, and this client may not create topics in general"
        yield warning(what, "Create them by hand, or allow CREATE on the cluster or on these names")
    yield _transactional_id(deployment)


def _transactional_id(deployment: Deployment) -> Finding:
    """Judge by the access rules alone: to try the id would fence the instance that runs."""
    identity = specs.log(deployment.settings).transactional_id
    wanted = f"WRITE on transactional id {identity}"
    found = deployment.kafka.inspector.acls_of(identity)
    if found is None:
        what = f"{wanted} cannot be tried without fencing the instance that runs, nor may this client read the rules"
        return not_checked(what, f"See that {_principal(deployment)} has it")
    user = deployment.settings.kafka.security.username
    ours = [acl for acl in found if not user or acl.principal in (f"User:{user}", "User:*")]
    about = [acl for acl in ours if acl.operation in ("WRITE", "ALL")]
    if any(acl.permission == "DENY" for acl in about):
        return failed(ContractError, f"{wanted} is denied", f"Allow {_principal(deployment)} to do so")
    if about:
        return well(f"{wanted} is allowed to {names(sorted({acl.principal for acl in about}))}")
    what = f"no rule allows {wanted}; it may still be a super user's"
    return warning(what, f"Allow {_principal(deployment)} to do so, unless everything is allowed to it")


def _principal(deployment: Deployment) -> str:
    security = deployment.settings.kafka.security
    if security.username:
        return f"User:{security.username}"
    return "the name in the client's certificate" if security.certificate_file else "User:ANONYMOUS"


def transactions(deployment: Deployment) -> Iterator[Finding]:
    """See whether a transaction can begin, with the time-out that the settings ask for."""
    config = _any_broker_config(deployment)
    wanted = deployment.settings.alerts.transaction_timeout.total_seconds()
    if config is None:
        what = f"the brokers' transaction.max.timeout.ms may not be read; alerts.transaction_timeout is {span(wanted)}"
        yield not_checked(what, "Allow DESCRIBE_CONFIGS on the cluster, or compare the two by hand")
        return
    allowed = int(config["transaction.max.timeout.ms"]) / 1000
    if wanted > allowed:
        what = f"alerts.transaction_timeout is {span(wanted)}, the brokers allow {span(allowed)}"
        yield failed(ConfigError, what, "Set it lower, or raise the brokers' transaction.max.timeout.ms")
    else:
        yield well(f"alerts.transaction_timeout is {span(wanted)}, the brokers allow {span(allowed)}")
    copies, count = int(config["transaction.state.log.replication.factor"]), len(deployment.cluster.brokers)
    if TRANSACTION_TOPIC not in deployment.known_topics and copies > count:
        what = f"the log of transactions is to have {copies} copies, brokers that answer: {count}"
        yield warning(what, "Bring brokers back, or lower their transaction.state.log.replication.factor")


def clock(deployment: Deployment) -> Iterator[Finding]:
    """See whether this machine's clock is behind; that it is ahead shows in nothing that can be had by reading."""
    commits = deployment.settings.alerts.commits_topic
    known = deployment.known_topics
    partitions = {topic: known[topic] for topic in (*deployment.source_names, commits) if topic in known}
    newest = deployment.kafka.inspector.newest(partitions)
    now = deployment.clock()
    ahead = {topic: at - now for topic, at in newest.items() if at - now > CLOCK_SECONDS}
    for topic, seconds in sorted(ahead.items()):
        what = f"the newest record of {topic} is from {span(seconds)} after this machine's time"
        yield warning(what, "Compare the clocks of this machine, the brokers and the producers (NTP)")
    if not ahead:
        limits = "that it is ahead cannot be seen without writing"
        yield well(
            f"not behind any of the newest records; {limits}" if newest else f"no record to compare with; {limits}"
        )


def _any_broker_config(deployment: Deployment) -> Mapping[str, str] | None:
    return deployment.kafka.inspector.broker_config(min(deployment.cluster.brokers))


def _version(config: Mapping[str, str] | None) -> str:
    """Say what the configuration gives away: clients are not told the brokers' version itself."""
    if config is None:
        return "not known, this client may not read the brokers' configuration (DESCRIBE_CONFIGS on the cluster)"
    return config.get("inter.broker.protocol.version") or "4.0 or newer"  # that setting ended with 4.0
